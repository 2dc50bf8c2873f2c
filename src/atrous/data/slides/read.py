"""Read whole slides window by window, at any number of micrometres per pixel.

`open_slide` takes what openslide opens (SVS, NDPI, MRXS, DICOM, SCN, tiled TIFF, …), OME-TIFF, and
tiled TIFF that openslide refuses. Colour profiles are said, and applied where that is asked for.
Needs the extra `slides`.
"""

from math import ceil, floor
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from atrous._extras import require
from atrous.data.slides.colour import coloured
from atrous.data.slides.identify import check_known, format_of, head_of, is_slide
from atrous.data.slides.openslide import open_with_openslide
from atrous.data.slides.parts import (
    CACHE_BYTES,
    Level,
    OpenedFile,
    Pixels,
)
from atrous.data.slides.resample import resample
from atrous.data.slides.scale import SAME_MPP, pair, scale_of
from atrous.data.slides.tiff import open_tiff_levels
from atrous.data.slides.tiff_pages import (
    is_beyond_openslide,
    open_tiff,
    tiled_pages,
)
from atrous.errors import DataError, ShapeError, UnknownNameError
from atrous.types import Size

__all__ = ["Level", "Slide", "is_slide", "open_slide"]


class Slide:
    """A pyramid of pictures that is read by window; `open_slide` makes it.

    A context manager, and safe to read from several threads.

    Args:
        path: The file.
        opened: It, open.
        mpp: Micrometres per pixel of level 0, down and to the right.
        mpp_source: Whose word that is: `stated` by the file, `given` where it states none, or
            `overridden`.
        notes: What is said of how the file is read, a sentence each.
    """

    def __init__(
        self,
        path: Path,
        opened: OpenedFile,
        mpp: tuple[float, float],
        *,
        mpp_source: str = "stated",
        notes: tuple[str, ...] = (),
    ) -> None:
        self.path = path
        self.mpp, self.mpp_source = mpp, mpp_source
        self.notes = notes
        self.levels = opened.facts.levels
        self.objective = opened.facts.objective
        self.bounds = opened.facts.bounds
        self.vendor = opened.facts.vendor
        self.associated_names = tuple(opened.pictures)
        self._opened = opened

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the file back."""
        self._opened.close()

    def pass_over_broken(self) -> None:
        """From now on, read white where a tile cannot be decoded, and remember the place."""
        self._opened.broken.is_tolerated = True

    @property
    def broken(self) -> tuple[tuple[int, int, int, int, int], ...]:
        """Level, top, left, height and width of broken tiles so far, in pixels of level 0."""
        return tuple(
            (
                level,
                floor(top * self.levels[level].downsample[0]),
                floor(left * self.levels[level].downsample[1]),
                ceil(height * self.levels[level].downsample[0]),
                ceil(width * self.levels[level].downsample[1]),
            )
            for level, top, left, height, width in self._opened.broken.found
        )

    def associated(self, name: str) -> Pixels:
        """An image beside the levels, such as `label` or `macro`: `(H, W, 3)` uint8.

        Raises:
            UnknownNameError: If the slide has none of that name.
            DataError: If it is broken.
        """
        if name not in self._opened.pictures:
            raise UnknownNameError("associated image", name, self.associated_names)
        return self._opened.pictures[name]()

    def level_at(self, mpp: float | tuple[float, float]) -> int | None:
        """The level that is read pixel for pixel at so many µm per pixel, if there is one."""
        wanted = pair(mpp)
        for number, level in enumerate(self.levels):
            own = [self.mpp[axis] * level.downsample[axis] for axis in range(2)]
            if all(abs(own[axis] / wanted[axis] - 1) <= SAME_MPP for axis in range(2)):
                return number
        return None

    def source_level(self, mpp: float | tuple[float, float]) -> int:
        """The level that is read at so many µm per pixel: the coarsest that is not coarser."""
        level = self.level_at(mpp)
        if level is not None:
            return level
        scale = self.scale_at(mpp)
        return max(
            number
            for number, level in enumerate(self.levels)
            if number == 0 or all(level.downsample[axis] <= scale[axis] for axis in range(2))
        )

    def scale_at(self, mpp: float | tuple[float, float]) -> tuple[float, float]:
        """Pixels of level 0 per pixel of the grid at so many µm per pixel, down and to the right.

        Where a level is read pixel for pixel, it is that level's downsample.
        """
        level = self.level_at(mpp)
        if level is not None:
            return self.levels[level].downsample
        wanted = pair(mpp)
        return wanted[0] / self.mpp[0], wanted[1] / self.mpp[1]

    def size_at(self, mpp: float | tuple[float, float]) -> Size:
        """`(H, W)` of the grid at so many µm per pixel: the level's, or its size by `scale_at`."""
        level = self.level_at(mpp)
        if level is not None:
            return self.levels[level].size
        return tuple(
            max(1, round(length / scale))
            for length, scale in zip(self.levels[0].size, self.scale_at(mpp), strict=True)
        )

    def read(self, location: Size, size: Size, *, mpp: float | tuple[float, float]) -> Pixels:
        """A window of the grid at so many µm per pixel: `(H, W, 3)` uint8, RGB.

        It comes from the coarsest level that is not coarser than what is asked for. A level within
        0.1 % of it is read pixel for pixel; else each pixel is the mean of the level over its area,
        to within one grey level, or interpolated linearly where level 0 is too coarse. Two windows
        agree to the byte wherever they overlap. White stands outside the slide, and where it has no
        pixels.

        Args:
            location: `(top, left)` of the window, in pixels of the grid; may be negative.
            size: `(H, W)` of the window, likewise.
            mpp: Micrometres per pixel of the grid; one number, or down and to the right.

        Raises:
            ShapeError: If the size is not positive.
            DataError: If the file is broken there.
        """
        if min(size) < 1:
            raise ShapeError(f"A window of {size[0]} x {size[1]} (H x W); expected 1 x 1 at least.")
        whole = self.size_at(mpp)
        start = [min(max(location[axis], 0), whole[axis]) for axis in range(2)]
        stop = [min(max(location[axis] + size[axis], 0), whole[axis]) for axis in range(2)]
        inside = (stop[0] - start[0], stop[1] - start[1])
        if inside == tuple(size):
            return self._read_inside(start[0], start[1], inside, mpp)
        out = np.full((*size, 3), 255, np.uint8)
        if min(inside) > 0:
            y, x = start[0] - location[0], start[1] - location[1]
            part = self._read_inside(start[0], start[1], inside, mpp)
            out[y : y + inside[0], x : x + inside[1]] = part
        return out

    def read_thumbnail(self, longest: int) -> Pixels:
        """The whole slide, its longer side of so many pixels, or all that it has: `(H, W, 3)`."""
        scale = max(max(self.levels[0].size) / longest, 1)
        mpp = (self.mpp[0] * scale, self.mpp[1] * scale)
        return self.read((0, 0), self.size_at(mpp), mpp=mpp)

    def _read_inside(
        self, top: int, left: int, size: Size, mpp: float | tuple[float, float]
    ) -> Pixels:
        level = self.level_at(mpp)
        if level is not None:
            return self._opened.read(level, top, left, size)
        scale = self.scale_at(mpp)
        number = self.source_level(mpp)
        source = self.levels[number]
        return resample(
            lambda y, x, window: self._opened.read(number, y, x, window),
            top=top,
            left=left,
            size=size,
            scale=(scale[0] / source.downsample[0], scale[1] / source.downsample[1]),
            limits=source.size,
        )


