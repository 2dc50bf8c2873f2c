"""Whether a tile of JPEG was decoded from whole data."""

import re
import struct
import warnings
from threading import Lock
from typing import Final

from atrous._extras import require
from atrous.data.slides.parts import Pixels
from atrous.errors import DataError
from atrous.types import Size

_JPEG_KINDS: Final = (6, 7, 33007)
_JPEG2000_KINDS: Final = (33003, 33004, 33005, 34712)
_FRAMES: Final = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
"""Markers of JPEG's frame headers, which hold the size."""
_SIZ: Final = b"\xff\x4f\xff\x51"
"""How a JPEG 2000 codestream begins; the size stands after it."""
_LOCK: Final = Lock()
"""Filters of warnings are of all threads together."""
_END: Final = b"\xff\xd9"
_ZEROS: Final = bytes(16)
_MARKER: Final = re.compile(rb"\xff[^\x00\xd0-\xd9\xff]")
_SCAN: Final = b"\xff\xda"
_BLOCK: Final = 8
_FILLED: Final = 128
"""What JPEG's decoder puts where its data have ended."""


def check_declared(data: bytes, compression: int, tile: Size) -> None:
    """See that a tile's own header asks for no more than the tile, before anything is allocated.

    Args:
        data: The encoded tile.
        compression: TIFF's number of it; of others than JPEG and JPEG 2000 nothing is known here.
        tile: `(H, W)` that the page says.

    Raises:
        DataError: If it asks for more.
    """
    declared = None
    if compression in _JPEG_KINDS:
        declared = _jpeg_size(data)
    elif compression in _JPEG2000_KINDS:
        at = data.find(_SIZ)
        if 0 <= at <= len(data) - 24:  # after two markers, a length and a kind
            width, height, left, top = struct.unpack(">4I", data[at + 8 : at + 24])
            declared = (height - top, width - left)
    if declared is not None and (declared[0] > tile[0] or declared[1] > tile[1]):
        raise DataError(
            f"a tile whose own header says {declared[0]} x {declared[1]} pixels where "
            f"{tile[0]} x {tile[1]} (H x W) were expected"
        )


def _jpeg_size(data: bytes) -> Size | None:
    """`(H, W)` of a JPEG stream's frame header; None without one."""
    at = 2
    while at + 9 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:  # a fill byte
            at += 1
            continue
        if marker in _FRAMES:
            height, width = struct.unpack(">HH", data[at + 5 : at + 9])
            return height, width
        if marker == 0xDA:
            return None
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return None


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
