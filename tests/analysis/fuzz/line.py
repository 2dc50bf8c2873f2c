"""What the outputs of a map read along one axis, out of what each of them was seen to read."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

Reads = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Line:
    """What the outputs of a map read along one axis, at one input length.

    Attributes:
        length: Planes of the input.
        size: First to last plane, both counted, of the output that reads farthest.
        middle_size: The same over the middle third of outputs, if the border is out of reach for
            all of them; None if it is not, or if the output is no map or a small one.
        is_small: Whether the output has so few positions that none is far from the border.
        counts: Planes really read by those of the middle that read farthest.
        jump: Planes per step on the output; None if the middle is too short or irregular.
        start: First plane of output 0, carried on from the middle; None as `jump`.
        centre: Middle of that.
    """

    length: int
    size: int
    middle_size: int | None = None
    is_small: bool = False
    counts: frozenset[int] = frozenset()
    jump: Fraction | None = None
    start: Fraction | None = None
    centre: Fraction | None = None


def line_of(reads: Reads, axis: int, num_axes: int) -> Line:
    """Sizes, jump and start out of what every output reads along an axis."""
    length = reads.shape[0]
    if reads.ndim - 1 != num_axes + 2:
        flat = reads.reshape(length, -1)
        return Line(length=length, size=_largest(flat), is_small=True)
    for other in range(num_axes):
        if other != axis and reads.shape[3 + other] > 2:
            reads = reads.take(_middle_third(reads, 3 + other), axis=3 + other)
    rows = reads.any(axis=tuple(d for d in range(1, reads.ndim) if d != 3 + axis))
    size = _largest(rows)
    n = rows.shape[1]
    middle = _middle_third(rows, 1)
    ends = [_ends(rows[:, i]) for i in middle]
    free = [e for e in ends if e is None or (e[0] > 0 and e[1] < length - 1)]
    if n < 6 or len(free) < len(ends) or not any(free):
        return Line(length=length, size=size, is_small=n < 6)
    widths = [0 if e is None else e[1] - e[0] + 1 for e in ends]
    widest = max(widths)
    counts = {
        int(rows[:, i].sum()) for i, width in zip(middle, widths, strict=True) if width == widest
    }
    jump, start, centre = _regular(*_unclipped(rows, middle, widest))
    return Line(
        length=length,
        size=size,
        middle_size=widest,
        counts=frozenset(counts),
        jump=jump,
        start=start,
        centre=centre,
    )


def _middle_third(reads: Reads, axis: int) -> range:
    """Of the outputs along an axis that lie between the first and the last that read anything."""
    some = np.flatnonzero(reads.any(axis=tuple(d for d in range(reads.ndim) if d != axis)))
    first, stop = (int(some[0]), int(some[-1]) + 1) if len(some) else (0, reads.shape[axis])
    third = (stop - first) // 3
    return range(first + third, stop - third)


Ends = tuple[int, int] | None


def _ends(row: Reads) -> Ends:
    at = np.flatnonzero(row)
    return (int(at[0]), int(at[-1])) if len(at) else None


def _largest(rows: Reads) -> int:
    """Widest column, from its first to its last plane."""
    ends = [_ends(column) for column in rows.T]
    return max((e[1] - e[0] + 1 for e in ends if e is not None), default=0)


def _unclipped(rows: Reads, middle: range, widest: int) -> tuple[list[Ends], int]:
    """The middle and what adjoins it as far as no border can cut it, and its first output."""
    last = len(rows) - widest

    def is_clear(i: int) -> bool:
        ends = _ends(rows[:, i]) if 0 <= i < rows.shape[1] else None
        return ends is not None and ends[0] >= widest - 1 and ends[1] <= last

    first, stop = middle.start, middle.stop
    while is_clear(first - 1):
        first -= 1
    while is_clear(stop):
        stop += 1
    return [_ends(rows[:, i]) for i in range(first, stop)], first


def _regular(
    ends: Sequence[Ends], first: int
) -> tuple[Fraction | None, Fraction | None, Fraction | None]:
    """Jump, start and centre of output 0 from the period after which the fields repeat."""
    for period in range(1, len(ends) // 3 + 1):
        moves = set()
        for a, b in zip(ends, ends[period:], strict=False):
            if (a is None) != (b is None):
                moves.add((None, None))
            elif a is not None and b is not None:
                moves.add((b[0] - a[0], b[1] - a[1]))
        if len(moves) != 1:
            continue
        move = moves.pop()
        if move[0] is None or move[0] != move[1]:
            return None, None, None
        jump = Fraction(move[0], period)
        at = [(i, e) for i, e in enumerate(ends, first) if e is not None]
        index, (low, high) = min(at, key=lambda pair: (pair[0] % period, pair[0]))
        return jump, low - index * jump, Fraction(low + high, 2) - index * jump
    return None, None, None
