"""Sets of input positions, one array per input axis, and the four things ops do with them.

A feature map of shape `s` carries, for one axis of the input, an array that broadcasts to `s` with
one more dimension behind: `(*b, K)`, where `b[d]` is `s[d]` or 1 ("the same for every index of d").
The last dimension describes a set of positions on the input axis; two descriptions are known:

    interval   K = 3      lowest position, minus the highest, and 1 unless a window left the map
    positions  K = n/64   a bit per position, and in the last word whether a window left the map

In both, the union of two sets is one element-wise operation of numpy (minimum; bitwise or), so no
rule needs to know which of the two it works on. "A window left the map" means that padding, a
border clamp or a wrap-around was read: such outputs are not like those in the middle of a larger
image.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import prod
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from atrous.analysis.fields.taps import EMPTY, OUTSIDE, Taps
from atrous.errors import AtrousError

Array: TypeAlias = NDArray[Any]
"""Sets of one input axis, int32 or uint64: `(*broadcast shape, K)`."""

Shape: TypeAlias = tuple[int, ...]

_MOST_ENTRIES = 2**28  # of one map along one axis, about a gigabyte
MOST_COPIED = 2**27  # of one that is copied whole at every write into a part of it
FAR = 2**30  # lower end of an empty interval; beyond any image


@dataclass(frozen=True, slots=True, eq=False)
class Axis:
    """How sets of positions on one axis of the input are written down."""

    length: int
    union: np.ufunc
    empty: Array
    outside: Array
    is_interval: bool

    def source(self) -> Array:
        """Sets of the input itself: position i sees i, `(length, K)`."""
        n = self.length
        if self.is_interval:
            rows = np.empty((n, 3), np.int32)
            rows[:, 0] = np.arange(n)
            rows[:, 1] = -rows[:, 0]
            rows[:, 2] = 1
            return rows
        bits = np.zeros((n, len(self.empty)), np.uint64)
        at = np.arange(n)
        bits[at, at // 64] = np.uint64(1) << (at % 64).astype(np.uint64)
        return bits


def interval_axis(length: int) -> Axis:
    """Lowest and highest position only: fast, blind to holes."""
    empty = np.array([FAR, FAR, 1], np.int32)
    outside = np.array([FAR, FAR, 0], np.int32)
    return Axis(length, np.minimum, empty, outside, is_interval=True)


def position_axis(length: int) -> Axis:
    """Every position by itself: shows the holes."""
    words = -(-length // 64) + 1
    empty = np.zeros(words, np.uint64)
    outside = empty.copy()
    outside[-1] = 1
    return Axis(length, np.bitwise_or, empty, outside, is_interval=False)


def align(v: Array, ndim: int) -> Array:
    """Add leading dimensions of length 1 until `v` describes a tensor of `ndim` dimensions."""
    missing = ndim + 1 - v.ndim
    return v.reshape((1,) * missing + v.shape) if missing else v


def spread(v: Array, dim: int, length: int) -> Array:
    """Write a dimension out at its full length."""
    if v.shape[dim] == length:
        return v
    return np.broadcast_to(v, (*v.shape[:dim], length, *v.shape[dim + 1 :]))


def squeeze_equal(v: Array, dim: int) -> Array:
    """Shrink a dimension to 1 if all its entries are the same."""
    n = v.shape[dim]
    if n > 1:
        before = (slice(None),) * dim
        first = v[(*before, slice(0, 1))]
        if np.array_equal(first, v[(*before, slice(n // 2, n // 2 + 1))]) and (v == first).all():
            return first
    return v


def reduce(axis: Axis, v: Array, dims: Sequence[int]) -> Array:
    """Union along dimensions, which are kept with length 1."""
    long = tuple(d for d in dims if v.shape[d] > 1)
    return axis.union.reduce(v, axis=long, keepdims=True) if long else v


class MapTooLargeError(AtrousError):
    """A map whose places are all unlike, of more of them than are followed."""

    def __init__(self) -> None:
        super().__init__(
            f"A map of more than {_MOST_ENTRIES:,} places that are all unlike; expected fewer; "
            "take a smaller input."
        )


def check_affordable(shape: Shape, *, most: int = _MOST_ENTRIES) -> None:
    """See that an array of this shape, of at most so many numbers, may be made.

    Raises:
        MapTooLargeError: If not.
    """
    if prod(shape) > most:
        raise MapTooLargeError


def with_borders(axis: Axis, v: Array, dim: int) -> Array:
    """Append the two entries that the indices `OUTSIDE` and `EMPTY`, -2 and -1, pick."""
    both = np.stack([axis.outside, axis.empty])
    both = both.reshape((1,) * dim + (2,) + (1,) * (v.ndim - dim - 2) + (v.shape[-1],))
    tail = np.broadcast_to(both, (*v.shape[:dim], 2, *v.shape[dim + 1 :]))
    return np.concatenate([v, tail], axis=dim)


def gather(axis: Axis, v: Array, dim: int, taps: Taps) -> Array:
    """Union over the taps of every output index along one dimension.

    Raises:
        MapTooLargeError: If places must be told apart one by one, and there are too many.
    """
    index = taps.index
    check_affordable((*v.shape[:dim], index.shape[1], *v.shape[dim + 1 :]))
    if v.shape[dim] == 1 and taps.length > 1:
        if taps.all_see:
            return v
        v = spread(v, dim, taps.length)
        index = np.where(index == OUTSIDE, EMPTY, index)
    elif taps.leaves and taps.length > 1 and not _runs_along(axis, v, dim):
        index = np.where(index == OUTSIDE, EMPTY, index)
    if taps.leaves or taps.has_empty:
        v = with_borders(axis, v, dim)
    if index.shape[0] == 1:
        return squeeze_equal(v.take(index[0], axis=dim), dim)
    if v.size * index.shape[0] < 200_000:
        return squeeze_equal(axis.union.reduce(v.take(index, axis=dim), axis=dim), dim)
    result = v.take(index[0], axis=dim)
    for row in index[1:]:
        axis.union(result, v.take(row, axis=dim), out=result)
    return squeeze_equal(result, dim)


def _runs_along(axis: Axis, v: Array, dim: int) -> bool:
    """Whether the sets move along a dimension, or differ there only in being empty.

    Padding an image leaves columns that see nothing in the array of its rows too; that a window
    reaches beyond those says nothing about rows.
    """
    long = [d for d in range(v.ndim - 1) if v.shape[d] > 1 and d != dim]
    if not long:
        return True
    for d in reversed(long):
        v = v.take(v.shape[d] // 2, axis=d)
    sets = v.reshape(-1, v.shape[-1])[:, :-1]
    sets = sets[(sets != axis.empty[:-1]).any(axis=1)]
    return len(sets) == 0 or bool((sets != sets[0]).any())


@lru_cache(maxsize=4096)
def _groups(old: Shape, new: Shape) -> tuple[tuple[slice, slice], ...]:
    """Cut two shapes of equal volume into the smallest runs of equal volume."""
    groups = []
    i = j = 0
    while i < len(old) or j < len(new):
        i_end, j_end = i, j
        a = b = 1
        if i_end < len(old):
            a, i_end = old[i_end], i_end + 1
        if j_end < len(new):
            b, j_end = new[j_end], j_end + 1
        while a != b:
            if a < b:
                a, i_end = a * old[i_end], i_end + 1
            else:
                b, j_end = b * new[j_end], j_end + 1
        groups.append((slice(i, i_end), slice(j, j_end)))
        i, j = i_end, j_end
    return tuple(groups)


def reshape(v: Array, old: Shape, new: Shape) -> Array:
    """Follow a view of a contiguous tensor, writing out only the dimensions that must be."""
    full: list[int] = []
    result: list[int] = []
    parted: list[int] = []
    for before, after in _groups(old, new):
        if all(length == 1 for length in v.shape[before]):
            full += [1] * (before.stop - before.start)
            result += [1] * (after.stop - after.start)
        else:
            full += old[before]
            result += new[after]
            if after.stop - after.start > 1:
                parted += range(after.start, after.stop)
    full.append(v.shape[-1])
    result.append(v.shape[-1])
    if v.shape != tuple(full):
        v = np.broadcast_to(v, full)
    v = v.reshape(result)
    for dim in parted:  # rows and columns that were one dimension for a while come apart again
        v = squeeze_equal(v, dim)
    return v


def concatenate(
    axis: Axis, parts: Sequence[Array | None], lengths: Sequence[int], dim: int
) -> Array:
    """Join along a dimension; a part of `None` depends on nothing."""
    known = [part for part in parts if part is not None]
    first = known[0]
    if len(known) == len(parts) and all(
        part.shape[dim] == 1 and (part is first or np.array_equal(part, first)) for part in known
    ):
        return first
    around = np.broadcast_shapes(*((*p.shape[:dim], 1, *p.shape[dim + 1 :]) for p in known))
    pieces = []
    for part, length in zip(parts, lengths, strict=True):
        source = axis.empty if part is None else part
        pieces.append(np.broadcast_to(source, (*around[:dim], length, *around[dim + 1 :])))
    return np.concatenate(pieces, axis=dim)
