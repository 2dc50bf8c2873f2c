"""Read whole slides window by window, at any number of micrometres per pixel.

`open_slide` takes what openslide opens (SVS, NDPI, MRXS, DICOM, SCN, tiled TIFF, …), OME-TIFF, and
tiled TIFF that openslide refuses. Colour profiles are not applied. Needs the extra `slides`.
"""

from pathlib import Path
from types import TracebackType
from typing import Final, Self

import numpy as np
from PIL import TiffImagePlugin

from atrous._extras import require
from atrous.data.photos.raster import format_name
from atrous.data.slides.openslide import open_with_openslide
from atrous.data.slides.parts import (
    CACHE_BYTES,
    Level,
    OpenedFile,
    Pixels,
    check_mpp,
)
from atrous.data.slides.resample import resample
from atrous.data.slides.tiff import open_tiff_levels
from atrous.data.slides.tiff_pages import (
    is_beyond_openslide,
    open_tiff,
    tiled_pages,
)
from atrous.errors import DataError, ShapeError, UnknownNameError
from atrous.types import Size

__all__ = ["Level", "Slide", "is_slide", "open_slide"]

SAME_MPP: Final = 1e-3
"""Levels are read pixel for pixel where what is asked for differs by no more than this share."""

_TILE_WIDTH: Final = 322
_SUB_IFDS: Final = 330
_DESCRIPTION: Final = 270


class Slide:
    """A pyramid of pictures that is read by window; `open_slide` makes it.

    A context manager, and safe to read from several threads.

    Args:
        path: The file.
        opened: It, open.
        mpp: Micrometres per pixel of level 0, down and to the right.
    """

    def __init__(self, path: Path, opened: OpenedFile, mpp: tuple[float, float]) -> None:
        self.path = path
        self.mpp = mpp
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
        wanted = _pair(mpp)
        for number, level in enumerate(self.levels):
            own = [self.mpp[axis] * level.downsample[axis] for axis in range(2)]
            if all(abs(own[axis] / wanted[axis] - 1) <= SAME_MPP for axis in range(2)):
                return number
        return None

    def scale_at(self, mpp: float | tuple[float, float]) -> tuple[float, float]:
        """Pixels of level 0 per pixel of the grid at so many µm per pixel, down and to the right.

        Where a level is read pixel for pixel, it is that level's downsample.
        """
        level = self.level_at(mpp)
        if level is not None:
            return self.levels[level].downsample
        wanted = _pair(mpp)
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
        number, source = max(
            (number, level)
            for number, level in enumerate(self.levels)
            if number == 0 or all(level.downsample[axis] <= scale[axis] for axis in range(2))
        )
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
    cache_bytes: int = CACHE_BYTES,
) -> Slide:
    """Open a whole slide; close it, or use it in a `with` statement.

    Args:
        path: Its file.
        mpp: Micrometres per pixel of level 0, one number or down and to the right, instead of what
            the file says.
        cache_bytes: Of decoded tiles that are kept for the windows next door.

    Raises:
        DataError: If it is missing, no slide, broken or cut off, or if nothing says how many
            micrometres a pixel is.
        MissingExtraError: If the extra `slides` is not installed.
    """
    path = Path(path)
    opened = _open(path, _head(path), cache_bytes)
    try:
        known = opened.facts.mpp if mpp is None else _pair(mpp)
        if known is None:
            raise DataError(
                f"{path}: nothing in it says how many micrometres a pixel is; expected a slide "
                "that states it; say it with --mpp, such as --mpp 0.5."
            )
        check_mpp(path, known)
    except BaseException:
        opened.close()
        raise
    return Slide(path, opened, known)


def is_slide(path: str | Path) -> bool:
    """Whether a file is a whole slide, by its content.

    So is what openslide knows, and a TIFF that is tiled, has levels in sub-directories or is OME.
    A photo is none: JPEG, PNG, a TIFF of one page in strips. A file that cannot be read is none.

    Raises:
        MissingExtraError: If it may be a slide, and the extra `slides` is not installed.
    """
    path = Path(path)
    try:
        head = _head(path)
    except DataError:
        return False
    kind = _format(path, head)
    if kind not in (None, "TIFF"):
        return False
    if kind == "TIFF" and _is_pyramid(path, head):
        return True
    openslide = require("openslide", extra="slides")
    return openslide.OpenSlide.detect_format(path) is not None


def _head(path: Path) -> bytes:
    if path.is_dir():
        raise DataError(
            f"{path} is a folder; expected the file of a slide; give one that is in it."
        )
    try:
        with path.open("rb") as file:
            head = file.read(16)
    except FileNotFoundError as error:
        raise DataError(f"{path} is not there; expected the file of a slide.") from error
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}.") from error
    if not head:
        raise DataError(f"{path} is empty; expected the file of a slide; copy it again.")
    return head


def _format(path: Path, head: bytes) -> str | None:
    """The image format that a file begins as; none of an MRXS, whose own file is a JPEG."""
    return None if path.suffix.lower() == ".mrxs" else format_name(head)


def _is_pyramid(path: Path, head: bytes) -> bool:
    """By the tags of the first directory, which Pillow reads without any extra."""
    size = 16 if head[2] == 43 or head[3] == 43 else 8
    try:
        tags = TiffImagePlugin.ImageFileDirectory_v2(head[:size])
        with path.open("rb") as file:
            file.seek(tags.next)
            tags.load(file)
        text = str(tags.get(_DESCRIPTION, ""))
    except Exception:  # broken tags: no pyramid, whatever is wrong with them
        return False
    return _TILE_WIDTH in tags or _SUB_IFDS in tags or "<OME" in text


def _open(path: Path, head: bytes, cache_bytes: int) -> OpenedFile:
    kind = _format(path, head)
    if kind not in (None, "TIFF"):
        raise DataError(
            f"{path}: a {kind} file by its first bytes, not a slide; expected a slide such as SVS, "
            "NDPI, MRXS, DICOM or tiled TIFF; name it as the image that it is."
        )
    if kind is None:
        return open_with_openslide(path, (), cache_bytes=cache_bytes)
    openslide = require("openslide", extra="slides")
    vendor = openslide.OpenSlide.detect_format(path)
    with open_tiff(path) as tiff:
        # What another vendor keeps in sub-directories, openslide knows to find.
        if vendor is None or (vendor == "generic-tiff" and is_beyond_openslide(path, tiff)):
            return open_tiff_levels(path, tiff, cache_bytes=cache_bytes)
        return open_with_openslide(path, tiled_pages(path, tiff), cache_bytes=cache_bytes)


def _pair(mpp: float | tuple[float, float]) -> tuple[float, float]:
    return mpp if isinstance(mpp, tuple) else (float(mpp), float(mpp))
