"""Read TIFF files of any number of channels and any usual numbers, by tifffile (extra `slides`)."""

from collections.abc import Iterable
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
            values = np.asarray(page.asarray())
            if values.shape != page.shape or not values.size or values.ndim not in (2, 3):
                raise ValueError(f"pixels of shape {values.shape}")
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


def read_bands_like(
    path: str | Path, num_channels: int, *, max_pixels: int = DEFAULT_MAX_PIXELS
) -> NDArray[np.float32]:
    """As `read_bands`, of so many channels.

    Raises:
        DataError: As `read_bands`, or if it has others.
    """
    bands = read_bands(path, max_pixels=num_channels * max_pixels)
    if bands.shape[2] != num_channels:
        raise DataError(
            f"{path}: {bands.shape[2]} channels; expected {num_channels}, in the same order in all "
            "files; leave it out, or make it anew."
        )
    return bands


def picture_of_bands(bands: NDArray[np.uint8 | np.float32]) -> NDArray[np.uint8]:
    """A picture to look at, RGB `(H, W, 3)` uint8, of `(H, W, C)`; RGB of 8 bits is one already.

    It shows the first three channels, of two the first alone, each from the 2nd to the 98th
    percentile of its values.
    """
    if bands.dtype == np.uint8 and bands.shape[2] == RGB:
        return bands.astype(np.uint8, copy=False)
    shown = bands[..., :RGB] if bands.shape[2] >= RGB else np.repeat(bands[..., :1], RGB, axis=2)
    low, high = np.percentile(shown, (2, 98), axis=(0, 1))
    span = np.where(high > low, high - low, 1)
    return np.rint(255 * np.clip((shown - low) / span, 0, 1)).astype(np.uint8)


def channel_statistics(
    images: Iterable[NDArray[np.uint8 | np.float32]],
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each channel over all pixels of images `(H, W, C)`."""
    count, total, squares = 0, np.zeros(1), np.zeros(1)
    for image in images:
        values = image.reshape(-1, image.shape[2]).astype(np.float64)
        count += len(values)
        total = total + values.sum(axis=0)
        squares = squares + (values**2).sum(axis=0)
    mean = total / count
    deviation = np.sqrt(np.maximum(squares / count - mean**2, 0))
    # A channel that is the same everywhere says nothing, and is not blown up either.
    return tuple(mean.tolist()), tuple(np.where(deviation > 0, deviation, 1).tolist())


RGB: Final = 3
"""Channels of a picture."""


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
