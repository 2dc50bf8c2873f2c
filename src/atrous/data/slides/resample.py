"""Resample windows of a grid so that each pixel depends on its place alone, never on the window.

All sums are of whole numbers below 2^24, which 32-bit floats hold exactly: whatever order a matrix
product adds them in, overlapping windows agree to the byte. Weights are rounded to 1/65536 down and
to 1/4096 to the right, so that a pixel is within one grey level of the exact mean.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil
from typing import Final

import numpy as np
from numpy.typing import NDArray

from atrous.data.slides.parts import Pixels
from atrous.types import Size

_DOWN: Final = 1 << 16
_RIGHT: Final = 1 << 12
_BETWEEN: Final = 1 << 4
"""Steps of a grey level that are kept between the two passes: 255 · 16 · 4096 < 2^24."""
_ROWS: Final = 32
"""Outputs per matrix product: few, because most of a wide band's weights are 0."""
_BLOCK: Final = 1 << 22
"""Pixels of the source that are read at once, at most, where a row of one output allows it."""

_Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class _Taps:
    """For each output along an axis, the first input and the weights of those that follow it."""

    first: NDArray[np.int64]
    weights: NDArray[np.int64]
    start: int
    stop: int

    def apply(self, values: _Floats) -> _Floats:
        """`(stop - start, N)` to `(outputs, N)`."""
        out = np.empty((len(self.first), values.shape[1]), np.float32)
        for begin in range(0, len(self.first), _ROWS):
            first = self.first[begin : begin + _ROWS] - self.start
            weights = self.weights[begin : begin + _ROWS]
            low = int(first.min())
            high = min(int(first.max()) + weights.shape[1], self.stop - self.start)
            band = np.zeros((len(first), high - low), np.float32)
            for tap in range(weights.shape[1]):
                there = weights[:, tap] > 0
                band[there, first[there] + tap - low] = weights[there, tap]
            np.matmul(band, values[low:high], out=out[begin : begin + _ROWS])
        return out


def resample(
    read: Callable[[int, int, Size], Pixels],
    *,
    top: int,
    left: int,
    size: Size,
    scale: tuple[float, float],
    limits: Size,
) -> Pixels:
    """A window `(H, W, 3)` of the grid whose pixel is `scale` pixels of a source.

    A pixel is the mean of the source over its area, as far as the source reaches; on an axis with a
    scale below 1, which asks for more than the source has, it is interpolated linearly.

    Args:
        read: Gives the source's window from a top, a left and a size on.
        top: Of the window, in pixels of the grid.
        left: Likewise.
        size: Of the window, likewise.
        scale: Source pixels per grid pixel, down and to the right.
        limits: `(H, W)` of the source.
    """
    out = np.empty((*size, 3), np.uint8)
    # As square as can be in the source, where tiles are.
    side = int(_BLOCK**0.5)
    height, width = (max(1, int(side / scale[axis]) - 2) for axis in range(2))
    for y in range(0, size[0], height):
        rows = _taps(top + y, min(height, size[0] - y), scale[0], limits[0], _DOWN)
        for x in range(0, size[1], width):
            columns = _taps(left + x, min(width, size[1] - x), scale[1], limits[1], _RIGHT)
            out[y : y + height, x : x + width] = _block(read, rows, columns)
    return out


def _block(read: Callable[[int, int, Size], Pixels], rows: _Taps, columns: _Taps) -> Pixels:
    window = (rows.stop - rows.start, columns.stop - columns.start)
    source = read(rows.start, columns.start, window).astype(np.float32)
    down = rows.apply(source.reshape(window[0], -1))
    down = np.floor((down + _DOWN // _BETWEEN / 2) / (_DOWN // _BETWEEN))
    turned = down.reshape(-1, window[1], 3).transpose(1, 0, 2).reshape(window[1], -1)
    right = columns.apply(turned)
    right = np.floor((right + _RIGHT * _BETWEEN / 2) / (_RIGHT * _BETWEEN))
    return right.reshape(-1, len(rows.first), 3).transpose(1, 0, 2).astype(np.uint8)


def _taps(start: int, count: int, scale: float, limit: int, total: int) -> _Taps:
    outputs = np.arange(start, start + count, dtype=np.float64)
    first, weights = _linear(outputs, scale, limit, total)
    if scale >= 1:
        first, weights = _area(outputs, scale, limit, total)
    used = first + np.max(np.arange(weights.shape[1]) * (weights > 0), axis=1)
    return _Taps(first, weights, int(first[0]), int(used.max()) + 1)


def _area(
    outputs: NDArray[np.float64], scale: float, limit: int, total: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    # A grid that is rounded up may end half a pixel beyond the source: the last pixel stands there.
    begin = np.minimum(outputs * scale, limit - 1)
    end = np.maximum(np.minimum((outputs + 1) * scale, limit), begin + 1e-6)
    first = np.floor(begin).astype(np.int64)
    edges = first[:, np.newaxis] + np.arange(ceil(scale) + 2)
    inside = np.clip(edges, begin[:, np.newaxis], end[:, np.newaxis]) - begin[:, np.newaxis]
    # Sums are rounded, not weights, so that they come to `total` whatever their number.
    sums = np.rint(inside / (end - begin)[:, np.newaxis] * total)
    return first, np.diff(sums, axis=1).astype(np.int64)


def _linear(
    outputs: NDArray[np.float64], scale: float, limit: int, total: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    centres = np.clip((outputs + 0.5) * scale - 0.5, 0, limit - 1)
    first = np.floor(centres).astype(np.int64)
    second = np.rint((centres - first) * total).astype(np.int64)
    return first, np.stack([total - second, second], axis=1)
