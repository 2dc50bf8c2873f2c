"""Ellipses scattered over an endless plane: ducts, vessels, fat cells, nuclei.

The plane is divided into square cells, each with at most one ellipse, whose place and form are
hashes of the cell. Large ones are met by their distance from every pixel, small ones are stamped.
Places are multiples of 1/32 pixel, so that differences between them and pixels are exact.
"""

from dataclasses import dataclass
from math import ceil
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from atrous.data.synthetic.noise import FloatArray, Region, make_key, uniform

Range = tuple[float, float]
"""Least and greatest of a random value."""

MAX_WARP: Final = 20
"""Pixels that `find_nearest` may shift a pixel by."""


@dataclass(frozen=True, slots=True)
class Cells:
    """Square cells of one lattice."""

    pitch: int
    """Side of a cell, pixels."""
    rows: NDArray[np.int64]
    """Cell indices downwards, `(n,)`."""
    columns: NDArray[np.int64]
    """Cell indices to the right, `(m,)`."""
    seed: int

    @property
    def shape(self) -> tuple[int, int]:
        """`(n, m)`."""
        return len(self.rows), len(self.columns)

    def draw(self, name: str, low: float = 0.0, high: float = 1.0) -> FloatArray:
        """One random number a cell, told apart by name: `(n, m)`, in [low, high)."""
        values = uniform(self.rows[:, None], self.columns, key=make_key(self.seed, name))
        return values * np.float32(high - low) + np.float32(low)

    def scatter(self, name: str, region: Region, *, jitter: float) -> tuple[FloatArray, FloatArray]:
        """One random place a cell, from a region's first pixel: y and x, `(n, m)` each.

        With a jitter of 0 it is the middle of the cell, with 1 it may be anywhere in it.
        """
        least, greatest = (1 - jitter) / 2 * self.pitch, (1 + jitter) / 2 * self.pitch
        y, x = (
            np.rint(self.draw(f"{name} {axis}", least, greatest) * 32) * np.float32(1 / 32)
            for axis in "yx"
        )
        y += (self.rows * self.pitch - region.top).astype(np.float32)[:, None]
        x += (self.columns * self.pitch - region.left).astype(np.float32)
        return y, x


