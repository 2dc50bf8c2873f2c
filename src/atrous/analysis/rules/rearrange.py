"""Fields through ops that lay a map out anew: pixel shuffles, windows as columns."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from atrous.analysis.fields import dependence
from atrous.analysis.fields.axes import Array, Axis, Shape, reshape, spread, with_borders
from atrous.analysis.fields.call import Call
from atrous.analysis.fields.dependence import Dependence
from atrous.analysis.fields.taps import transposed_taps, window_taps


def unfold(call: Call) -> Dependence | None:
    """`Tensor.unfold`: overlapping windows of one dimension, laid out in a new last one."""
    dep = dependence.of(call.first)
    if dep is None:
        return None
    dim = call["dimension"] % call.first.ndim
    size, step, n = call["size"], call["step"], call.first.shape[dim]
    taps = window_taps(n, call.out_shape[dim], kernel=size, stride=step, padding=0, dilation=1)
    return dep.map(lambda _, v: np.moveaxis(lay_out(v, dim, n, taps.index), dim, -2), call.run)


def lay_out(v: Array, dim: int, length: int, index: np.ndarray) -> Array:
    """Replace a dimension by two, `(taps, outputs)`, without uniting anything."""
    if v.shape[dim] == 1 and length > 1:
        return np.expand_dims(v, dim)
    return v.take(index, axis=dim)


def rearrange(call: Call, middle: Shape, order: Sequence[int]) -> Dependence | None:
    """Split dimensions into `middle`, permute, and join to the output's shape."""
    dep, old, new = dependence.of(call.first), tuple(call.first.shape), call.out_shape
    if dep is None:
        return None
    permuted = tuple(middle[d] for d in order)

    def each(_: Axis, v: Array) -> Array:
        v = reshape(v, old, middle).transpose(*order, len(order))
        return reshape(v, permuted, new)

    return dep.map(each, call.run)


def pixel_shuffle(call: Call) -> Dependence | None:
    """Channels into space."""
    r = call["upscale_factor"]
    *batch, c, h, w = call.first.shape
    b = len(batch)
    middle = (*batch, c // r**2, r, r, h, w)
    return rearrange(call, middle, [*range(b), b, b + 3, b + 1, b + 4, b + 2])


def pixel_unshuffle(call: Call) -> Dependence | None:
    """Space into channels."""
    r = call["downscale_factor"]
    *batch, c, h, w = call.first.shape
    b = len(batch)
    middle = (*batch, c, h // r, r, w // r, r)
    return rearrange(call, middle, [*range(b), b, b + 2, b + 4, b + 1, b + 3])


def channel_shuffle(call: Call) -> Dependence | None:
    """Interleave the groups of channels."""
    g = call["groups"]
    b, c, *rest = call.first.shape
    return rearrange(call, (b, g, c // g, *rest), [0, 2, 1, *range(3, 3 + len(rest))])


def im2col(call: Call) -> Dependence | None:
    """`nn.Unfold`: every window as a column of `C * kernel` rows."""
    dep = dependence.of(call.first)
    if dep is None:
        return None
    b, c, *space = call.first.shape
    taps = [
        window_taps(
            n, (n + 2 * p - d * (k - 1) - 1) // s + 1, kernel=k, stride=s, padding=p, dilation=d
        )
        for n, k, s, p, d in zip(space, *_unfold_settings(call), strict=True)
    ]
    (kh, oh), (kw, ow) = (t.index.shape for t in taps)

    def each(axis: Axis, v: Array) -> Array:
        for dim, t in ((3, taps[1]), (2, taps[0])):
            if t.leaves:
                v = with_borders(axis, spread(v, dim, t.length), dim)
            v = lay_out(v, dim, t.length, t.index)
        return reshape(v.transpose(0, 1, 2, 4, 3, 5, 6), (b, c, kh, kw, oh, ow), call.out_shape)

    return dep.map(each, call.run)


def col2im(call: Call) -> Dependence | None:
    """`nn.Fold`: overlapping windows summed back onto the map."""
    dep = dependence.of(call.first)
    if dep is None:
        return None
    b, c, *space = call.out_shape
    settings = list(zip(space, *_unfold_settings(call), strict=True))
    (kh, oh), (kw, ow) = ((k, (n + 2 * p - d * (k - 1) - 1) // s + 1) for n, k, s, p, d in settings)
    taps = [
        transposed_taps(count, n, kernel=k, stride=s, padding=p, dilation=d)
        for (n, k, s, p, d), count in zip(settings, (oh, ow), strict=True)
    ]

    def each(axis: Axis, v: Array) -> Array:
        v = reshape(v, tuple(call.first.shape), (b, c, kh, kw, oh, ow)).transpose(
            0, 1, 2, 4, 3, 5, 6
        )
        for dim, t in ((2, taps[0]), (3, taps[1])):  # (kernel, count) become one dimension
            v = spread(spread(v, dim, t.index.shape[0]), dim + 1, t.length)
            rows = np.moveaxis(with_borders(axis, v, dim + 1), dim, 0)
            parts = [rows[i].take(row, axis=dim) for i, row in enumerate(t.index)]
            v = axis.union.reduce(np.stack(parts), axis=0)
        return v

    return replace(dep.map(each, call.run), is_solid=False)


def _unfold_settings(call: Call) -> list[Any]:
    return [call["kernel_size"], call["stride"], call["padding"], call["dilation"]]
