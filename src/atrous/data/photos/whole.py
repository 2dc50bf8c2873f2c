"""Whether all of a picture is in its file: checksums of PNG, JPEG without their last marker."""

import io
import random
import re
import zlib
from collections.abc import Iterator
from typing import IO, Final

import numpy as np
from PIL import Image, JpegImagePlugin

_PNG_MAGIC: Final = 8
_PNG_CHECKED: Final = (b"IHDR", b"PLTE", b"tRNS", b"IDAT")
_END: Final = b"\xff\xd9"
_TAIL: Final = 4096
"""Bytes: more than ten blocks of 64 coefficients take, so that the last block is reached."""
_TAILS: Final = (
    *(bytes([each]) * _TAIL for each in (0x00, 0x55, 0xAA, 0x33, 0xCC)),
    b"\xff\x00" * _TAIL,
    random.Random(0).randbytes(_TAIL).replace(b"\xff", b"\xfe"),  # noqa: S311 - any bits do
)
"""What might have been cut off: other bits at every place, of any length of code."""
_START_OF_SCAN: Final = 0xDA
_PROGRESSIVE: Final = (0xC2, 0xC6, 0xCA, 0xCE)
_NO_FRAMES: Final = (0xC4, 0xC8, 0xCC)
_RESTARTS: Final = range(0xD0, 0xD8)
_WITHOUT_LENGTH: Final = (0x00, 0x01, 0xD8, 0xFF, *_RESTARTS)


def check_png(file: IO[bytes]) -> None:
    """See that the pixels of a PNG have the checksums that stand beside them; Pillow looks at none.

    Raises:
        ValueError: If they have not.
    """
    file.seek(_PNG_MAGIC)
    while len(head := file.read(8)) == 8:
        name, length = head[4:], int.from_bytes(head[:4])
        data = file.read(length)
        if name in _PNG_CHECKED and zlib.crc32(name + data).to_bytes(4) != file.read(4):
            raise ValueError(f"the checksum of its part {name.decode()} is wrong")
        if name not in _PNG_CHECKED:
            file.seek(4, io.SEEK_CUR)


def jpeg_without_end(data: bytes) -> Image.Image | None:
    """The picture of a JPEG that lacks its end marker and nothing else; None if more is missing.

    A scan that is whole is read the same whatever bits follow it, and one that was cut is not:
    the decoder takes what follows for its last blocks.

    Args:
        data: The file's bytes, without an end marker.
    """
    body = data.removesuffix(b"\xff")  # half a marker
    if not _has_all_scans(body):
        return None
    found = _decoded(body)
    for tail in _TAILS:
        # Each part between two restarts begins anew, so that one that is missing needs a restart.
        parts = [tail + b"\xff" + bytes([marker]) for marker in _next_restarts(body)]
        other = _decoded(body + (b"".join(parts) or tail))
        if not np.array_equal(np.asarray(other), np.asarray(found)):
            return None
    return found


def _decoded(body: bytes) -> Image.Image:
    image = JpegImagePlugin.JpegImageFile(io.BytesIO(body + _END))
    image.load()
    return image


def _next_restarts(data: bytes) -> list[int]:
    """The eight markers of restarts that would follow in the last scan, if it had more of them."""
    scan = data.rfind(b"\xff" + bytes([_START_OF_SCAN]))
    number = len(re.findall(rb"\xff[\xd0-\xd7]", data[max(0, scan) :]))
    return [_RESTARTS[(number + each) % len(_RESTARTS)] for each in range(len(_RESTARTS))]


def _has_all_scans(data: bytes) -> bool:
    """Whether scans are there for each component, and of a progressive file for each bit."""
    components: tuple[int, ...] = ()
    is_progressive = False
    missing: set[tuple[int, int]] = set()
    for marker, segment in _segments(data):
        if 0xC0 <= marker <= 0xCF and marker not in _NO_FRAMES:
            is_progressive = marker in _PROGRESSIVE
            components = tuple(segment[6::3][: segment[5]])
            missing = {(each, place) for each in components for place in range(64)}
        elif marker == _START_OF_SCAN:
            first, last, bits = segment[-3:]
            is_last = not is_progressive or bits & 15 == 0
            places = range(first, last + 1) if is_progressive else range(64)
            if is_last:
                missing -= {
                    (each, place) for each in segment[1:-3:2][: segment[0]] for place in places
                }
    return bool(components) and not missing


def _segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Every marker that has a length, with what follows it; coded data are passed over."""
    at = 2
    while (at := data.find(b"\xff", at)) >= 0 and at + 4 <= len(data):
        marker = data[at + 1]
        if marker in _WITHOUT_LENGTH:
            at += 1 if marker == 0xFF else 2
            continue
        length = int.from_bytes(data[at + 2 : at + 4])
        if at + 2 + length > len(data) or length < 2:
            return
        yield marker, data[at + 4 : at + 2 + length]
        at += 2 + length
