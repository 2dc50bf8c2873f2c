"""A slide's label TIFF as a map of class indices on the grid that the slide is read by."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from atrous.data.slides.parts import CACHE_BYTES, OpenedFile
from atrous.data.slides.tiff import open_tiff_levels
from atrous.data.slides.tiff_pages import open_tiff
from atrous.errors import DataError
from atrous.types import Size

CHUNK: Final = (1024, 1024)

_SLACK: Final = 2.0
"""Pixels, of the coarser of the two, by which a slide and its labels may differ in extent."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TiffLabelMap:
    """Class indices that are read where they are asked for; a `MaskMap`.

    Each pixel is the label under its centre.
    """

    size: Size
    """`(H, W)`, pixels."""
    opened: OpenedFile
    level: int
    """Of the file, that is read."""
    ratio: tuple[float, float]
    """Pixels of that level per pixel of the map, down and to the right."""
    chunk: Size = CHUNK

    def read(self, top: int, left: int, height: int, width: int) -> NDArray[np.uint8]:
        """A rectangle inside the map, `(height, width)` uint8.

        Raises:
            DataError: If the file is broken there.
        """
        limits = self.opened.facts.levels[self.level].size
        rows, columns = (
            np.minimum(
                ((np.arange(start, start + length) + 0.5) * ratio).astype(np.int64), limit - 1
            )
            for start, length, ratio, limit in zip(
                (top, left), (height, width), self.ratio, limits, strict=True
            )
        )
        window = (int(rows[-1] - rows[0]) + 1, int(columns[-1] - columns[0]) + 1)
        labels = self.opened.read(self.level, int(rows[0]), int(columns[0]), window)[..., 0]
        if window == (height, width):
            return np.ascontiguousarray(labels)
        return labels[np.ix_(rows - rows[0], columns - columns[0])]

    def close(self) -> None:
        """Give the file back."""
        self.opened.close()


def open_label_tiff(
    path: Path, size: Size, *, mpp: tuple[float, float], cache_bytes: int = CACHE_BYTES
) -> TiffLabelMap:
    """Open the labels of a slide, such as `write_label_tiff` writes; close the map after use.

    The file may be of another scale than the map; where it says which, its extent must be the
    slide's. The coarsest of its levels is read that is not coarser than the map.

    Args:
        path: A tiled TIFF of class indices, 255 where unlabelled.
        size: `(H, W)` of the map, pixels.
        mpp: Micrometres per pixel of the map, down and to the right.
        cache_bytes: Of decoded tiles that are kept.

    Raises:
        DataError: If the file is no such TIFF, or of a slide of another extent.
        MissingExtraError: If the extra `slides` is not installed.
    """
    with open_tiff(path) as tiff:
        opened = open_tiff_levels(path, tiff, cache_bytes=cache_bytes)
    try:
        _check_extent(path, opened, size, mpp)
    except BaseException:
        opened.close()
        raise
    whole = opened.facts.levels[0].size
    scale = (whole[0] / size[0], whole[1] / size[1])
    level, source = max(
        (number, level)
        for number, level in enumerate(opened.facts.levels)
        if number == 0 or all(level.downsample[a] <= scale[a] * (1 + 1e-3) for a in range(2))
    )
    ratio = (scale[0] / source.downsample[0], scale[1] / source.downsample[1])
    return TiffLabelMap(size=tuple(size), opened=opened, level=level, ratio=ratio)


def _check_extent(path: Path, opened: OpenedFile, size: Size, mpp: tuple[float, float]) -> None:
    own, whole = opened.facts.mpp, opened.facts.levels[0].size
    stated = (mpp[0] * size[0] / whole[0], mpp[1] * size[1] / whole[1]) if own is None else own
    found, expected = (
        [length * scale for length, scale in zip(lengths, scales, strict=True)]
        for lengths, scales in ((whole, stated), (size, mpp))
    )
    slack = [_SLACK * max(pair) for pair in zip(stated, mpp, strict=True)]
    if any(abs(found[axis] - expected[axis]) > slack[axis] for axis in range(2)):
        raise DataError(
            f"{path}: labels of {found[0]:,.0f} x {found[1]:,.0f} µm (H x W) beside a slide of "
            f"{expected[0]:,.0f} x {expected[1]:,.0f}; expected those of the whole slide; name the "
            "labels that were made for it."
        )
