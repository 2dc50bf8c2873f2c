"""Tiled TIFF files: pixels tile by tile through tifffile.

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
from numpy.typing import NDArray

from atrous.data.slides.colour import bits_used, to_rgb8
from atrous.data.slides.jpeg_check import check_declared, check_jpeg
from atrous.data.slides.parts import (
    CACHE_BYTES,
    BrokenTiles,
    OpenedFile,
    Pixels,
    SlideFacts,
    TileCache,
    assemble,
    broken,
    find_levels,
)
from atrous.data.slides.tiff_images import choose_image, find_images
from atrous.data.slides.tiff_pages import Page, check_page, num_tiles
from atrous.errors import AtrousError, DataError
from atrous.types import Size

_SAMPLED: Final = 64
"""Tiles of the coarsest level that are looked through for the bits that their values use."""
_JPEG: Final = 7


class TiffPixels:
    """Levels of a TIFF, each of one page, or of one page for each of three colours.

    Args:
        path: The file.
        levels: The pages of each level, of a `TiffFile` that is still open.
        bits: That values of 16 bits use.
        cache_bytes: Of decoded tiles that are kept.

    Raises:
        DataError: If the file cannot be opened.
    """

    def __init__(
        self, path: Path, levels: Sequence[Sequence[Page]], *, bits: int = 16, cache_bytes: int
    ) -> None:
        self.broken = BrokenTiles()
        self._path, self._levels = path, levels
        self._convert = [to_rgb8(pages[0], bits=bits) for pages in levels]
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

    def highest(self, index: int) -> int:
        """The highest value of a tile of level 0.

        Raises:
            DataError: If it is broken.
        """
        page = self._levels[0][0]
        size = (page.tilelength, page.tilewidth)
        try:
            return max(
                int(self._plane(page, number, size).max())
                for page, number in _planes(self._levels[0], index)
            )
        except Exception as error:  # decoders raise nearly anything on broken bytes
            raise broken(self._path, error) from error

    def close(self) -> None:
        """Give the file back."""
        self._file.close()

    def _decode(self, level: int, index: int) -> Pixels:
        pages = self._levels[level]
        page = pages[0]
        row, column = divmod(index, ceil(page.imagewidth / page.tilewidth))
        top, left = row * page.tilelength, column * page.tilewidth
        size = (
            min(page.tilelength, page.imagelength - top),
            min(page.tilewidth, page.imagewidth - left),
        )
        try:
            planes = [self._plane(page, number, size) for page, number in _planes(pages, index)]
        except Exception as error:  # decoders raise nearly anything on broken bytes
            place = f"{error}, in the tile at row {top} and column {left} of level {level}"
            return self.broken.take(broken(self._path, DataError(place)), level, top, left, size)
        return self._convert[level](
            planes[0] if len(planes) == 1 else np.concatenate(planes, axis=-1)
        )

    def _plane(self, page: Page, index: int, size: Size) -> NDArray[Any]:
        """One encoded tile, `(h, w, C)`, without what lies beyond the level."""
        offset, length = page.dataoffsets[index], page.databytecounts[index]
        if not length:
            return self._white(page, size)
        with self._lock:
            self._file.seek(offset)
            data = self._file.read(length)
        check_declared(data, int(page.compression), (page.tilelength, page.tilewidth))
        decoded, _, _ = self._decoders[id(page)](data, index, jpegtables=page.jpegtables)
        if int(page.compression) == _JPEG:
            check_jpeg(data, page.jpegtables, decoded[0])
        tile: NDArray[Any] = decoded[0, : size[0], : size[1]]
        if tile.shape[:2] != size:
            raise DataError(
                f"{tile.shape[0]} x {tile.shape[1]} pixels where {size[0]} x {size[1]} (H x W) "
                "were expected"
            )
        return tile

    def _white(self, page: Page, size: Size) -> NDArray[Any]:
        """What stands where a file holds no tile."""
        samples = 1 if page.planarconfig == 2 else page.samplesperpixel
        return np.full((*size, samples), np.iinfo(page.dtype).max, page.dtype)


def _planes(pages: Sequence[Page], index: int) -> list[tuple[Page, int]]:
    """The pages and segments that hold the colours of one tile."""
    page = pages[0]
    if len(pages) == 1 and page.planarconfig == 2 and page.samplesperpixel > 1:
        return [(page, index + number * num_tiles(page)) for number in range(page.samplesperpixel)]
    return [(page, index) for page in pages]


def open_tiff_levels(
    path: Path,
    tiff: Any,  # noqa: ANN401 - a TiffFile
    *,
    image: int | None = None,
    cache_bytes: int = CACHE_BYTES,
) -> OpenedFile:
    """A pyramid as tifffile finds it: OME-TIFF, or a tiled TIFF that openslide refuses.

    Args:
        path: The file.
        tiff: It, open.
        image: Number of the image that is read, from 1; None for the largest.
        cache_bytes: Of decoded tiles that are kept.

    Raises:
        DataError: If its pages are not tiled, or are not RGB or grey of 8 or 16 bits.
    """
    try:
        chosen, notes = choose_image(path, find_images(path, tiff), image)
        profile = chosen.levels[0][0].iccprofile
    except AtrousError:
        raise
    except Exception as error:  # its parser raises nearly anything on broken bytes
        raise broken(path, error) from error
    for pages in chosen.levels:
        for page in pages:
            check_page(path, page)
    sizes = [(pages[0].imagelength, pages[0].imagewidth) for pages in chosen.levels]
    levels = find_levels(path, sizes)
    if chosen.levels[0][0].dtype == np.uint8:
        pixels = TiffPixels(path, chosen.levels, cache_bytes=cache_bytes)
    else:
        bits = chosen.bits or _bits_of(path, chosen.levels[-1])
        notes += (f"values of 16 bits are read as {bits} bits",)
        pixels = TiffPixels(path, chosen.levels, bits=bits, cache_bytes=cache_bytes)
    facts = SlideFacts(
        vendor="ome-tiff" if tiff.is_ome else "tiff",
        levels=levels,
        mpp=chosen.mpp,
        objective=chosen.objective,
        notes=notes,
        profile=profile,
    )
    return OpenedFile(facts=facts, read=pixels.read, close=pixels.close, broken=pixels.broken)


def _bits_of(path: Path, pages: Sequence[Page]) -> int:
    """The bits that values use, by the highest of some tiles of the coarsest level.

    Glass is nearly as bright as values go, so it shows in any of them.
    """
    pixels = TiffPixels(path, [pages], cache_bytes=0)
    try:
        total = num_tiles(pages[0])
        step = max(1, total // _SAMPLED)
        return bits_used(max(pixels.highest(index) for index in range(0, total, step)))
    finally:
        pixels.close()
