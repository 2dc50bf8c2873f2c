"""Read TIFF files of any number of channels and any usual numbers, by tifffile (extra `slides`)."""

from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from atrous._documents import check_regular
from atrous._extras import require
from atrous.data.photos.raster import DEFAULT_MAX_PIXELS
from atrous.errors import AtrousError, DataError

_AXES: Final = ("YX", "YXS", "SYX")
"""Rows, columns and samples, in the two orders that TIFF has."""


def read_bands(path: str | Path, *, max_pixels: int = DEFAULT_MAX_PIXELS) -> NDArray[np.float32]:
    """All channels of a TIFF of one page, `(H, W, C)` float32.

    Integers without sign are divided by the highest value of their bits, so that they lie in
    [0, 1]; floats are as the file holds them. Where the file says that white is zero, values are
    taken from 1.

    Args:
        path: The file.
        max_pixels: Refuse more than this many values before any is decoded.

    Raises:
        DataError: If it cannot be read, has several pages, is too large, or holds other numbers, or
            such as are not finite.
        MissingExtraError: If tifffile is not installed.
    """
    path = Path(path)
    tifffile = require("tifffile", extra="slides")
    try:
        check_regular(path)
        with tifffile.TiffFile(path) as tiff:
            num_pages, page = len(tiff.pages), tiff.pages[0]
            _check(path, page, num_pages, max_pixels)
            values = page.asarray()
            is_first, is_inverted = page.axes == "SYX", int(page.photometric) == 0
            bits = int(np.max(page.bitspersample))
    except AtrousError:
        raise
    except Exception as error:  # its parser and decoders raise nearly anything on broken bytes
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(
            f"{path}: a broken or cut off TIFF file ({reason}); expected a whole one; copy it "
            "again."
        ) from error
    scaled = values.astype(np.float32)
    if values.dtype.kind == "u":
        scaled /= 2**bits - 1
    if not np.isfinite(scaled).all():
        raise DataError(
            f"{path}: {int((~np.isfinite(scaled)).sum()):,} values are NaN or infinite; expected "
            "numbers; replace them."
        )
    scaled = 1 - scaled if is_inverted else scaled
    if scaled.ndim == 2:
        scaled = scaled[:, :, np.newaxis]
    return np.ascontiguousarray(np.moveaxis(scaled, 0, -1) if is_first else scaled)


def _check(path: Path, page: Any, num_pages: int, max_pixels: int) -> None:  # noqa: ANN401 - a page
    if num_pages != 1 or page.axes not in _AXES:
        raise DataError(
            f"{path}: a TIFF file of {num_pages} pages with the axes {page.axes}; expected one "
            "page of rows, columns and channels; save the page you mean as a file of its own."
        )
    if page.dtype is None or not (page.dtype.kind == "f" or page.dtype in (np.uint8, np.uint16)):
        raise DataError(
            f"{path}: values of type {page.dtype}; expected integers of up to 16 bits without "
            "sign, or floats; nothing in the file says which number is white; convert it."
        )
    if page.size > max_pixels:
        raise DataError(
            f"{path}: {' x '.join(map(str, page.shape))} values; expected at most "
            f"max_pixels={max_pixels:,}; raise max_pixels if you trust the file."
        )
