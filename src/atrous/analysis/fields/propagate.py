"""Carries fields along while a network runs, also through writes into views."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any
from weakref import ref

import numpy as np
from torch import Tensor

from atrous.analysis.fields import dependence
from atrous.analysis.fields.axes import Array, Axis, align, reshape, spread
from atrous.analysis.fields.dependence import Dependence, Run, collapse, merge
from atrous.analysis.rules import op_name, rule_of
from atrous.analysis.rules.pointwise import UNIFORM, is_uniform
from atrous.analysis.rules.views import order_of, parts_of, slice_of
from atrous.analysis.tracing.call import Call, written_arguments

Graph = dict[int, tuple[Dependence, tuple[Dependence, ...], str, str]]
"""By id: a dependence, what it was made from, and the op and layer that made it."""


@dataclass(slots=True, eq=False)
class FieldListener:
    """Gives every tensor of a run its dependence on the input."""

    run: Run
    keeps_graph: bool = False
    graph: Graph = field(default_factory=dict)

    def op(self, call: Call, layer: str) -> None:
        """Carry the fields of one op."""
        call.run = self.run
        call.out_shapes = tuple(tuple(t.shape) for t in outputs(call.out))
        tensors = call.tensors()
        written = written_arguments(call.func)
        is_fed = any(dependence.of(t) is not None for t in tensors)
        if not is_fed:
            self._constant(call, tensors, is_writing=bool(written))
            result: Any = None
        else:
            self.run.op, self.run.layer = op_name(call.func), layer
            self.run.step += 1
            result = rule_of(call.func)(call)
            self._remember(result, tensors)
        if written:
            if is_fed or any(
                hasattr(t, "_atrous_view") or hasattr(t, "_atrous_views") for t in tensors
            ):
                self._write(call, written, result)
            return
        if is_fed:
            give(call.out, result)
        if call.func.is_view:
            _register_view(call)

    def _constant(self, call: Call, tensors: list[Tensor], *, is_writing: bool) -> None:
        name = op_name(call.func)
        if (
            (name in UNIFORM)
            if not tensors or is_writing
            else (name in UNIFORM or all(map(is_uniform, tensors)))
        ):
            for tensor in outputs(call.out):
                tensor._atrous_uniform = True  # type: ignore[attr-defined]  # our own mark

    def _remember(self, result: Any, tensors: list[Tensor]) -> None:
        """Note how large the arrays get and, if asked, what a dependence was made from."""
        run = self.run
        parents: tuple[Dependence, ...] | None = None
        for dep in result if isinstance(result, list | tuple) else (result,):
            if dep is None:
                continue
            run.largest = max(run.largest, *(v.size for v in dep.axes))
            if self.keeps_graph:
                if parents is None:
                    parents = tuple(d for d in map(dependence.of, tensors) if d is not None)
                if not any(dep is parent for parent in parents):
                    self.graph[id(dep)] = (dep, parents, run.op, run.layer)

    def _write(self, call: Call, written: tuple[str, ...], result: Any) -> None:
        """Take over what was written, in the tensor and in all that share its memory."""
        if "running_mean" in written:  # statistics of a layer, no path of the data
            give(call.out, result)
            return
        for position, name in enumerate(written):
            target = call[name]
            targets = target if isinstance(target, list | tuple) else [target]
            for i, tensor in enumerate(targets):
                if isinstance(tensor, Tensor):
                    _overwrite(self.run, tensor, _nth(result, position if len(written) > 1 else i))


def outputs(out: Any) -> list[Tensor]:
    """Tensors an op returned."""
    if isinstance(out, Tensor):
        return [out]
    if isinstance(out, list | tuple):
        return [tensor for item in out for tensor in outputs(item)]
    return []


def _nth(result: Any, position: int) -> Dependence | None:
    if isinstance(result, list | tuple):
        return result[position] if position < len(result) else None
    return result


def give(out: Any, result: Any) -> None:
    """Attach one dependence to every output, or to each its own."""
    if isinstance(out, Tensor):
        dependence.attach(out, _nth(result, 0))
        return
    for position, tensor in enumerate(outputs(out)):
        dependence.attach(tensor, _nth(result, position))


def _register_view(call: Call) -> None:
    """Remember how a view was made, so that writes reach the tensors that share its memory."""
    base = call.first
    if not isinstance(base, Tensor):
        return
    recipe = replace(call, out=None)
    views = getattr(base, "_atrous_views", None)
    if views is None:
        views = base._atrous_views = []  # type: ignore[attr-defined]  # our own mark
    for position, tensor in enumerate(outputs(call.out)):
        if tensor is base:
            continue
        tensor._atrous_view = (recipe, position)  # type: ignore[attr-defined]  # our own mark
        views.append(ref(tensor))


def _overwrite(run: Run, tensor: Tensor, dep: Dependence | None) -> None:
    dependence.attach(tensor, dep)
    made = getattr(tensor, "_atrous_view", None)
    if made is not None:
        recipe, position = made
        _overwrite(run, recipe.first, _put_back(recipe, position, dep))
    else:
        _refresh(tensor)


def _refresh(tensor: Tensor) -> None:
    """Look again through every view of a tensor that has changed."""
    for view in _live_views(tensor):
        recipe, position = view._atrous_view  # type: ignore[attr-defined]  # our own mark
        dependence.attach(view, _nth(rule_of(recipe.func)(recipe), position))
        _refresh(view)


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
        return merge(run, [parent, total], len(shape))
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
    arrays = []
    for i, axis in enumerate(run.axes):
        v = _or_empty(axis, parent, i, len(shape))
        w = _or_empty(axis, child, i, len(shape))
        around = np.broadcast_shapes(
            (*v.shape[:dim], 1, *v.shape[dim + 1 :]), (*w.shape[:dim], 1, *w.shape[dim + 1 :])
        )
        v = np.broadcast_to(
            spread(v, dim, shape[dim]), (*around[:dim], shape[dim], *around[dim + 1 :])
        ).copy()
        v[(slice(None),) * dim + (part,)] = w
        arrays.append(v)
    known = [d for d in (child, parent) if d is not None]
    is_solid = all(d.is_solid for d in known)
    return Dependence(tuple(arrays), dependence.join_notes(known), known[0].guess, is_solid)


def _or_empty(axis: Axis, dep: Dependence | None, i: int, ndim: int) -> Array:
    return align(axis.empty if dep is None else dep.axes[i], ndim)
