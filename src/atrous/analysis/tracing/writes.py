"""Writes into tensors: what was written reaches every view that shares the memory."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from weakref import ref

import numpy as np
from torch import Tensor

from atrous.analysis.fields import dependence
from atrous.analysis.fields.axes import (
    MOST_COPIED,
    Array,
    Axis,
    align,
    check_affordable,
    reshape,
    spread,
)
from atrous.analysis.fields.borders import apart_from_middle, runs_along, set_apart
from atrous.analysis.fields.call import Call, outputs
from atrous.analysis.fields.constants import constant_of
from atrous.analysis.fields.dependence import Dependence, Run, collapse, merge
from atrous.analysis.rules import op_name, rule_of
from atrous.analysis.rules.views import order_of, parts_of, slice_of
from atrous.analysis.tracing.values import lose


def _nth(result: Any, position: int) -> Dependence | None:
    if isinstance(result, list | tuple):
        return result[position] if position < len(result) else None
    return result


def register_view(call: Call) -> None:
    """Remember how a view was made, so that writes reach the tensors that share its memory."""
    base = call.first
    if not isinstance(base, Tensor):
        return
    recipe = replace(call, out=None, base_ndim=base.ndim)
    views = getattr(base, "_atrous_views", None)
    if views is None:
        views = base._atrous_views = []  # type: ignore[attr-defined]  # our own mark
    for position, tensor in enumerate(outputs(call.out)):
        if tensor is base:
            continue
        tensor._atrous_view = (recipe, position)  # type: ignore[attr-defined]  # our own mark
        views.append(ref(tensor))


def overwrite(run: Run, tensor: Tensor, dep: Dependence | None) -> None:
    """Take over what was written, in the tensor and in all that share its memory."""
    dependence.attach(tensor, dep)
    lose(tensor)
    made = getattr(tensor, "_atrous_view", None)
    if made is not None:
        recipe, position = made
        if dep is not None and dependence.of(recipe.first) is None:
            dep = _beside_constants(run, recipe.first, dep)
        overwrite(run, recipe.first, _put_back(recipe, position, dep))
    else:
        _refresh(tensor)


def _beside_constants(run: Run, base: Tensor, dep: Dependence) -> Dependence:
    """What was written into a constant: the rest of that one may differ from place to place."""
    constant = constant_of(run, base)
    if constant is None or constant.is_noise or constant.varying():
        return dep.noting(run.note("shift-variant"))
    return dep


def _refresh(tensor: Tensor) -> None:
    """Look again through every view of a tensor that has changed."""
    for view in _live_views(tensor):
        recipe, position = view._atrous_view  # type: ignore[attr-defined]  # our own mark
        dependence.attach(view, _seen_through(recipe, position, view))
        lose(view)
        _refresh(view)


def _seen_through(recipe: Call, position: int, view: Tensor) -> Dependence | None:
    """What a view sees of its base; all of it if either has another shape by now."""
    base = dependence.of(recipe.first)
    if base is None:
        return None
    run = recipe.run
    if recipe.first.ndim == recipe.base_ndim and tuple(view.shape) == recipe.out_shapes[position]:
        return _nth(rule_of(recipe.func)(recipe), position)
    total = collapse(run, base).noting(run.note("unknown"))
    return merge(run, [total], view.ndim)


def _live_views(tensor: Tensor) -> Iterator[Tensor]:
    for weak in getattr(tensor, "_atrous_views", ()):
        view = weak()
        if view is not None:
            yield view


RESHAPES = frozenset(
    ["view", "_unsafe_view", "_reshape_alias", "unsqueeze", "squeeze", "alias", "detach"]
)


def _put_back(recipe: Call, position: int, child: Dependence | None) -> Dependence | None:
    """What a tensor depends on after a view of it got the dependence `child`."""
    run, name = recipe.run, op_name(recipe.func)
    shape = tuple(recipe.first.shape)
    old = recipe.out_shapes[position]
    is_changed = child is not None and child.axes[0].ndim != len(old) + 1
    if is_changed or len(shape) != recipe.base_ndim:
        known = [d for d in (child, dependence.of(recipe.first)) if d is not None]
        total = merge(run, [collapse(run, d) for d in known], len(shape))
        return None if total is None else total.noting(run.note("unknown"))
    if name in RESHAPES:
        if child is None:
            return None
        return child.map(lambda _, v: reshape(v, recipe.out_shapes[position], shape), run)
    if name in ("permute", "transpose", "t"):
        order = np.argsort(order_of(recipe)).tolist()
        return (
            None if child is None else child.map(lambda _, v: v.transpose(*order, v.ndim - 1), run)
        )
    parent = dependence.of(recipe.first)
    if parent is None and child is None:
        return None
    if name in ("slice", "select"):
        dim, part = slice_of(recipe)
    elif name in ("split", "split_with_sizes", "unbind"):
        dim, parts = parts_of(recipe)
        part = parts[position]
    else:
        total = None if child is None else collapse(run, child).noting(run.note("data-dependent"))
        kept = None if parent is None else parent.noting(run.note("shift-variant"))
        return merge(run, [kept, total], len(shape))
    if child is not None and name in ("select", "unbind"):
        child = child.map(lambda _, v: np.expand_dims(v, dim), run)
    return _put_slice(run, parent, child, shape, dim, part)


def _put_slice(
    run: Run,
    parent: Dependence | None,
    child: Dependence | None,
    shape: tuple[int, ...],
    dim: int,
    part: slice,
) -> Dependence:
    """Replace a range of one dimension."""
    apart = apart_from_middle(shape[dim], part)
    if child is not None and apart.any() and apart[part].all() and runs_along(run, child, dim):
        child = child.fixed_forgotten()
    arrays = []
    for i, axis in enumerate(run.axes):
        v = _or_empty(axis, parent, i, len(shape))
        w = _or_empty(axis, child, i, len(shape))
        around = np.broadcast_shapes(
            (*v.shape[:dim], 1, *v.shape[dim + 1 :]), (*w.shape[:dim], 1, *w.shape[dim + 1 :])
        )
        written = (*around[:dim], shape[dim], *around[dim + 1 :])
        check_affordable(written, most=MOST_COPIED)
        v = np.broadcast_to(spread(v, dim, shape[dim]), written).copy()
        v[(slice(None),) * dim + (part,)] = w
        arrays.append(v)
    known = [d for d in (child, parent) if d is not None]
    is_solid = all(d.is_solid for d in known)
    guess = known[-1].guess
    result = Dependence(tuple(arrays), dependence.join_notes(known), guess, is_solid)
    return set_apart(run, result, dim, apart)


def _or_empty(axis: Axis, dep: Dependence | None, i: int, ndim: int) -> Array:
    return align(axis.empty if dep is None else dep.axes[i], ndim)
