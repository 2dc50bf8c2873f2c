"""Whether a tile of JPEG was decoded from whole data."""

import re
import warnings
from threading import Lock
from typing import Final

from atrous._extras import require
from atrous.data.slides.parts import Pixels
from atrous.errors import DataError

_LOCK: Final = Lock()
"""Filters of warnings are of all threads together."""
_END: Final = b"\xff\xd9"
_ZEROS: Final = bytes(16)
_MARKER: Final = re.compile(rb"\xff[^\x00\xd0-\xd9\xff]")
_SCAN: Final = b"\xff\xda"
_BLOCK: Final = 8
_FILLED: Final = 128
"""What JPEG's decoder puts where its data have ended."""


def check_jpeg(data: bytes, tables: bytes | None, decoded: Pixels) -> None:
    """See that a JPEG was decoded from whole data: its decoder fills up with grey in silence.

    The data are decoded once more, strictly, where they or their pixels look broken: no end, long
    zeros, stray markers, or plain grey in the last block.

    Raises:
        DataError: If they are broken.
    """
    scan = data[max(data.find(_SCAN), 0) + len(_SCAN) :]
    looks_sound = (
        data.rstrip(b"\0").endswith(_END)
        and _ZEROS not in scan
        and _MARKER.search(scan) is None
        and not (decoded[-_BLOCK:, -_BLOCK:] == _FILLED).all()
    )
    if looks_sound:
        return
    whole = data if tables is None else tables[:-2] + data[2:]
    rasterio = require("rasterio", extra="slides")
    memory = require("rasterio.io", extra="slides").MemoryFile
    try:
        with _LOCK, warnings.catch_warnings():
            # GDAL misses a place on earth.
            warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
            with (
                rasterio.Env(GDAL_ERROR_ON_LIBJPEG_WARNING=True),
                memory(whole) as file,
                file.open(driver="JPEG") as picture,
            ):
                picture.read()
    except rasterio.errors.RasterioIOError as error:
        raise DataError("a JPEG whose data end too soon or are garbled") from error