def open_slide(
    path: str | Path,
    *,
    mpp: float | tuple[float, float] | None = None,
    override_mpp: float | tuple[float, float] | None = None,
    image: int | None = None,
    icc: bool = False,
    cache_bytes: int = CACHE_BYTES,
) -> Slide:
    """Open a whole slide; close it, or use it in a `with` statement.

    Args:
        path: Its file.
        mpp: Micrometres per pixel of level 0, one number or down and to the right, where the file
            does not state it; where it does, that holds, and a note says so.
        override_mpp: The same, instead of what the file states.
        image: Number of the image in a TIFF that holds several, from 1; None for the largest.
        icc: Turn colours into sRGB by the file's colour profile.
        cache_bytes: Of decoded tiles that are kept for the windows next door.

    Raises:
        DataError: If it is missing, no slide, broken or cut off, or if nothing says how many
            micrometres a pixel is.
        MissingExtraError: If the extra `slides` is not installed.
    """
    path = Path(path)
    opened = _open(path, head_of(path), image, cache_bytes)
    try:
        known, source, notes = scale_of(path, opened.facts.mpp, mpp, override_mpp)
        opened, said = coloured(opened, apply=icc)
    except BaseException:
        opened.close()
        raise
    notes = (*opened.facts.notes, *notes, *said)
    return Slide(path, opened, known, mpp_source=source, notes=notes)


def _open(path: Path, head: bytes, image: int | None, cache_bytes: int) -> OpenedFile:
    kind = format_of(path, head)
    check_known(path)
    if kind not in (None, "TIFF"):
        raise DataError(
            f"{path}: a {kind} file by its first bytes, not a slide; expected a slide such as SVS, "
            "NDPI, MRXS, DICOM or tiled TIFF; name it as the image that it is."
        )
    if kind is None:
        if image not in (None, 1):
            raise DataError(f"{path}: image {image} of 1; expected 1; leave out --image.")
        return open_with_openslide(path, (), cache_bytes=cache_bytes)
    openslide = require("openslide", extra="slides")
    vendor = openslide.OpenSlide.detect_format(path)
    with open_tiff(path) as tiff:
        # What another vendor keeps in sub-directories, openslide knows to find.
        is_plain = vendor in (None, "generic-tiff")
        if vendor is None or (is_plain and (image or is_beyond_openslide(path, tiff))):
            return open_tiff_levels(path, tiff, image=image, cache_bytes=cache_bytes)
        if image not in (None, 1):
            raise DataError(f"{path}: image {image} of 1; expected 1; leave out --image.")
        return open_with_openslide(path, tiled_pages(path, tiff), cache_bytes=cache_bytes)
