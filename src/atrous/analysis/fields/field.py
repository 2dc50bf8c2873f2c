"""Reading size, jump, start and holes of a field from what a feature map depends on."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from atrous.analysis.fields.axes import (
    FAR,
    Array,
    Axis,
    Shape,
    align,
    interval_axis,
    reduce,
)
from atrous.analysis.fields.dependence import Dependence, touch_along

Extent = Literal["finite", "whole", "cut"]
"""finite: all of it was seen; whole: all of the input, whatever its border hides; cut: the border
of the input hides the rest."""

_MAX_PERIOD = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """What one output of a feature map sees of the input, per axis, in input pixels.

    Attributes:
        size: Lowest to highest position, both counted; where phases differ (up-sampling), the
            largest.
        jump: Distance between the fields of neighbouring outputs; None if irregular or not
            resolved.
        start: Where the field of output 0 would begin without borders; negative by the padding.
        centre: Centre of that field.
        seen: Positions inside the field that are really read; fewer than `size` means holes
            (gridding). Where phases of one size differ, the most. None where the holes were not
            asked for.
        extent: Whether `size` is the true size, all of the input, or what the border left of it.
    """

    size: tuple[int, ...]
    jump: tuple[float | None, ...]
    start: tuple[float | None, ...]
    centre: tuple[float | None, ...]
    seen: tuple[int | None, ...]
    extent: tuple[Extent, ...]

    @property
    def coverage(self) -> float | None:
        """Share of the field that is read: product of the axes.

        Exact for a chain of layers; where branches join it is an upper bound, because they need not
        combine every row with every column.
        """
        share = 1.0
        for seen, size in zip(self.seen, self.size, strict=True):
            if seen is None:
                return None
            share *= seen / max(size, 1)
        return share


@dataclass(frozen=True, slots=True)
class _Line:
    """One axis of a field."""

    size: int
    jump: float | None
    start: float | None
    centre: float | None
    extent: Extent
    widest: NDArray[np.intp]


def rows_of(axis: Axis, v: Array, dim: int | None) -> Array:
    """Sets per index of one dimension, united over all other dimensions: `(n, K)`."""
    v = reduce(axis, v, [d for d in range(v.ndim - 1) if d != dim])
    return v.reshape(-1, v.shape[-1])


def middle_rows(axis: Axis, v: Array, dim: int, others: Sequence[int | None]) -> Array:
    """Sets per index of one dimension, all channels together, in the middle of other axes.

    The borders of another axis can leave outputs without any input; those say nothing about this
    one. `others` are the dimensions along which those axes run.
    """
    for d in others:
        if d is not None and d != dim and v.shape[d] > 1:
            n = v.shape[d]
            v = v.take(range(n // 3, n - n // 3), axis=d)
    return rows_of(axis, v, dim)


def main_dims(dep: Dependence, shape: Shape, axes: tuple[Axis, ...]) -> list[int | None]:
    """The dimension of a map along which each input axis runs."""
    return [
        main_dim(axis, align(v, len(shape)), len(axes), i)
        for i, (axis, v) in enumerate(zip(axes, dep.axes, strict=True))
    ]


def main_dim(axis: Axis, v: Array, num_axes: int, i: int) -> int | None:
    """The dimension of a map that runs along an input axis: the third and on in `(B, C, *S)`.

    Maps that hold the channels last are recognised by the dimension over which the field moves
    most.
    """
    ndim = v.ndim - 1
    if ndim != num_axes + 2:
        return None
    long = [d for d in range(ndim) if v.shape[d] > 1]
    if len(long) < 2:
        return long[0] if long else 2 + i

    def travel(dim: int) -> tuple[int, bool]:
        low, _, sees = _spans(rows_of(axis, v, dim))
        return int(np.ptp(low[sees])) if sees.any() else 0, dim == 2 + i

    return max(long, key=travel)


def read_field(
    dep: Dependence, shape: Shape, axes: tuple[Axis, ...], *, is_fractional: bool = False
) -> Field:
    """The field of a feature map of `shape`, from intervals."""
    is_mixed = any(note.kind == "global" for note in dep.notes)
    lines = []
    dims = main_dims(dep, shape, axes)
    for i, axis in enumerate(axes):
        v, dim = align(dep.axes[i], len(shape)), dims[i]
        if dim is None:
            lines.append(_read_irregular(v.reshape(-1, 3), axis.length, is_mixed))
        else:
            lines.append(
                _read_line(
                    middle_rows(axis, v, dim, dims),
                    axis.length,
                    dep.guess[i][1],
                    is_mixed=is_mixed,
                    is_fractional=is_fractional,
                )
            )
    return Field(
        size=tuple(line.size for line in lines),
        jump=tuple(line.jump for line in lines),
        start=tuple(line.start for line in lines),
        centre=tuple(line.centre for line in lines),
        seen=(None,) * len(lines),
        extent=tuple(line.extent for line in lines),
    )


def widest(
    dep: Dependence, shape: Shape, axes: tuple[Axis, ...], *, within_half: bool = False
) -> tuple[int, ...]:
    """Most positions, lowest to highest, that any place of a map sees, borders or not.

    Args:
        dep: Dependence of the map.
        shape: Its shape.
        axes: The input axes.
        within_half: Leave out places that see from one half of the input into the other and more,
            as those on a seam of joined borders do.
    """
    sizes = []
    dims = main_dims(dep, shape, axes)
    for axis, v, dim in zip(axes, dep.axes, dims, strict=True):
        v = align(v, len(shape))
        if dim is not None:  # channels together, places of other axes apart
            v = reduce(axis, v, [d for d in range(v.ndim - 1) if d not in dims])
        low, minus_high = v[..., 0], v[..., 1]
        minus_span = np.where(low < FAR, low + minus_high - 1, 0)
        if within_half:
            minus_span = minus_span[2 * minus_span >= -axis.length]
        sizes.append(-int(minus_span.min(initial=0)))
    return tuple(sizes)


def _spans(rows: Array) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
    low, high = rows[:, 0].astype(np.int64), -rows[:, 1].astype(np.int64)
    return low, high, low < FAR


def _read_irregular(rows: Array, length: int, is_mixed: bool) -> _Line:
    """A tensor whose dimensions are not the image's, such as tokens: the size only."""
    low, high, sees = _spans(rows)
    if not sees.any():
        return _Line(0, None, None, None, "finite", _NONE)
    clear = sees & (rows[:, 2] == 1)
    used = clear if clear.any() else sees
    size = int((high - low + 1)[used].max())
    extent: Extent = "whole" if is_mixed and size == length else "finite" if clear.any() else "cut"
    return _Line(size, None, None, None, extent, _NONE)


