"""BigTIFF pyramids in which many places show the same encoded tile, which is stored once.

tifffile writes a tile for each place; TIFF itself only asks for an offset, which places may share.
"""

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO, Final

import numpy as np
from numpy.typing import NDArray

from atrous._files import write_atomically
from atrous.types import Size

_SHORT: Final = 3
_RATIONAL: Final = 5
_LONG8: Final = 16
_FIRST_DIRECTORY: Final = 8
"""Where the header says where the first directory is."""
_CENTIMETRE: Final = 3
_LARGEST_DENOMINATOR: Final = 1 << 16

Field = tuple[int, int, bytes]
"""Type, number of values, and these as TIFF holds them, little-endian."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedLevel:
    """One level: its tiles, each once, and which of them stands where."""

    size: Size
    """`(H, W)`, pixels."""
    tile: Size
    """`(H, W)` of a tile, multiples of 16 pixels."""
    tiles: Sequence[bytes]
    places: NDArray[np.int64]
    """`(rows, columns)` of indices of `tiles`."""
    fields: dict[int, Field]
    """By number of the tag, what says how the tiles are encoded."""


def shorts(*values: int) -> Field:
    """A field of 16-bit numbers."""
    return _SHORT, len(values), struct.pack(f"<{len(values)}H", *values)


def text(value: str) -> Field:
    """A field of text."""
    data = value.encode() + b"\0"
    return 2, len(data), data


def opaque(data: bytes) -> Field:
    """A field of bytes."""
    return 7, len(data), data


def write_shared(path: Path, levels: Iterable[SharedLevel], *, mpp: tuple[float, float]) -> None:
    """Write a pyramid, its finest level first; `path` appears when it is whole.

    Args:
        path: The file.
        levels: They are asked for one by one, each once the one before is written.
        mpp: Micrometres per pixel of the first level, down and to the right.

    Raises:
        DataError: If the file cannot be written.
    """
    with write_atomically(path) as file:
        # II, version 43, offsets of 8 bytes, then where the first directory is.
        file.write(struct.pack("<2sHHHQ", b"II", 43, 8, 0, 0))
        link = _FIRST_DIRECTORY
        for number, level in enumerate(levels):
            # Each level halves the one before, whatever is left over at its border.
            scale = (mpp[0] * 2**number, mpp[1] * 2**number)
            fields = _fields(file, level, is_first=number == 0, mpp=scale)
            link = _write_directory(file, fields, link)


def _fields(
    file: BinaryIO, level: SharedLevel, *, is_first: bool, mpp: tuple[float, float]
) -> dict[int, Field]:
    """Write a level's tiles, and give its directory."""
    offsets = []
    for tile in level.tiles:
        offsets.append(file.tell())
        file.write(tile)
    lengths = [len(tile) for tile in level.tiles]
    return level.fields | {
        254: _long8(np.array([0 if is_first else 1])),
        256: _long8(np.array([level.size[1]])),
        257: _long8(np.array([level.size[0]])),
        258: shorts(8, 8, 8),
        277: shorts(3),
        282: _per_centimetre(mpp[1]),
        283: _per_centimetre(mpp[0]),
        284: shorts(1),
        296: shorts(_CENTIMETRE),
        322: shorts(level.tile[1]),
        323: shorts(level.tile[0]),
        324: _long8(np.array(offsets)[level.places]),
        325: _long8(np.array(lengths)[level.places]),
    }


def _long8(values: NDArray[np.int64]) -> Field:
    return _LONG8, values.size, values.astype("<u8").tobytes()


def _per_centimetre(mpp: float) -> Field:
    pixels = Fraction(10_000 / mpp).limit_denominator(_LARGEST_DENOMINATOR)
    while pixels.numerator >> 32:
        pixels = Fraction(10_000 / mpp).limit_denominator(pixels.denominator // 2)
    return _RATIONAL, 1, struct.pack("<II", pixels.numerator, pixels.denominator)


def _write_directory(file: BinaryIO, fields: dict[int, Field], link: int) -> int:
    """Write a directory, which the place `link` comes to point to, and give its own such place."""
    entries = []
    for tag, (kind, number, data) in sorted(fields.items()):
        value = data
        if len(data) > 8:
            value = struct.pack("<Q", file.tell())
            file.write(data)
        entries.append(struct.pack("<HHQ8s", tag, kind, number, value))
    file.write(bytes(-file.tell() % 8))
    start = file.tell()
    file.write(struct.pack("<Q", len(entries)) + b"".join(entries))
    own_link = file.tell()
    file.write(struct.pack("<Q", 0))
    file.seek(link)
    file.write(struct.pack("<Q", start))
    file.seek(0, 2)
    return own_link
