"""Randomness that is a function of place: what endless synthetic pictures are made of.

Every number comes from a hash of integer coordinates, never from a generator's state, so a part of
a picture can be drawn without the rest. Pixels are computed with additions, products, quotients and
square roots alone, which round the same way wherever a pixel stands in an array: parts drawn apart
equal the whole to the bit.
"""

import zlib
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]

_NOISE_SCALE: Final = np.float32((1 / 3 * (151 / 315) ** 2) ** -0.5)
"""Uniform values in [-1, 1) have variance 1/3; cubic B-splines keep 151/315 of it per axis."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """A rectangle of an endless picture, in pixels; `top` and `left` may be negative."""

    top: int
    left: int
    height: int
    width: int

    def grown(self, margin: int) -> "Region":
        """The rectangle with `margin` more pixels on every side."""
        return Region(
            top=self.top - margin,
            left=self.left - margin,
            height=self.height + 2 * margin,
            width=self.width + 2 * margin,
        )

    @property
    def rows(self) -> NDArray[np.int64]:
        """Row of every line of pixels: `(height,)`."""
        return np.arange(self.top, self.top + self.height)

    @property
    def columns(self) -> NDArray[np.int64]:
        """Column of every line of pixels: `(width,)`."""
        return np.arange(self.left, self.left + self.width)


def make_key(seed: int, name: str) -> int:
    """A 32-bit number for one use of randomness, told apart from others by its name."""
    return zlib.crc32(f"{seed} {name}".encode())


def uniform(rows: NDArray[np.int64], columns: NDArray[np.int64], *, key: int) -> FloatArray:
    """Numbers in [0, 1) for whole coordinates that broadcast against each other.

    Source: the mixing steps are "lowbias32" of Wellons, "Prospecting for Hash Functions", 2018.
    """
    mixed = _mix(rows.astype(np.uint32) + np.uint32(key))
    mixed = _mix(mixed ^ (columns.astype(np.uint32) * np.uint32(0x9E3779B1)))
    return (mixed >> np.uint32(8)).astype(np.float32) * np.float32(2**-24)


def white_noise(region: Region, *, key: int) -> FloatArray:
    """Independent numbers in [-1, 1), one a pixel: `(height, width)`."""
    return uniform(region.rows[:, None], region.columns, key=key) * 2 - 1


def smooth_noise(region: Region, *, pitch: int, key: int) -> FloatArray:
    """Noise of unit standard deviation that varies over `pitch` pixels: `(height, width)`.

    Random values on a lattice, interpolated by cubic B-splines: smooth, bounded by 3.7.
    """
    down, weights_down = _spline(region.rows, pitch)
    right, weights_right = _spline(region.columns, pitch)
    lattice = uniform(
        np.arange(down[0], down[-1] + 4)[:, None], np.arange(right[0], right[-1] + 4), key=key
    )
    lattice = (lattice * 2 - 1) * _NOISE_SCALE
    bands = _interpolate(lattice.T, right - right[0], weights_right)
    return _interpolate(bands.T, down - down[0], weights_down)


def _interpolate(
    values: FloatArray, starts: NDArray[np.int64], weights: tuple[FloatArray, ...]
) -> FloatArray:
    """Along the first axis: four values from every start on, each times its weight."""
    total = values[starts] * weights[0][:, None]
    for tap in range(1, 4):
        total += values[starts + tap] * weights[tap][:, None]
    return total


def _spline(
    positions: NDArray[np.int64], pitch: int
) -> tuple[NDArray[np.int64], tuple[FloatArray, ...]]:
    """First of the four lattice points of every position, and their weights."""
    cells = positions // pitch
    t = ((positions - cells * pitch) / pitch).astype(np.float32)
    s = 1 - t
    sixth = np.float32(1 / 6)
    weights = (
        s * s * s * sixth,
        (4 - 6 * t * t + 3 * t * t * t) * sixth,
        (4 - 6 * s * s + 3 * s * s * s) * sixth,
        t * t * t * sixth,
    )
    return cells - 1, weights


def _mix(values: NDArray[np.uint32]) -> NDArray[np.uint32]:
    values = values ^ (values >> np.uint32(16))
    values *= np.uint32(0x7FEB352D)
    values ^= values >> np.uint32(15)
    values *= np.uint32(0x846CA68B)
    return values ^ (values >> np.uint32(16))
