"""Fields through matrix products and attention, fused or not."""

from dataclasses import replace

import numpy as np
from torch import Tensor

from atrous.analysis.fields import dependence
from atrous.analysis.fields.axes import Array, Axis
from atrous.analysis.fields.call import Call
from atrous.analysis.fields.dependence import Dependence, collapse, merge, reduce_dims


def matmul(call: Call) -> Dependence | None:
    """`mm`, `bmm`, `addmm`, `baddbmm`, `mv`, `dot`: row of the left, column of the right."""
    tensors: list[Tensor] = [a for a in call.args if isinstance(a, Tensor)]
    left, right = tensors[-2:]
    ndim = len(call.out_shape)
    parts: list[Dependence | None] = [dependence.of(t) for t in tensors[:-2]]
    dep = dependence.of(left)
    if dep is not None:
        dep = reduce_dims(call.run, dep, [left.ndim - 1])
        if right.ndim == 1:  # mv and dot drop the dimension that is summed
            dep = dep.map(lambda _, v: v[..., 0, :], call.run)
        parts.append(dep)
    dep = dependence.of(right)
    if dep is not None:
        dep = reduce_dims(call.run, dep, [max(right.ndim - 2, 0)])
        if right.ndim == 1:
            dep = dep.map(lambda _, v: v[..., 0, :], call.run)
        parts.append(dep)
    return merge(call.run, parts, ndim)


def packed_linear(call: Call) -> Dependence | None:
    """A linear layer with weights packed for an integer kernel: it mixes the last dimension.

    The scale that its input is rounded by comes from all of it, so the field is a bound.
    """
    dep = call.dep("X")
    if dep is None:
        return None
    total = collapse(call.run, dep)
    own = reduce_dims(call.run, dep, [dep.axes[0].ndim - 2])
    return merge(call.run, [own, total], len(call.out_shape))


def attend(
    call: Call, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, is_causal: bool
) -> Dependence | None:
    """Output q sees query q and all keys and values, or those up to q; `(…, L, E)`."""
    ndim = query.ndim
    parts = []
    q = dependence.of(query)
    if q is not None:
        parts.append(reduce_dims(call.run, q, [ndim - 1]))
    for tensor, last in ((key, True), (value, False)):
        dep = dependence.of(tensor)
        if dep is None:
            continue
        if last:
            dep = reduce_dims(call.run, dep, [ndim - 1])
        if is_causal:
            dep = _up_to(call, dep, ndim - 2, query.shape[-2])
        else:
            dep = reduce_dims(call.run, dep, [ndim - 2])
        if ndim == 4:
            dep = _share_heads(call, dep, query.shape[1] // tensor.shape[1])
        parts.append(dep)
    masked = dependence.of(mask) if mask is not None else None
    if masked is not None:
        parts.append(reduce_dims(call.run, masked, [masked.axes[0].ndim - 2]))
    return merge(call.run, parts, ndim)


def _up_to(call: Call, dep: Dependence, dim: int, outputs: int) -> Dependence:
    """Output q sees the entries 0 to q of a dimension."""

    def each(axis: Axis, v: Array) -> Array:
        if v.shape[dim] == 1:
            return v
        total = axis.union.accumulate(v, axis=dim)
        return total.take(np.minimum(np.arange(outputs), v.shape[dim] - 1), axis=dim)

    dep = replace(dep, is_solid=False, notes=dep.notes | {call.run.note("global")})
    return dep.map(each, call.run)


def _share_heads(call: Call, dep: Dependence, repeats: int) -> Dependence:
    """Several heads of queries use one head of keys and values (dimension 1)."""
    if repeats == 1:
        return dep
    return dep.map(lambda _, v: np.repeat(v, repeats, 1) if v.shape[1] > 1 else v, call.run)


def scaled_dot_product(call: Call) -> list[Dependence | None]:
    """Every fused attention kernel; what comes after the output is bookkeeping of the kernel."""
    mask = next((call[n] for n in ("attn_mask", "attn_bias") if call.has(n)), None)
    out = attend(
        call,
        call["query"],
        call["key"],
        call["value"],
        mask,
        bool(call["is_causal"]) if call.has("is_causal") else False,
    )
    total = None if out is None else collapse(call.run, out)
    return [out] + [total] * (len(call.out_shapes) - 1)


def multi_head_attention(call: Call) -> list[Dependence | None]:
    """`nn.MultiheadAttention` in one kernel: projections mix the channels before and after."""
    parts = []
    for name, is_whole in (("query", False), ("key", True), ("value", True)):
        dep = call.dep(name)
        if dep is not None:
            parts.append(reduce_dims(call.run, dep, [1, 2] if is_whole else [2]))
    mask = call.dep("mask")
    if mask is not None:
        parts.append(collapse(call.run, mask))
    out = merge(call.run, parts, 3)
    return [out, out if len(call.out_shapes) > 1 else None][: len(call.out_shapes)]


def transformer_layer(call: Call) -> Dependence | None:
    """A whole encoder layer in one kernel: every token sees all tokens."""
    dep = call.dep("src")
    return None if dep is None else reduce_dims(call.run, dep, [1, 2])


def trilinear(call: Call) -> Dependence | None:
    """`nn.Bilinear`: multiply three expanded tensors and sum."""
    parts: list[Dependence | None] = []
    for i in (1, 2, 3):
        dep = call.dep(f"i{i}")
        if dep is not None:
            dims = tuple(call[f"expand{i}"])
            arrays = tuple(np.expand_dims(v, dims) for v in dep.axes)
            dep = replace(dep, axes=arrays)
        parts.append(dep)
    out = merge(call.run, parts, max(t.ndim for t in call.tensors()) + 1)
    if out is None:
        return None
    summed = tuple(call["sumdim"])
    return reduce_dims(call.run, out, summed).map(lambda _, v: np.squeeze(v, summed), call.run)
