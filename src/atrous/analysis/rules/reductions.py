"""Fields through reductions and normalisation."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from atrous.analysis.fields import dependence
from atrous.analysis.fields.axes import Array, Axis, reshape, spread
from atrous.analysis.fields.borders import runs_along
from atrous.analysis.fields.call import Call
from atrous.analysis.fields.dependence import Dependence, collapse, merge, reduce_dims


def reduced_dims(call: Call, ndim: int) -> list[int]:
    """Dimensions that a reduction removes; all of them if none is named."""
    dim = call["dim"] if call.has("dim") else None
    if dim is None or dim == []:
        return list(range(ndim))
    return [d % ndim for d in (dim if isinstance(dim, list | tuple) else [dim])] if ndim else []


def reduction(call: Call) -> Dependence | None:
    """`sum`, `mean`, `amax`, `var`, `norm`, `argmax`, … over some dimensions, kept or dropped."""
    dep = dependence.of(call.first)
    if dep is None:
        return None
    ndim = call.first.ndim
    dims = reduced_dims(call, ndim)
    dep = reduce_dims(call.run, dep, dims)
    if len(call.out_shape) == ndim:
        return dep
    return dep.map(lambda _, v: np.squeeze(v, tuple(dims)), call.run)


def along_dim(call: Call) -> Dependence | None:
    """`softmax`, `sort`, `topk`: every output along a dimension sees all of that dimension."""
    dep = dependence.of(call.first)
    if dep is None or call.first.ndim == 0:
        return dep
    dim = call["dim"] % call.first.ndim
    return reduce_dims(call.run, dep, [dim])


def cumulative(call: Call) -> Dependence | None:
    """`cumsum` and its like: position i sees what lies up to i."""
    dep = dependence.of(call.first)
    if dep is None:
        return None
    dim = call["dim"] % call.first.ndim

    def each(axis: Axis, v: Array) -> Array:
        return v if v.shape[dim] == 1 else axis.union.accumulate(v, axis=dim)

    if all(v.shape[dim] == 1 for v in dep.axes):
        return dep
    notes = dep.notes
    if runs_along(call.run, dep, dim):
        notes = notes | {call.run.note("global")}
        if call.func._schema.name in _RUNNING_EXTREMES:
            # They never turn back, so that what chooses among them later may always choose alike.
            notes = notes | {call.run.note("data-dependent")}
    return replace(dep, is_solid=False, notes=notes).map(each, call.run)


def batch_norm(call: Call) -> list[Dependence | None]:
    """Fixed statistics see one position; batch statistics see all of a channel."""
    dep = dependence.of(call.first)
    uses_batch = (
        call["training"] if call.has("training") else "no_training" not in call.func._schema.name
    )
    if call.func._schema.name in _ALWAYS_BATCH:
        uses_batch = True
    if dep is None or not uses_batch:
        parts = [dep, *_affine(call, 1, ("weight", "bias", "running_mean", "running_var"))]
        return [merge(call.run, parts, call.first.ndim)] + [None] * (len(call.out_shapes) - 1)
    dims = [d for d in range(call.first.ndim) if d != 1]
    mixed = reduce_dims(call.run, dep, dims)
    flat = mixed.map(lambda _, v: v.reshape(v.shape[1], -1), call.run)
    mixed_all = merge(call.run, [mixed, *_affine(call, 1)], call.first.ndim)
    return [mixed_all, flat, flat] + [None] * (len(call.out_shapes) - 3)


_RUNNING_EXTREMES = frozenset(["aten::cummax", "aten::cummin"])
_ALWAYS_BATCH = ("aten::_batch_norm_with_update", "aten::_batch_norm_with_update_functional")


def _affine(
    call: Call, channel: int, names: Sequence[str] = ("weight", "bias")
) -> list[Dependence | None]:
    """Scale and shift computed from the input, laid along the channel dimension."""
    parts = []
    for name in names:
        dep = call.dep(name) if call.has(name) else None
        if dep is not None:
            after = (1,) * (call.first.ndim - channel - 1)
            arrays = tuple(v.reshape(v.shape[0], *after, v.shape[-1]) for v in dep.axes)
            dep = replace(dep, axes=arrays)
        parts.append(dep)
    return parts


def group_norm(call: Call) -> list[Dependence | None]:
    """Statistics over the space and the channels of a group."""
    dep = call.dep("input")
    if dep is None:
        return [None] * 3
    shape, groups = call.shape("input"), call["group"]
    dep = reduce_dims(call.run, dep, range(2, len(shape)))
    split = (shape[0], groups, shape[1] // groups, *shape[2:])

    def grouped(axis: Axis, v: Array) -> Array:
        if v.shape[1] == 1:
            return v
        v = reshape(v, (*shape[:2], *v.shape[2:-1]), (*split[:3], *v.shape[2:-1]))
        v = axis.union.reduce(v, axis=2, keepdims=True)
        return spread(v, 2, split[2]).reshape(v.shape[0], shape[1], *v.shape[3:])

    mixed = replace(
        dep.map(grouped, call.run), is_solid=dep.is_solid and all(v.shape[1] == 1 for v in dep.axes)
    )
    total = collapse(call.run, mixed)
    return [merge(call.run, [mixed, *_affine(call, 1)], len(shape)), total, total]


def layer_norm(call: Call) -> list[Dependence | None]:
    """Statistics over the last dimensions."""
    dep = dependence.of(call.first)
    if dep is None:
        return [None] * len(call.out_shapes)
    ndim = call.first.ndim
    mixed = reduce_dims(call.run, dep, range(ndim - len(call["normalized_shape"]), ndim))
    return [mixed] * len(call.out_shapes)


def glu(call: Call) -> Dependence | None:
    """Half of a dimension gates the other half."""
    dep = dependence.of(call.first)
    if dep is None:
        return None
    dim = call["dim"] % call.first.ndim

    def each(axis: Axis, v: Array) -> Array:
        if v.shape[dim] == 1:
            return v
        a, b = np.split(v, 2, axis=dim)
        return axis.union(a, b)

    return replace(
        dep.map(each, call.run), is_solid=dep.is_solid and all(v.shape[dim] == 1 for v in dep.axes)
    )


def whole(call: Call) -> Dependence | None:
    """Transforms that mix everything, such as the Fourier transform over some dimensions."""
    dep = dependence.of(call.first)
    if dep is None:
        return None
    dims: Sequence[Any] = call["dim"] if call.has("dim") else range(call.first.ndim)
    return reduce_dims(call.run, dep, [d % call.first.ndim for d in dims])
