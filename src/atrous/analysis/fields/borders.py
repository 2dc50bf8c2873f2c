"""Rows that are unlike the middle of a map because of where they lie: pasted, padded, wrapped.

They get the mark of windows that left the map, as the outputs beside a zero border do. A tile's
halo covers them, and the field is read off what lies between.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from atrous.analysis.fields.axes import FAR, MOST_COPIED, Array, Axis, check_affordable, spread
from atrous.analysis.fields.dependence import Dependence, Run


def carrier(axis: Axis, v: Array, num_axes: int, i: int) -> int | None:
    """The dimension along which an input axis runs, by its middle; None for no map `(B, C, *S)`."""
    ndim = v.ndim - 1
    if ndim != num_axes + 2 or not axis.is_interval:
        return None
    best, farthest = 2 + i, 0
    for dim in (2 + i, *range(ndim)):
        if v.shape[dim] > 1:
            moved = _travel(v, dim)
            if moved > farthest:
                best, farthest = dim, moved
    return best


def _travel(v: Array, dim: int) -> int:
    row = row_along(v, dim)
    sees = row[:, 0] < FAR
    low = row[sees, 0]
    return int(low.max() - low.min()) if len(low) else 0


def row_along(v: Array, dim: int) -> Array:
    """Sets along one dimension, in the middle of all others: `(n, K)`."""
    at = tuple(slice(None) if d == dim else n // 2 for d, n in enumerate(v.shape[:-1]))
    row: Array = v[at]
    return row


def runs_along(run: Run, dep: Dependence, dim: int) -> bool:
    """Whether moving along a dimension of a tensor may be moving over the input."""
    for i, axis in enumerate(run.axes):
        v = dep.axes[i]
        if v.shape[dim] == 1:
            continue
        place = carrier(axis, v, len(run.axes), i)
        if place == dim or (place is None and not _stays(axis, v, dim)):
            return True
    return False


def _stays(axis: Axis, v: Array, dim: int) -> bool:
    """Whether fields along a dimension, such as branches, are centred on the same position."""
    if not axis.is_interval:
        return False
    twice_centres, sees = v[..., 0].astype(np.int64) - v[..., 1], v[..., 0] < FAR
    highest = np.where(sees, twice_centres, -FAR).max(axis=dim)
    lowest = np.where(sees, twice_centres, FAR).min(axis=dim)
    return bool((highest <= lowest).all())


def set_apart(run: Run, dep: Dependence, dim: int, is_apart: NDArray[np.bool_]) -> Dependence:
    """Mark rows of one dimension that are unlike the others because of where they lie.

    Where the dimension is that of no image, the whole is said to depend on position.
    """
    if not is_apart.any() or not runs_along(run, dep, dim):
        return dep
    arrays, wraps = [], False
    for i, axis in enumerate(run.axes):
        v = dep.axes[i]
        place = carrier(axis, v, len(run.axes), i)
        if axis.is_interval and v.shape[dim] > 1 and place is None and not _stays(axis, v, dim):
            return dep.noting(run.note("shift-variant"))
        if axis.is_interval and place == dim and v.shape[dim] > 1:
            v = spread(v, dim, len(is_apart))
            check_affordable(v.shape, most=MOST_COPIED)
            v = v.copy()
            wraps = wraps or _wraps(row_along(v, dim), is_apart)
            at = (slice(None),) * dim + (is_apart,)
            v[at] = axis.union(v[at], axis.outside)
        arrays.append(v)
    dep = replace(dep, axes=tuple(arrays))
    return dep.noting(run.note("wraps")) if wraps else dep


def _wraps(row: Array, is_apart: NDArray[np.bool_]) -> bool:
    """Whether rows before the middle come from behind it, or the other way round."""
    low, sees = row[:, 0].astype(np.int64), row[:, 0] < FAR
    inside = np.flatnonzero(~is_apart & sees)
    if not len(inside):
        return False
    middle = low[inside[len(inside) // 2]]
    at = np.arange(len(row))
    before = is_apart & sees & (at < inside[0])
    after = is_apart & sees & (at > inside[-1])
    return bool((low[before] > middle).any() or (low[after] < middle).any())


def apart_from_middle(length: int, part: slice) -> NDArray[np.bool_]:
    """Rows to set apart where a range was written: the range, or what is left if it is in it."""
    inside = np.zeros(length, bool)
    inside[part] = True
    if inside.all() or (part.step or 1) != 1:
        return np.zeros(length, bool)
    return ~inside if inside[length // 2] else inside
