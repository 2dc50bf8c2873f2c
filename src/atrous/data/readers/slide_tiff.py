"""Tiled TIFF files: pixels tile by tile through tifffile, and what OME-XML and tags say.

Of slides that openslide opens too, the pixels are the same to the byte; read here they come faster,
and exactly: openslide takes a place in pixels of level 0, and where a level's downsample is no
whole number it interpolates between pixels. Needs the extra `slides`.
"""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import ceil
from pathlib import Path
from threading import Lock, get_ident
from typing import Any, Final

import numpy as np

from atrous._extras import require
from atrous.data.readers.slide_parts import (
    OpenedFile,
    Pixels,
    SlideFacts,
    TileCache,
    assemble,
    broken,
    find_levels,
)
from atrous.errors import AtrousError, DataError
from atrous.types import Size

TIFF_HEADS: Final = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")

_MOST_TILE_PIXELS: Final = 1 << 26
_UNITS: Final = {"m": 1e6, "cm": 1e4, "mm": 1e3, "µm": 1.0, "μm": 1.0, "um": 1.0, "nm": 1e-3}
"""Micrometres; µ has two code points."""
_DEFAULT_UNIT: Final = "µm"
_PER_RESOLUTION_UNIT: Final = {2: 25_400.0, 3: 10_000.0}
"""Micrometres, by TIFF's number of the unit: inch, centimetre."""

Page = Any
"""A `tifffile.TiffPage`."""


class TiffPixels:
    """Levels of a TIFF, each of one page, or of one page for each of three colours.

    Args:
        path: The file.
        levels: The pages of each level, of a `TiffFile` that is still open.

    Raises:
        DataError: If the file cannot be opened.
    """

    def __init__(self, path: Path, levels: Sequence[Sequence[Page]]) -> None:
        self._path, self._levels = path, levels
        self._cache = TileCache()
        self._lock = Lock()
        try:
            # tifffile looks into its own file to make a decoder, so while that is open; the rest
            # of it works on bytes alone, in any thread.
            self._decoders = {id(page): page.decode for pages in levels for page in pages}
            self._file = path.open("rb")
        except Exception as error:  # compressions that are not known, a file that is gone
            raise broken(path, error) from error

    def read(self, level: int, top: int, left: int, size: Size) -> Pixels:
        """A window that lies inside a level.

        Raises:
            DataError: If a tile is broken.
        """
        page = self._levels[level][0]
        columns = ceil(page.imagewidth / page.tilewidth)

        def tile(row: int, column: int) -> Pixels:
            index = row * columns + column
            return self._cache.get((level, index), lambda: self._decode(level, index))

        return assemble(top, left, size, cell=(page.tilelength, page.tilewidth), get=tile)

    def close(self) -> None:
        """Give the file back."""
        self._file.close()

    def _decode(self, level: int, index: int) -> Pixels:
        pages = self._levels[level]
        try:
            planes = [self._plane(page, number) for page, number in _planes(pages, index)]
        except AtrousError:
            raise
        except Exception as error:  # decoders raise nearly anything on broken bytes
            raise broken(self._path, error) from error
        return _rgb(planes[0] if len(planes) == 1 else np.concatenate(planes, axis=-1))

    def _plane(self, page: Page, index: int) -> Pixels:
        """One encoded tile, `(h, w, C)`, without what lies beyond the level."""
        offset, length = page.dataoffsets[index], page.databytecounts[index]
        row, column = divmod(index % _num_tiles(page), ceil(page.imagewidth / page.tilewidth))
        height = min(page.tilelength, page.imagelength - row * page.tilelength)
        width = min(page.tilewidth, page.imagewidth - column * page.tilewidth)
        if not length:
            return np.full((height, width, 3), 255, np.uint8)
        with self._lock:
            self._file.seek(offset)
            data = self._file.read(length)
        decoded, _, _ = self._decoders[id(page)](data, index, jpegtables=page.jpegtables)
        tile: Pixels = decoded[0, :height, :width]
        if tile.shape[:2] != (height, width):
            raise DataError(
                f"{self._path}: a tile of {tile.shape[0]} x {tile.shape[1]} where {height} x "
                f"{width} (H x W) were expected; the file is broken; copy it again."
            )
        return tile


def _planes(pages: Sequence[Page], index: int) -> list[tuple[Page, int]]:
    """The pages and segments that hold the colours of one tile."""
    page = pages[0]
    if len(pages) == 1 and page.planarconfig == 2 and page.samplesperpixel > 1:
        return [(page, index + number * _num_tiles(page)) for number in range(3)]
    return [(page, index) for page in pages]


def _num_tiles(page: Page) -> int:
    return ceil(page.imagelength / page.tilelength) * ceil(page.imagewidth / page.tilewidth)


def _rgb(tile: Pixels) -> Pixels:
    if tile.ndim == 2:
        tile = tile[..., np.newaxis]
    if tile.shape[-1] == 1:
        return np.repeat(tile, 3, axis=-1)
    return tile[..., :3]


@contextmanager
def open_tiff(path: Path) -> Iterator[Any]:
    """A `tifffile.TiffFile`, whose list of pages is whole.

    Raises:
        DataError: If it is no TIFF that can be read, or the list breaks off.
        MissingExtraError: If tifffile is not installed.
    """
    tifffile = require("tifffile", extra="slides")
    with _remarks() as remarks:
        try:
            tiff = tifffile.TiffFile(path)
        except Exception as error:  # its parser raises nearly anything on broken bytes
            raise broken(path, error) from error
        with tiff:
            num_pages = len(tiff.pages)
            # tifffile goes on without the pages that it does not find, and only says so.
            if not num_pages or any("invalid" in text and "offset" in text for text in remarks):
                raise DataError(
                    f"{path}: a cut off TIFF, of which {num_pages} pages are left; expected a "
                    "whole one; copy it again."
                )
            yield tiff


