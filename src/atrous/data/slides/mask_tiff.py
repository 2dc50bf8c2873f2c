"""A slide's label TIFF as a map of class indices on the grid that the slide is read by."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from atrous.data.slides.parts import CACHE_BYTES, OpenedFile
from atrous.data.slides.tiff import open_tiff_levels
from atrous.data.slides.tiff_pages import open_tiff
from atrous.errors import DataError
from atrous.types import UNLABELLED, Size

CHUNK: Final = (1024, 1024)

_SLACK: Final = 2.0
"""Pixels, of the coarser of the two, by which a slide and its labels may differ in extent."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TiffLabelMap:
    """Class indices that are read where they are asked for; a `MaskMap`.

    Each pixel is the label under its centre; 255 beyond the file.
    """

    size: Size
    """`(H, W)`, pixels."""
    opened: OpenedFile
    level: int
    """Of the file, that is read."""
    ratio: tuple[float, float]
    """Pixels of that level per pixel of the map, down and to the right."""
    origin: tuple[float, float] = (0.0, 0.0)
    """`(top, left)` of the file, in pixels of the map."""
    chunk: Size = CHUNK

    def read(self, top: int, left: int, height: int, width: int) -> NDArray[np.uint8]:
        """A rectangle inside the map, `(height, width)` uint8.

        Raises:
            DataError: If the file is broken there.
        """
        limits = self.opened.facts.levels[self.level].size
        if any(self.origin):
            return self._read_placed(top, left, (height, width), limits)
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

    def _read_placed(self, top: int, left: int, size: Size, limits: Size) -> NDArray[np.uint8]:
        """A rectangle of a file that lies somewhere in the map."""
        rows, columns = (
            np.floor((np.arange(start, start + length) + 0.5 - origin) * ratio).astype(np.int64)
            for start, length, origin, ratio in zip(
                (top, left), size, self.origin, self.ratio, strict=True
            )
        )
        out = np.full(size, UNLABELLED, np.uint8)
        is_row, is_column = (
            (places >= 0) & (places < limit)
            for places, limit in zip((rows, columns), limits, strict=True)
        )
        rows, columns = rows[is_row], columns[is_column]
        if not (len(rows) and len(columns)):
            return out
        window = (int(rows[-1] - rows[0]) + 1, int(columns[-1] - columns[0]) + 1)
        labels = self.opened.read(self.level, int(rows[0]), int(columns[0]), window)[..., 0]
        out[np.ix_(is_row, is_column)] = labels[np.ix_(rows - rows[0], columns - columns[0])]
        return out

    def close(self) -> None:
        """Give the file back."""
        self.opened.close()


def open_label_tiff(
    path: Path,
    size: Size,
    *,
    mpp: tuple[float, float],
    boxes: Sequence[tuple[float, float, float, float]] = (),
    cache_bytes: int = CACHE_BYTES,
) -> TiffLabelMap:
    """Open the labels of a slide, such as `write_label_tiff` writes; close the map after use.

    The file may be of another scale than the map; where it says which, its extent must be that of
    the slide, or of one of the boxes. The coarsest of its levels is read that is not coarser than
    the map.

    Args:
        path: A tiled TIFF of class indices, 255 where unlabelled.
        size: `(H, W)` of the map, pixels.
        mpp: Micrometres per pixel of the map, down and to the right.
        boxes: Top, left, height and width of the parts of the slide that the file may be of, in
            pixels of the map, the likeliest first; none for the whole slide alone.
        cache_bytes: Of decoded tiles that are kept.

    Raises:
        DataError: If the file is no such TIFF, or of a slide of another extent.
        MissingExtraError: If the extra `slides` is not installed.
    """
    with open_tiff(path) as tiff:
        if any(page.dtype != np.uint8 for page in tiff.pages if page.is_tiled):
            raise DataError(
                f"{path}: labels of more than 8 bits; expected class indices of 8 bits, 255 where "
                "unlabelled; write the labels anew."
            )
        opened = open_tiff_levels(path, tiff, cache_bytes=cache_bytes)
    try:
        top, left, *extent = _find_box(
            path, opened, boxes or [(0.0, 0.0, float(size[0]), float(size[1]))], mpp
        )
    except BaseException:
        opened.close()
        raise
    whole = opened.facts.levels[0].size
    scale = (whole[0] / extent[0], whole[1] / extent[1])
    level, source = max(
        (number, level)
        for number, level in enumerate(opened.facts.levels)
        if number == 0 or all(level.downsample[a] <= scale[a] * (1 + 1e-3) for a in range(2))
    )
    ratio = (scale[0] / source.downsample[0], scale[1] / source.downsample[1])
    return TiffLabelMap(
        size=tuple(size), opened=opened, level=level, ratio=ratio, origin=(top, left)
    )


Box = tuple[float, float, float, float]


def _find_box(
    path: Path, opened: OpenedFile, boxes: Sequence[Box], mpp: tuple[float, float]
) -> Box:
    """The part of the slide that a file of labels is of, by its extent.

    A file that states no scale is of the part whose shape it has, if there is one only.
    """
    own, whole = opened.facts.mpp, opened.facts.levels[0].size
    if own is None:
        alike = [box for box in boxes if _has_shape(whole, box)]
        if len(boxes) == 1 or len(alike) == 1:
            return (alike or list(boxes))[0]
        raise DataError(
            f"{path}: labels of {whole[0]} x {whole[1]} pixels (H x W) that state no scale, beside "
            "a slide with bounds; expected to know which part of it they are of; say it with "
            "--frame qupath or --frame level0."
        )
    found = [length * scale for length, scale in zip(whole, own, strict=True)]
    slack = [_SLACK * max(pair) for pair in zip(own, mpp, strict=True)]
    for box in boxes:
        expected = [length * scale for length, scale in zip(box[2:], mpp, strict=True)]
        if all(abs(found[axis] - expected[axis]) <= slack[axis] for axis in range(2)):
            return box
    sizes = " or ".join(f"{box[2] * mpp[0]:,.0f} x {box[3] * mpp[1]:,.0f}" for box in boxes)
    raise DataError(
        f"{path}: labels of {found[0]:,.0f} x {found[1]:,.0f} µm (H x W) beside a slide of "
        f"{sizes}; expected those of the whole slide; name the labels that were made for it."
    )


def _has_shape(whole: Size, box: Box) -> bool:
    """Whether a picture is a smaller or larger copy of a box, to a pixel."""
    ratio = whole[0] / box[2]
    return abs(box[3] * ratio - whole[1]) <= max(_SLACK, _SLACK * ratio)
