"""A scan and its labels packed for a page: grey levels as JPEG, labels to the bit.

A page holds the axial slices of a channel side by side on one sheet; what draws it takes the
coronal and the sagittal ones from the same voxels.
"""

import base64
import io
import math
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from atrous.data.volumes.slice import grey8

_BLOCK: Final = 8
"""Of JPEG: slices begin at its multiples, so that none blurs into its neighbour."""

_QUALITIES: Final = (85, 70, 55, 40)
_THINNED_QUALITY: Final = 55
_PACKING: Final = 6
"""Of zlib: 9 takes four times as long and saves little."""

Size3 = tuple[int, int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class GreySheet:
    """Axial slices of one channel on one picture, row by row from the lowest."""

    source: str
    """A data URI."""
    grid: Size3
    """`(D, H, W)` of what is there: every `steps[0]`-th slice, means of the other steps."""
    steps: Size3
    tile: tuple[int, int]
    """`(H, W)` from slice to slice on the sheet, pixels."""
    columns: int


def grey_sheet(values: NDArray[np.float32], *, max_bytes: int) -> GreySheet:
    """One channel `(D, H, W)` in at most so many bytes of text.

    Quality goes first, then detail within slices, then slices.
    """
    grey = grey8(values)
    for in_plane, through, quality in _tries():
        sheet = _sheet(grey, (through, in_plane, in_plane), quality)
        if len(sheet.source) <= max_bytes or max(sheet.grid) <= _BLOCK:
            return sheet
    raise AssertionError("the tries have no end")


def packed(labels: NDArray[np.uint8]) -> str:
    """Labels `(D, H, W)` as base64 of zlib."""
    return base64.b64encode(zlib.compress(np.ascontiguousarray(labels).data, _PACKING)).decode()


def _tries() -> Iterator[tuple[int, int, int]]:
    """Step within slices, step from slice to slice, JPEG quality; ever smaller."""
    for in_plane in (1, 2):
        for quality in _QUALITIES:
            yield in_plane, 1, quality
    for step in count(2):
        yield step, step, _THINNED_QUALITY


def _sheet(grey: NDArray[np.uint8], steps: Size3, quality: int) -> GreySheet:
    slices = [Image.fromarray(plane).reduce(steps[1]) for plane in grey[:: steps[0]]]
    width, height = slices[0].size
    tile = (_up(height), _up(width))
    columns = math.ceil(math.sqrt(len(slices)))
    rows = math.ceil(len(slices) / columns)
    sheet = Image.new("L", (columns * tile[1], rows * tile[0]))
    for index, plane in enumerate(slices):
        row, column = divmod(index, columns)
        sheet.paste(plane, (column * tile[1], row * tile[0]))
    data = io.BytesIO()
    sheet.save(data, format="JPEG", quality=quality, optimize=True)
    return GreySheet(
        source=f"data:image/jpeg;base64,{base64.b64encode(data.getvalue()).decode()}",
        grid=(len(slices), height, width),
        steps=steps,
        tile=tile,
        columns=columns,
    )


def _up(length: int) -> int:
    return math.ceil(length / _BLOCK) * _BLOCK