def _read_line(
    rows: Array, length: int, guess: Fraction, *, is_mixed: bool, is_fractional: bool = False
) -> _Line:
    """A regular axis: size, jump and start from the outputs that no border touches."""
    low, high, sees = _spans(rows)
    sizes = np.where(sees, high - low + 1, 0)
    clear = sees & (rows[:, 2] == 1)
    if is_mixed and (sizes[clear if clear.any() else sees] == length).any():
        return _Line(length, None, None, None, "whole", _middle(rows))
    at = np.flatnonzero(rows[:, 2] == 1)
    if not sees[at].any():
        size = int(sizes.max())
        return _Line(size, None, None, None, "cut" if size else "finite", _middle(rows))
    at = _longest_run(at)
    size = int(sizes[at].max())
    widest = at[sizes[at] == size]
    period = _period(low[at], high[at], guess, is_fractional=is_fractional)
    if period is None:
        return _Line(size, None, None, None, "finite", widest)
    count, shift = period
    jump = Fraction(shift, count)
    seeing = at[sees[at]]
    origin = seeing[(seeing % count).argmin()]  # the phase of output 0, if that one sees anything
    start = float(int(low[origin]) - int(origin) * jump)
    centre = float(Fraction(int(low[origin] + high[origin]), 2) - int(origin) * jump)
    return _Line(size, float(jump), start, centre, "finite", widest)


