"""Which input indices an output index reads, for every windowed and resampling op.

All functions are pure and cached: a network asks the same question many times.
"""

from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from math import gcd
from typing import Literal

import numpy as np
from numpy.typing import NDArray

EMPTY = -1
"""A tap that reads nothing, such as one between the samples of a transposed convolution."""

OUTSIDE = -2
"""A tap beyond the border, where a larger image would have a value."""

Index = NDArray[np.intp]
PadMode = Literal["constant", "reflect", "replicate"]
Resampling = Literal["nearest", "nearest-exact", "linear", "cubic"]


@dataclass(frozen=True, slots=True, eq=False)
class Taps:
    """Input indices per output index, `(taps, outputs)`, over a dimension of `length` entries.

    `step` is the distance of neighbouring indices that one output reads; 0 if it reads one only.
    """

    index: Index
    length: int
    leaves: bool
    has_empty: bool
    all_see: bool
    step: int


def _taps(index: Index, length: int, step: int) -> Taps:
    index = np.atleast_2d(index)
    sees = index >= 0
    return Taps(
        index=index,
        length=length,
        leaves=bool((index == OUTSIDE).any()),
        has_empty=bool((index == EMPTY).any()),
        all_see=bool(sees.any(axis=0).all()),
        step=step if len(index) > 1 else 0,
    )


def _rows(kernel: int, used: tuple[int, ...] | None) -> Index:
    """Rows of a kernel; a kernel of zeros has the one that lies beyond every map."""
    if used is None:
        return np.arange(kernel)
    return np.array(used or (-(1 << 30),), dtype=np.intp)


@lru_cache(maxsize=4096)
def window_taps(
    length: int,
    outputs: int,
    *,
    kernel: int,
    stride: int,
    padding: int,
    dilation: int,
    used: tuple[int, ...] | None = None,
) -> Taps:
    """Convolution and pooling: output o reads `o * stride - padding + t * dilation`.

    Of the kernel's rows t, `used` are the ones that are not all zero; None for all.
    """
    at = np.arange(outputs) * stride - padding + (_rows(kernel, used) * dilation)[:, None]
    return _taps(np.where((at >= 0) & (at < length), at, OUTSIDE), length, dilation)


@lru_cache(maxsize=4096)
def transposed_taps(
    length: int,
    outputs: int,
    *,
    kernel: int,
    stride: int,
    padding: int,
    dilation: int,
    used: tuple[int, ...] | None = None,
) -> Taps:
    """Transposed convolution: input i writes to `i * stride - padding + t * dilation`."""
    scaled = np.arange(outputs) + padding - (_rows(kernel, used) * dilation)[:, None]
    at, rest = np.divmod(scaled, stride)
    at = np.where((at >= 0) & (at < length), at, OUTSIDE)
    return _taps(np.where(rest == 0, at, EMPTY), length, dilation // gcd(stride, dilation))


@lru_cache(maxsize=4096)
def adaptive_taps(length: int, outputs: int) -> Taps:
    """Adaptive pooling: output o reads from `floor(o n / m)` to below `ceil((o + 1) n / m)`."""
    o = np.arange(outputs)
    start = o * length // outputs
    stop = -(-(o + 1) * length // outputs)
    at = start + np.arange(int((stop - start).max()))[:, None]
    return _taps(np.where(at < stop, at, EMPTY), length, 1)


@lru_cache(maxsize=4096)
def pad_taps(
    length: int, before: int, after: int, mode: PadMode, *, is_border: bool = True
) -> Taps:
    """Padding, and cropping where it is negative; zeros that are no border depend on nothing."""
    at = np.arange(-before, length + after)
    inside = (at >= 0) & (at < length)
    if mode == "constant":
        return _taps(np.where(inside, at, OUTSIDE if is_border else EMPTY), length, 0)
    if mode == "reflect":
        folded = np.abs(at)
        folded = np.where(folded >= length, 2 * (length - 1) - folded, folded)
    else:
        folded = np.clip(at, 0, length - 1)
    return _taps(np.stack([folded, np.where(inside, EMPTY, OUTSIDE)]), length, 0)


@lru_cache(maxsize=4096)
def resample_taps(
    length: int,
    outputs: int,
    *,
    kind: Resampling,
    scale: Fraction,
    align_corners: bool,
) -> Taps:
    """Interpolation without antialiasing; `scale` is input samples per output sample.

    In exact fractions: a neighbour whose weight is exactly 0 is not read.
    """
    o = np.arange(outputs)
    p, q = scale.numerator, scale.denominator
    if kind == "nearest":
        return _taps(np.minimum(o * p // q, length - 1), length, 0)
    if kind == "nearest-exact":
        return _taps(np.minimum((2 * o + 1) * p // (2 * q), length - 1), length, 0)
    if align_corners:
        over, under = o * (length - 1), max(outputs - 1, 1)
    else:
        over, under = (2 * o + 1) * p - q, 2 * q
    at, rest = np.divmod(over, under)
    reach = (0, 1) if kind == "linear" else (-1, 0, 1, 2)
    rows = []
    leaves = np.zeros(outputs, bool)
    for step in reach:
        used = (rest > 0) | (step == 0)
        here = at + step
        leaves |= used & ((here < 0) | (here >= length))
        rows.append(np.where(used, np.clip(here, 0, length - 1), EMPTY))
    rows.append(np.where(leaves, OUTSIDE, EMPTY))
    if kind == "linear" and not align_corners:
        # Positions before the first sample are moved onto it, so its neighbour gets no weight.
        rows[1] = np.where(over < 0, EMPTY, rows[1])
    return _taps(np.stack([row for row in rows if (row != EMPTY).any()]), length, 1)


@lru_cache(maxsize=1024)
def antialias_taps(
    length: int, outputs: int, *, kind: Literal["linear", "cubic"], scale: Fraction
) -> Taps:
    """Antialiased interpolation: a filter as wide as the larger of the two sampling steps."""
    radius = (1 if kind == "linear" else 2) * max(scale, Fraction(1))
    columns, leaves = [], []
    for o in range(outputs):
        centre = scale * (o + Fraction(1, 2))
        low, high = int(centre - radius + Fraction(1, 2)), int(centre + radius + Fraction(1, 2))
        near = [
            i
            for i in range(max(low, 0), min(high, length))
            if _filter_sees(kind, (i + Fraction(1, 2) - centre) / max(scale, Fraction(1)))
        ]
        columns.append(near)
        leaves.append(centre - radius < 0 or centre + radius > length)
    index = np.full((max(map(len, columns)) + 1, outputs), EMPTY)
    for o, near in enumerate(columns):
        index[: len(near), o] = near
        if leaves[o]:
            index[-1, o] = OUTSIDE
    return _taps(index, length, 1)


def _filter_sees(kind: Literal["linear", "cubic"], x: Fraction) -> bool:
    """Whether the triangle or cubic filter is not zero at `x`."""
    x = abs(x)
    return x < 1 if kind == "linear" else x < 2 and x != 1