@contextmanager
def _remarks() -> Iterator[list[str]]:
    """What tifffile says to its log in this thread, which stays off the screen."""
    log, thread = logging.getLogger("tifffile"), get_ident()
    texts: list[str] = []

    def keep(record: logging.LogRecord) -> bool:
        if record.thread != thread:
            return True
        texts.append(record.getMessage())
        return False

    log.addFilter(keep)
    try:
        yield texts
    finally:
        log.removeFilter(keep)


def check_page(path: Path, page: Page) -> None:
    """See that a tiled page has all tiles that its size asks for, within the file and the memory.

    Raises:
        DataError: If not.
    """
    if page.tilelength * page.tilewidth > _MOST_TILE_PIXELS:
        raise DataError(
            f"{path}: tiles of {page.tilelength} x {page.tilewidth} (H x W); expected at most "
            f"{_MOST_TILE_PIXELS:,} pixels in one; write the file anew with tiles of 256 x 256."
        )
    planes = page.samplesperpixel if page.planarconfig == 2 else 1
    expected = _num_tiles(page) * planes
    if not len(page.dataoffsets) == len(page.databytecounts) == expected:
        raise DataError(
            f"{path}: a level of {page.imagelength} x {page.imagewidth} (H x W) with "
            f"{len(page.dataoffsets)} tiles; expected {expected}; the file is broken; copy it "
            "again."
        )
    end = max(np.add(page.dataoffsets, page.databytecounts).tolist())
    length = path.stat().st_size
    if end > length:
        raise DataError(
            f"{path}: a cut off slide of {length:,} bytes; expected at least {end:,}; "
            "copy it again."
        )


def open_tiff_levels(path: Path, tiff: Any) -> OpenedFile:  # noqa: ANN401 - a TiffFile
    """A pyramid as tifffile finds it: OME-TIFF, or a tiled TIFF that openslide refuses.

    Raises:
        DataError: If its pages are not tiled, or are not RGB or grey of 8 bits.
    """
    try:
        series = tiff.series[0]
        levels = [_colour_pages(path, level) for level in series.levels]
        stated = _ome_facts(tiff) if tiff.is_ome else {}
    except AtrousError:
        raise
    except Exception as error:  # its parser raises nearly anything on broken bytes
        raise broken(path, error) from error
    for pages in levels:
        for page in pages:
            check_page(path, page)
    sizes = [(pages[0].imagelength, pages[0].imagewidth) for pages in levels]
    facts = SlideFacts(
        vendor="ome-tiff" if tiff.is_ome else "tiff",
        levels=find_levels(path, sizes),
        mpp=stated.get("mpp") if tiff.is_ome else _tag_mpp(levels[0][0]),
        objective=stated.get("objective"),
    )
    pixels = TiffPixels(path, levels)
    return OpenedFile(facts=facts, read=pixels.read, close=pixels.close)


def _colour_pages(path: Path, level: Any) -> list[Page]:  # noqa: ANN401 - a TiffPageSeries
    pages = [page.aspage() for page in level.pages]
    first = pages[0]
    if not first.is_tiled or first.tilelength is None:
        raise DataError(
            f"{path}: a TIFF in strips; expected tiles, which can be read one by one; write it "
            "anew with tiles of 256 x 256."
        )
    colours = len(pages) * first.samplesperpixel
    if first.dtype != np.uint8 or colours not in (1, 3, 4) or len(pages) not in (1, 3):
        raise DataError(
            f"{path}: {colours} channels or planes of {first.dtype}; expected RGB or grey of 8 "
            "bits, one plane; export the slide as RGB."
        )
    return pages


def _ome_facts(tiff: Any) -> dict[str, Any]:  # noqa: ANN401 - a TiffFile
    """`mpp` and `objective` of OME-XML, those that it states."""
    ome = require("tifffile", extra="slides").xml2dict(tiff.ome_metadata)["OME"]
    pixels = _first(_first(ome["Image"])["Pixels"])
    facts: dict[str, Any] = {}
    lengths = [_micrometres(pixels, axis) for axis in "YX"]
    if None not in lengths:
        facts["mpp"] = tuple(lengths)
    objective = _first(_first(ome.get("Instrument", {})).get("Objective", {}))
    if objective.get("NominalMagnification"):
        facts["objective"] = float(objective["NominalMagnification"])
    return facts


def _first(item: Any) -> Any:  # noqa: ANN401 - what XML holds
    return item[0] if isinstance(item, list | tuple) else item


def _micrometres(pixels: dict[str, Any], axis: str) -> float | None:
    length = pixels.get(f"PhysicalSize{axis}")
    unit = _UNITS.get(pixels.get(f"PhysicalSize{axis}Unit", _DEFAULT_UNIT))
    return None if length is None or unit is None else float(length) * unit


def _tag_mpp(page: Page) -> tuple[float, float] | None:
    """By the resolution tags, where they have a unit."""
    unit = _PER_RESOLUTION_UNIT.get(int(page.resolutionunit))
    right, down = page.resolution
    return None if unit is None or not (down and right) else (unit / down, unit / right)