_NONE: Final = np.zeros(0, np.intp)


def _middle(rows: Array) -> NDArray[np.intp]:
    return np.array([len(rows) // 2])


def _longest_run(at: NDArray[np.intp]) -> NDArray[np.intp]:
    """The longest stretch of neighbouring indices."""
    if at[-1] - at[0] + 1 == len(at):
        return at
    return max(np.split(at, np.flatnonzero(np.diff(at) != 1) + 1), key=len)


def _period(
    low: NDArray[np.int64],
    high: NDArray[np.int64],
    guess: Fraction | None,
    *,
    is_fractional: bool = False,
) -> tuple[int, int] | None:
    """Smallest number of outputs after which the fields repeat, and by how many pixels they moved.

    Outputs that see nothing, with `low` beyond any image, must recur too. A repetition is believed
    if it is the textbook's jump, seen over two periods; else over four, and only if no op resampled
    by a fraction, whose own period may be longer than what is seen.
    """
    sees = low < FAR
    for count in range(1, min(_MAX_PERIOD, len(low) - 1) + 1):
        both = sees[count:] & sees[:-count]
        if not both.any() or (sees[count:] != sees[:-count]).any():
            continue
        moves = (low[count:] - low[:-count])[both]
        shift = int(moves[0])
        if (moves == shift).all() and ((high[count:] - high[:-count])[both] == shift).all():
            if guess is not None and Fraction(shift, count) == guess:
                if len(low) >= 2 * count or count == 1:
                    return count, shift
            elif not is_fractional and len(low) >= max(32, 4 * count):
                return count, shift
    return None


def period_of(
    rows: Array, guess: Fraction, *, is_fractional: bool = False
) -> tuple[int, int] | None:
    """(outputs, pixels) after which the fields in the middle repeat; None if they do not."""
    low, high, _ = _spans(rows)
    at = np.flatnonzero(rows[:, 2] == 1)
    if len(at) < 2:
        return None
    at = _longest_run(at)
    return _period(low[at], high[at], guess, is_fractional=is_fractional)


def is_solid(dep: Dependence, shape: Shape, axes: tuple[Axis, ...]) -> bool:
    """Whether the fields of a map, all channels together, have no holes for certain."""
    if not dep.is_solid:
        return False
    for axis, w, dim in zip(axes, dep.axes, main_dims(dep, shape, axes), strict=True):
        v = align(w, len(shape))
        if not all(touch_along(axis, v, d, 1) for d in range(len(shape)) if d != dim):
            return False
    return True


def count_seen(
    dep: Dependence, intervals: Dependence, shape: Shape, axes: tuple[Axis, ...]
) -> tuple[int | None, ...]:
    """Positions that an output reads, per axis, from a run that kept every position.

    `intervals` is the same feature map from a run of intervals: it tells which outputs see
    farthest. Of those, whose phases may differ, the one that reads most is counted.
    """
    counts: list[int | None] = []
    plain = tuple(interval_axis(axis.length) for axis in axes)
    dims = main_dims(intervals, shape, plain)
    for i, (axis, dim) in enumerate(zip(axes, dims, strict=True)):
        if dim is None:
            counts.append(None)
            continue
        spans = middle_rows(plain[i], align(intervals.axes[i], len(shape)), dim, dims)
        rows = middle_rows(axis, align(dep.axes[i], len(shape)), dim, dims)
        at = _read_line(spans, axis.length, intervals.guess[i][1], is_mixed=False).widest
        chosen = rows[at] if len(rows) > 1 else rows[:1]
        counts.append(int(np.bitwise_count(chosen[:, :-1]).sum(axis=1).max()))
    return tuple(counts)