def cells_within(region: Region, *, margin: int, pitch: int, seed: int) -> Cells:
    """The cells that touch a region grown by a margin of pixels."""
    grown = region.grown(margin)
    first_row, last_row = grown.rows[[0, -1]] // pitch
    first_column, last_column = grown.columns[[0, -1]] // pitch
    return Cells(
        pitch=pitch,
        rows=np.arange(first_row, last_row + 1),
        columns=np.arange(first_column, last_column + 1),
        seed=seed,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Ellipses:
    """What ellipses one lattice holds; lengths in pixels."""

    name: str
    pitch: int
    radius: Range
    """Half the long axis."""
    elongation: Range
    """Long axis over short axis."""
    jitter: float
    """How far from the middle of its cell one may lie, 0 to 1."""
    reach: int
    """How far beyond its edge one matters."""

    def cells(self, region: Region, *, seed: int) -> Cells:
        """The cells whose ellipses can matter to a region."""
        margin = ceil(self.radius[1]) + self.reach + MAX_WARP
        return cells_within(region, margin=margin, pitch=self.pitch, seed=seed)


@dataclass(frozen=True, slots=True)
class Nearest:
    """What every pixel of a region has nearest: `(H, W)` each, lengths in pixels."""

    distance: FloatArray
    """To the edge of the nearest ellipse, negative inside; the reach where none is nearer."""
    second: FloatArray
    """To the edge of the one after."""
    cell: NDArray[np.int32]
    """Flat index of the nearest one's cell; without meaning where none is within reach, as y, x."""
    y: FloatArray
    """From the nearest one's centre."""
    x: FloatArray

    def take(self, values: NDArray[Any]) -> NDArray[Any]:
        """The nearest one's value, of values that are given by cell `(n, m)`."""
        return values.ravel()[self.cell]


def find_nearest(
    ellipses: Ellipses,
    region: Region,
    cells: Cells,
    is_there: NDArray[np.bool_],
    *,
    warp: tuple[FloatArray, FloatArray],
) -> Nearest:
    """Measure every pixel against the ellipses around it.

    Args:
        ellipses: What there may be.
        region: The pixels.
        cells: `ellipses.cells(region)`.
        is_there: Which cells hold one, `(n, m)`.
        warp: How far every pixel is shifted, y and x `(H, W)`, at most MAX_WARP.
    """
    shape = (region.height, region.width)
    rows, columns = (np.arange(length, dtype=np.float32) for length in shape)
    centre_y, centre_x = cells.scatter(ellipses.name, region, jitter=ellipses.jitter)
    radius = cells.draw(f"{ellipses.name} radius", *ellipses.radius)
    yy, yx, xx = _quadratic_form(ellipses, cells)
    # Beyond these half lengths every pixel is farther than the reach, which changes nothing.
    longer = np.sqrt(xx * yy - yx * yx / 4)
    half_y = (radius + ellipses.reach) * np.sqrt(xx) / longer + (1 + np.abs(warp[0]).max())
    half_x = (radius + ellipses.reach) * np.sqrt(yy) / longer + (1 + np.abs(warp[1]).max())
    touches = (abs(2 * centre_y - region.height) < region.height + 2 * half_y) & (
        abs(2 * centre_x - region.width) < region.width + 2 * half_x
    )
    best = np.full(shape, np.float32(ellipses.reach))
    second = best.copy()
    winner = np.zeros(shape, np.int32)
    for n, m in np.argwhere(is_there & touches):
        window = (_span(centre_y[n, m], half_y[n, m]), _span(centre_x[n, m], half_x[n, m]))
        dy = (rows[window[0]] - centre_y[n, m])[:, None] + warp[0][window]
        dx = (columns[window[1]] - centre_x[n, m]) + warp[1][window]
        square = dy * (dy * yy[n, m] + dx * yx[n, m]) + dx * dx * xx[n, m]
        distance = np.sqrt(np.maximum(square, 0, out=square), out=square)
        distance -= radius[n, m]
        np.copyto(winner[window], np.int32(n * cells.shape[1] + m), where=distance < best[window])
        later = np.maximum(best[window], distance, out=dy)
        np.minimum(second[window], later, out=second[window])
        np.minimum(best[window], distance, out=best[window])
    return Nearest(
        distance=best,
        second=second,
        cell=winner,
        y=rows[:, None] - centre_y.ravel()[winner] + warp[0],
        x=columns - centre_x.ravel()[winner] + warp[1],
    )


def _span(centre: float, half: float) -> slice:
    """The pixels that lie within `half` of a place along one axis."""
    return slice(max(0, ceil(centre - half)), max(0, ceil(centre + half)))


def _quadratic_form(ellipses: Ellipses, cells: Cells) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Coefficients of y², y x and x² that give the square of a point's elliptic radius."""
    cosine, sine = direction(cells.draw(f"{ellipses.name} direction", -1, 1))
    longer = cells.draw(f"{ellipses.name} elongation", *ellipses.elongation)
    square = longer * longer
    return (
        sine * sine + square * cosine * cosine,
        2 * cosine * sine * (1 - square),
        cosine * cosine + square * sine * sine,
    )


def nearest_pixel(places: FloatArray) -> NDArray[np.int64]:
    """Index of the pixel that a place lies in; halves go up, wherever the first pixel lies."""
    return np.floor(places + 0.5).astype(np.int64)


def direction(half_tangent: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Cosine and sine of an angle from the tangent of its half, in exact arithmetic."""
    square = half_tangent * half_tangent
    scale = np.float32(1) / (1 + square)
    return (1 - square) * scale, 2 * half_tangent * scale


@dataclass(frozen=True, slots=True)
class Spots:
    """Small ellipses with soft edges, one entry each, `(N,)`; lengths in pixels."""

    y: FloatArray
    """Centre, from the middle of the canvas's first pixel, in multiples of 1/32."""
    x: FloatArray
    long: FloatArray
    """Half axes."""
    short: FloatArray
    cosine: FloatArray
    """Direction of the long axis: x part, y part."""
    sine: FloatArray
    strength: FloatArray
    """Value within."""
    hollow: float
    """How much of it is missing in the middle, 0 to 1."""


def stamp(canvas: FloatArray, spots: Spots, *, reach: int) -> None:
    """Draw spots on a canvas `(H, W)`; where they overlap, the greater value stays.

    Args:
        canvas: Changed in place.
        spots: What to draw; parts that lie outside the canvas are left out.
        reach: Pixels from a centre that a spot may touch.
    """
    height, width = canvas.shape
    row, column = nearest_pixel(spots.y), nearest_pixel(spots.x)
    span = np.arange(-reach, reach + 1)
    dy = (span - (spots.y - row)[:, None]).astype(np.float32)[:, :, None]
    dx = (span - (spots.x - column)[:, None]).astype(np.float32)[:, None, :]
    cosine, sine, long, short, strength = (
        values[:, None, None]
        for values in (spots.cosine, spots.sine, spots.long, spots.short, spots.strength)
    )
    along = (dx * cosine + dy * sine) / long
    across = (dy * cosine - dx * sine) / short
    radius = np.sqrt(along * along + across * across)
    value = np.clip((1 - radius) * short + 0.5, 0, 1) * strength
    middle = np.clip(1.2 - 1.5 * radius, 0, 1)
    value *= 1 - spots.hollow * middle

    rows, columns = (row[:, None] + span)[:, :, None], (column[:, None] + span)[:, None, :]
    is_drawn = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width) & (value > 0)
    np.maximum.at(canvas.reshape(-1), (rows * width + columns)[is_drawn], value[is_drawn])
