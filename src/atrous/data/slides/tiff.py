"""Tiled TIFF files: pixels tile by tile through tifffile, and what OME-XML and tags say.

Of slides that openslide opens too, the pixels are the same to the byte; read here they come faster,
and exactly: openslide takes a place in pixels of level 0, and where a level's downsample is no
whole number it interpolates between pixels. Needs the extra `slides`.
"""

from collections.abc import Sequence
from math import ceil
from pathlib import Path
from threading import Lock
from typing import Any, Final

import numpy as np

from atrous._extras import require
from atrous.data.slides.parts import (
    CACHE_BYTES,
    OpenedFile,
    Pixels,
    SlideFacts,
    TileCache,
    assemble,
    broken,
    find_levels,
)
from atrous.data.slides.tiff_pages import Page, check_page, num_tiles
from atrous.errors import AtrousError, DataError
from atrous.types import Size

_UNITS: Final = {"m": 1e6, "cm": 1e4, "mm": 1e3, "µm": 1.0, "μm": 1.0, "um": 1.0, "nm": 1e-3}
"""Micrometres; µ has two code points."""
_DEFAULT_UNIT: Final = "µm"
_PER_RESOLUTION_UNIT: Final = {2: 25_400.0, 3: 10_000.0}
"""Micrometres, by TIFF's number of the unit: inch, centimetre."""


class TiffPixels:
    """Levels of a TIFF, each of one page, or of one page for each of three colours.

    Args:
        path: The file.
        levels: The pages of each level, of a `TiffFile` that is still open.
        cache_bytes: Of decoded tiles that are kept.

    Raises:
        DataError: If the file cannot be opened.
    """

    def __init__(self, path: Path, levels: Sequence[Sequence[Page]], *, cache_bytes: int) -> None:
        self._path, self._levels = path, levels
        self._cache = TileCache(cache_bytes)
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
        row, column = divmod(index % num_tiles(page), ceil(page.imagewidth / page.tilewidth))
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
        return [(page, index + number * num_tiles(page)) for number in range(3)]
    return [(page, index) for page in pages]


def _rgb(tile: Pixels) -> Pixels:
    if tile.ndim == 2:
        tile = tile[..., np.newaxis]
    if tile.shape[-1] == 1:
        return np.repeat(tile, 3, axis=-1)
    return tile[..., :3]


def open_tiff_levels(
    path: Path,
    tiff: Any,  # noqa: ANN401 - a TiffFile
    *,
    cache_bytes: int = CACHE_BYTES,
) -> OpenedFile:
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
    pixels = TiffPixels(path, levels, cache_bytes=cache_bytes)
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
