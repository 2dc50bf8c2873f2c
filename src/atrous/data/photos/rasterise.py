"""Polygons and run lengths as masks, to the pixel as the tools fill them that they come from."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from atrous.errors import DataError
from atrous.types import Size

Bitmap = NDArray[np.bool_]
"""`(H, W)`, true inside."""

_FINER: Final = 5
"""COCO walks outlines on a grid that is finer by this."""
_FIXED: Final = 16
"""Bits after the point of OpenCV's places on a row."""


def fill_coco(points: NDArray[np.float64], size: Size) -> Bitmap:
    """A polygon as pycocotools fills it.

    The outline is walked on a grid five times as fine. Where it crosses the middle of a column, all
    pixels below, column after column, change from out to in or back.

    Args:
        points: `(n, 2)`, x and y in pixels, from the corner of the picture.
        size: `(H, W)` of the mask.

    Source: Lin et al., the COCO API, `rleFrPoly` in maskApi.c.
    """
    height, width = size
    corners = np.trunc(_FINER * points + 0.5).astype(np.int64)
    walked = [
        _walk(start, stop) for start, stop in zip(corners, np.roll(corners, -1, 0), strict=True)
    ]
    u, v = np.concatenate(walked, axis=1)
    moves = np.flatnonzero(np.diff(u)) + 1
    columns = np.where(u[moves] < u[moves - 1], u[moves], u[moves] - 1)
    x = (columns + 0.5) / _FINER - 0.5
    y = np.ceil(np.clip((np.minimum(v[moves], v[moves - 1]) + 0.5) / _FINER - 0.5, 0, height))
    is_middle = (np.floor(x) == x) & (x >= 0) & (x <= width - 1)
    changes = (x * height + y)[is_middle].astype(np.int64)
    counts = np.bincount(changes, minlength=height * width + 1)[: height * width]
    return (np.cumsum(counts) % 2 == 1).reshape(width, height).T


def _walk(start: NDArray[np.int64], stop: NDArray[np.int64]) -> NDArray[np.int64]:
    """Places `(2, n)` from a corner to the next, one for each step along the longer axis."""
    along = int(abs(stop[1] - start[1]) > abs(stop[0] - start[0]))
    is_backwards = start[along] > stop[along]
    low, high = (stop, start) if is_backwards else (start, stop)
    length = int(high[along] - low[along])
    steps = np.arange(length, -1, -1) if is_backwards else np.arange(length + 1)
    slope = (high[1 - along] - low[1 - along]) / length if length else 0.0
    across = np.trunc(low[1 - along] + slope * steps + 0.5).astype(np.int64)
    places = (low[along] + steps, across)
    return np.stack(places[::-1] if along else places)


def fill_opencv(points: NDArray[np.int64], size: Size) -> Bitmap:
    """A polygon of whole pixels as OpenCV's `fillPoly` fills it: its outline is inside.

    Args:
        points: `(n, 2)`, x and y.
        size: `(H, W)` of the mask.

    Source: Bradski, "The OpenCV Library", Dr. Dobb's Journal 2000; drawing.cpp.
    """
    height = size[0]
    mask = np.zeros(size, np.bool_)
    crossings: list[list[int]] = [[] for _ in range(height)]
    for start, stop in zip(points.tolist(), np.roll(points, -1, 0).tolist(), strict=True):
        _draw_line(mask, start, stop)
        (left, top), (right, bottom) = sorted((start, stop), key=lambda point: point[1])
        if top == bottom:
            continue
        step = int(((right - left) << _FIXED) / (bottom - top))
        for row in range(max(top, 0), min(bottom, height)):
            crossings[row].append((left << _FIXED) + step * (row - top))
    for row, found in enumerate(crossings):
        found.sort()
        for enter, leave in zip(found[::2], found[1::2], strict=False):
            first = (enter + (1 << _FIXED) - 1) >> _FIXED
            mask[row, max(first, 0) : max((leave >> _FIXED) + 1, 0)] = True
    return mask


def _draw_line(mask: Bitmap, start: Sequence[int], stop: Sequence[int]) -> None:
    """Bresenham's line from the left to the right, both ends drawn."""
    (x0, y0), (x1, y1) = sorted((start, stop), key=lambda point: point[0])
    if start[0] == stop[0]:
        (x0, y0), (x1, y1) = start, stop
    down = 1 if y1 >= y0 else -1
    across, along = sorted((x1 - x0, abs(y1 - y0)))
    steps = np.arange(along + 1)
    aside = (2 * across * steps + along - 1) // (2 * along) if along else steps
    is_steep = abs(y1 - y0) > x1 - x0
    xs = x0 + (aside if is_steep else steps)
    ys = y0 + down * (steps if is_steep else aside)
    is_inside = (xs >= 0) & (ys >= 0) & (ys < mask.shape[0]) & (xs < mask.shape[1])
    mask[ys[is_inside], xs[is_inside]] = True


def decode_runs(counts: str | Sequence[int], size: Size) -> Bitmap:
    """COCO's run lengths, column after column, outside first: as numbers, or packed into a text.

    Raises:
        DataError: If they are not for a mask of this size.

    Source: the COCO API, `rleFrString` in maskApi.c.

    Example:
        >>> decode_runs([1, 2, 1], (2, 2)).tolist()
        [[False, True], [True, False]]
    """
    runs = np.array(_unpacked(counts) if isinstance(counts, str) else counts, np.int64)
    if (runs < 0).any() or runs.sum() != size[0] * size[1]:
        raise DataError(
            f"run lengths of {int(runs.sum()):,} pixels, expected {size[0]} x {size[1]} (H x W)"
        )
    is_inside = np.arange(len(runs)) % 2 == 1
    return np.repeat(is_inside, runs).reshape(size[1], size[0]).T


def _unpacked(text: str) -> list[int]:
    """Numbers of five bits a character, from the third on as differences to the last but one."""
    runs: list[int] = []
    value = shift = 0
    for character in text:
        bits = ord(character) - 48
        value |= (bits & 31) << shift
        shift += 5
        if bits & 32:
            continue
        if bits & 16:
            value -= 1 << shift
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
        value = shift = 0
    return runs
