"""Slides that openslide opens: what it knows of them, and their pixels (extra `slides`)."""

from collections.abc import Mapping, Sequence
from functools import partial
from math import isclose
from pathlib import Path
from threading import Lock
from typing import Any, Final

import numpy as np

from atrous._extras import require
from atrous.data.slides.colour import on_white
from atrous.data.slides.parts import (
    CACHE_BYTES,
    BrokenTiles,
    Level,
    OpenedFile,
    Pixels,
    SlideFacts,
    TileCache,
    assemble,
    broken,
    find_levels,
)
from atrous.data.slides.tiff import TiffPixels
from atrous.data.slides.tiff_pages import Page
from atrous.errors import DataError
from atrous.types import Size

_PLAIN_VENDORS: Final = frozenset({"aperio", "generic-tiff"})
"""Of which a level is a TIFF page, tile by tile; others overlap tiles or leave some out."""

_PLAIN_COMPRESSIONS: Final = frozenset({1, 5, 7, 8, 33005, 34712})
"""None, LZW, JPEG, Deflate, JPEG 2000 of RGB: decoded here as openslide decodes them."""

_PIECE: Final = 64
"""Side of what is left out at least around a broken tile, pixels."""

_CELL: Final = 512
"""Side of what is read at once where a level has a broken downsample, pixels."""


class OpenSlidePixels:
    """Pixels through openslide.

    openslide interpolates between pixels where a level's downsample is no whole number: by up to
    half a pixel of level 0. Windows agree all the same, since such levels are read in fixed cells.

    Args:
        path: The file.
        slide: An `openslide.OpenSlide`, which threads may share.
        cache_bytes: Of cells that are kept.
    """

    def __init__(
        self,
        path: Path,
        slide: Any,  # noqa: ANN401 - an OpenSlide
        *,
        cache_bytes: int = CACHE_BYTES,
    ) -> None:
        self.broken = BrokenTiles()
        self._path, self._slide = path, slide
        self._cells = TileCache(cache_bytes)
        self._cache_bytes = cache_bytes
        self._scales = tuple(slide.level_downsamples)  # a handle that has failed tells nothing
        self._lock = Lock()

    def read(self, level: int, top: int, left: int, size: Size) -> Pixels:
        """A window that lies inside a level.

        Raises:
            DataError: If a tile is broken.
        """
        scale = self._scales[level]
        if scale.is_integer():
            return self._region(level, (int(top * scale), int(left * scale)), size)

        def cell(row: int, column: int) -> Pixels:
            place = (round(row * _CELL * scale), round(column * _CELL * scale))
            key = (level, row << 32 | column)
            return self._cells.get(key, lambda: self._region(level, place, (_CELL, _CELL)))

        return assemble(top, left, size, cell=(_CELL, _CELL), get=cell)

    def picture(self, name: str) -> Pixels:
        """One of the images beside the levels.

        Raises:
            DataError: If it cannot be decoded.
        """
        openslide = require("openslide", extra="slides")
        try:
            return on_white(np.asarray(self._slide.associated_images[name]))
        except openslide.OpenSlideError as error:
            raise broken(self._path, error) from error

    def close(self) -> None:
        """Give the file back."""
        self._slide.close()

    def _region(self, level: int, place: tuple[int, int], size: Size) -> Pixels:
        """`place` is in pixels of level 0."""
        openslide = require("openslide", extra="slides")
        slide = self._slide
        try:
            return _pixels(slide, level, place, size)
        except openslide.OpenSlideError as error:
            # An error ends a handle for all regions and threads.
            with self._lock:
                if self._slide is slide:
                    self._slide = openslide.OpenSlide(self._path)
                    self._slide.set_cache(openslide.OpenSlideCache(self._cache_bytes))
            return self._in_pieces(level, place, size, error)

    def _in_pieces(
        self, level: int, place: tuple[int, int], size: Size, error: Exception
    ) -> Pixels:
        """A region that may have failed through a broken part of it, or of another thread's."""
        openslide = require("openslide", extra="slides")
        try:
            with openslide.OpenSlide(self._path) as own:
                return _pixels(own, level, place, size)
        except openslide.OpenSlideError as again:
            error = again
        scale = self._scales[level]
        if not self.broken.is_tolerated or max(size) <= _PIECE:
            top, left = round(place[0] / scale), round(place[1] / scale)
            where = DataError(f"{error}, at row {top} and column {left} of level {level}")
            return self.broken.take(broken(self._path, where), level, top, left, size)
        axis = int(size[1] > size[0])
        first, second = list(size), list(size)
        first[axis] = size[axis] // 2
        second[axis] -= first[axis]
        further = list(place)
        further[axis] += round(first[axis] * scale)
        parts = [
            self._in_pieces(level, place, (first[0], first[1]), error),
            self._in_pieces(level, (further[0], further[1]), (second[0], second[1]), error),
        ]
        return np.concatenate(parts, axis=axis)


