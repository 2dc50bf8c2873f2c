"""Tiled TIFF files: their pages, found whole before any pixel is read (extra `slides`)."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from math import ceil
from pathlib import Path
from threading import get_ident
from typing import Any, Final

import numpy as np

from atrous._extras import require
from atrous.data.slides.parts import broken
from atrous.errors import AtrousError, DataError

_MOST_TILE_PIXELS: Final = 1 << 24
SUB_IFDS: Final = 330
"""The tag of TIFF that names further pages of the same picture."""

Page = Any
"""A `tifffile.TiffPage`."""


def num_tiles(page: Page) -> int:
    """Tiles that the size of a page asks for, in each plane."""
    return ceil(page.imagelength / page.tilelength) * ceil(page.imagewidth / page.tilewidth)


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
            num_pages = _count_pages(path, tiff)
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


def _count_pages(path: Path, tiff: Any) -> int:  # noqa: ANN401 - a TiffFile
    try:
        return len(tiff.pages)
    except Exception as error:  # its parser raises nearly anything on broken bytes
        raise broken(path, error) from error


def tiled_pages(path: Path, tiff: Any) -> list[Page]:  # noqa: ANN401 - a TiffFile
    """The pages of a TIFF that are tiled, each found whole.

    Raises:
        DataError: If one is not.
    """
    try:
        pages = [page for page in tiff.pages if page.is_tiled]
    except Exception as error:  # its parser raises nearly anything on broken bytes
        raise broken(path, error) from error
    for page in pages:
        check_page(path, page)
    return pages


def is_beyond_openslide(path: Path, tiff: Any) -> bool:  # noqa: ANN401 - a TiffFile
    """Whether a TIFF holds what openslide does not see.

    Such are OME-XML, levels in sub-directories, the pages of a QPTIFF, and values of 16 bits, of
    which openslide gives the upper half whatever they use.

    Raises:
        DataError: If its first page is broken.
    """
    try:
        first = tiff.pages[0]
        is_deep = any(page.dtype == np.uint16 for page in tiff.pages if page.is_tiled)
        return bool(tiff.is_ome or tiff.is_qpi) or SUB_IFDS in first.tags or is_deep
    except Exception as error:  # its parser raises nearly anything on broken bytes
        raise broken(path, error) from error


def check_page(path: Path, page: Page) -> None:
    """See that a tiled page has all tiles that its size asks for, within the file and the memory.

    Raises:
        DataError: If not.
    """
    try:
        _check_tiles(path, page)
    except AtrousError:
        raise
    except Exception as error:  # of tags that are damaged, tifffile gives what it finds
        raise broken(path, error) from error


def _check_tiles(path: Path, page: Page) -> None:
    if page.tilelength * page.tilewidth > _MOST_TILE_PIXELS:
        raise DataError(
            f"{path}: tiles of {page.tilelength} x {page.tilewidth} (H x W); expected at most "
            f"{_MOST_TILE_PIXELS:,} pixels in one; write the file anew with tiles of 256 x 256."
        )
    planes = page.samplesperpixel if page.planarconfig == 2 else 1
    expected = num_tiles(page) * planes
    if not expected or not len(page.dataoffsets) == len(page.databytecounts) == expected:
        raise DataError(
            f"{path}: a level of {page.imagelength} x {page.imagewidth} (H x W) with "
            f"{len(page.dataoffsets)} tiles; expected {expected}; the file is broken; copy it "
            "again."
        )
    end = int(np.add(page.dataoffsets, page.databytecounts).max())
    length = path.stat().st_size
    if end > length:
        raise DataError(
            f"{path}: a cut off slide of {length:,} bytes; expected at least {end:,}; "
            "copy it again."
        )