def open_with_openslide(
    path: Path, tiff_pages: Sequence[Page], *, cache_bytes: int = CACHE_BYTES
) -> OpenedFile:
    """A slide that openslide opens.

    Args:
        path: The file.
        tiff_pages: Its tiled pages, if it is a TIFF.
        cache_bytes: Of decoded tiles that are kept.

    Raises:
        DataError: If it is broken, or openslide does not know its format.
        MissingExtraError: If openslide is not installed.
    """
    openslide = require("openslide", extra="slides")
    try:
        slide = openslide.OpenSlide(path)
    except openslide.OpenSlideUnsupportedFormatError as error:
        raise DataError(
            f"{path}: not a slide that openslide knows; expected a whole-slide image such as SVS, "
            "NDPI, MRXS, DICOM or tiled TIFF; give such a file."
        ) from error
    except openslide.OpenSlideError as error:
        raise broken(path, error) from error
    try:
        slide.set_cache(openslide.OpenSlideCache(cache_bytes))
        facts = _facts(path, slide)
        whole = OpenSlidePixels(path, slide, cache_bytes=cache_bytes)
        pages = _pages_of_levels(facts, tiff_pages)
        tiles = None if pages is None else TiffPixels(path, pages, cache_bytes=cache_bytes)
    except BaseException:
        slide.close()
        raise

    if tiles is not None:
        whole.broken = tiles.broken

    def close() -> None:
        whole.close()
        if tiles is not None:
            tiles.close()

    return OpenedFile(
        facts=facts,
        read=whole.read if tiles is None else tiles.read,
        close=close,
        broken=whole.broken,
        pictures={name: partial(whole.picture, name) for name in slide.associated_images},
    )


def _pages_of_levels(facts: SlideFacts, pages: Sequence[Page]) -> list[list[Page]] | None:
    """The page of each level, if all of them can be read tile by tile."""
    if facts.vendor not in _PLAIN_VENDORS:
        return None
    found = []
    for level in facts.levels:
        alike = [page for page in pages if (page.imagelength, page.imagewidth) == level.size]
        if not alike or not _is_plain(alike[0]):
            return None
        found.append([alike[0]])
    return found


def _is_plain(page: Page) -> bool:
    return (
        page.compression in _PLAIN_COMPRESSIONS
        and page.dtype == np.uint8
        and page.samplesperpixel in (1, 3)
        and page.planarconfig == 1
        and page.photometric in (1, 2, 6)
        and all(page.databytecounts)
    )


def _facts(path: Path, slide: Any) -> SlideFacts:  # noqa: ANN401 - an OpenSlide
    known: Mapping[str, str] = slide.properties
    return SlideFacts(
        vendor=known["openslide.vendor"],
        levels=_levels(path, slide),
        mpp=_numbers(known, "openslide.mpp-y", "openslide.mpp-x"),
        objective=(_numbers(known, "openslide.objective-power") or (None,))[0],
        bounds=_bounds(known),
        notes=_notes(known),
        profile=_profile(slide),
    )


def _levels(path: Path, slide: Any) -> tuple[Level, ...]:  # noqa: ANN401 - an OpenSlide
    sizes = [(height, width) for width, height in slide.level_dimensions]
    means = [(sizes[0][0] / size[0] + sizes[0][1] / size[1]) / 2 for size in sizes]
    stated = slide.level_downsamples
    if all(isclose(mean, scale, rel_tol=1e-9) for mean, scale in zip(means, stated, strict=True)):
        return find_levels(path, sizes)
    # The file itself says how its levels were made.
    return tuple(
        Level(size=size, downsample=(scale, scale))
        for size, scale in zip(sizes, stated, strict=True)
    )


def _numbers(known: Mapping[str, str], *names: str) -> Any:  # noqa: ANN401 - as many as names
    """Properties as numbers, if all of them are there."""
    try:
        return tuple(float(known[name]) for name in names)
    except (KeyError, ValueError):
        return None


def _bounds(known: Mapping[str, str]) -> tuple[int, int, int, int] | None:
    found = _numbers(known, *(f"openslide.bounds-{side}" for side in ("y", "x", "height", "width")))
    if found is None:
        return None
    top, left, height, width = (int(value) for value in found)
    return top, left, height, width


def _pixels(slide: Any, level: int, place: tuple[int, int], size: Size) -> Pixels:  # noqa: ANN401
    """A region on white; `place` is in pixels of level 0."""
    picture = slide.read_region((place[1], place[0]), level, (size[1], size[0]))
    return on_white(np.asarray(picture))


def _notes(known: Mapping[str, str]) -> tuple[str, ...]:
    """What is said of slides of several scanned areas."""
    number = sum(key.startswith("openslide.region[") and key.endswith("].x") for key in known)
    if number < 2:
        return ()
    return (f"{number} scanned areas lie on one plane, white between them, and are one slide",)


def _profile(slide: Any) -> bytes | None:  # noqa: ANN401 - an OpenSlide
    openslide = require("openslide", extra="slides")
    try:
        found = slide.color_profile
    except openslide.OpenSlideError:  # a broken profile is none; pixels are read without it
        return None
    return None if found is None else found.tobytes()
