"""Tiled pyramids in TIFF files, of any size in bounded memory: slides and their label maps.

The one place that knows tifffile and imagecodecs (extra `slides`). Level 0 comes tile by tile from
the caller; every further level is made of the one before it, read back from the file.
"""

import os
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path
from secrets import token_hex
from typing import Any, BinaryIO, Final

import numpy as np
from numpy.typing import NDArray

from atrous._extras import require
from atrous.errors import DataError
from atrous.types import Colour, Size

Tile = NDArray[np.uint8]

COARSEST: Final = 1024
"""Levels are added until the longer side is no longer than this, in pixels."""

_SUB_IFDS: Final = 330
"""The tag of TIFF that names further pages of the same picture."""

_ROOM: Final = 331
"""A free tag that keeps room for it: tifffile does not write that one beforehand."""

_BIG: Final = 1 << 31
"""Values of level 0, of all channels, from which on offsets of 64 bits are used: with the other
levels these are 2.9 of the 4.3 GB that 32 bits reach."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TileKind:
    """What a pyramid holds, and how its tiles are kept."""

    encode: Callable[[Tile], bytes]
    decode: Callable[[bytes], Tile]
    halve: Callable[[Tile], Tile]
    """A tile of twice the side, `(2 T, 2 T, …)`, to one of the next level, `(T, T, …)`."""
    blank: int
    """What stands where a level has no pixels."""
    channels: int
    options: Mapping[str, Any]
    """Further arguments of `tifffile.TiffWriter.write`."""


def num_levels(size: Size) -> int:
    """Levels of a pyramid over `(H, W)` pixels.

    Example:
        >>> num_levels((100_000, 100_000))
        8
    """
    number = 1
    while max(size) > COARSEST:
        size, number = halved(size), number + 1
    return number


def halved(size: Size) -> Size:
    """`(H, W)` of the next level."""
    return tuple(ceil(length / 2) for length in size)


def photo_tiles(*, quality: int = 85) -> TileKind:
    """RGB `(T, T, 3)` as JPEG; a level holds means of four pixels of the one before.

    Raises:
        MissingExtraError: If imagecodecs is not installed.
    """
    codecs = require("imagecodecs", extra="slides")

    def encode(tile: Tile) -> bytes:
        jpeg: bytes = codecs.jpeg8_encode(
            tile, level=quality, colorspace="RGB", outcolorspace="YCBCR", subsampling="420"
        )
        return jpeg

    def decode(data: bytes) -> Tile:
        tile: Tile = codecs.jpeg8_decode(data)
        return tile

    return TileKind(
        encode=encode,
        decode=decode,
        halve=_mean_of_four,
        blank=255,
        channels=3,
        options={"compression": "jpeg", "photometric": "ycbcr", "subsampling": (2, 2)},
    )


def label_tiles(*, tile: int, palette: Sequence[Colour]) -> TileKind:
    """Class indices `(T, T)`, without loss; a level holds one of every four of the one before.

    Args:
        tile: T, pixels.
        palette: A colour for each index, by which viewers show them.
    """
    colours = np.zeros((3, 256), np.uint16)
    colours[:, : len(palette)] = np.array(palette, np.uint16).T * 257

    def encode(labels: Tile) -> bytes:
        return zlib.compress(np.ascontiguousarray(labels).tobytes(), level=6)

    def decode(data: bytes) -> Tile:
        return np.frombuffer(zlib.decompress(data), np.uint8).reshape(tile, tile)

    return TileKind(
        encode=encode,
        decode=decode,
        halve=lambda labels: labels[::2, ::2],
        blank=0,
        channels=1,
        options={"compression": "adobe_deflate", "photometric": "palette", "colormap": colours},
    )


def probability_tiles(*, tile: int, channels: int) -> TileKind:
    """Probabilities `(T, T, C)` in steps of 1 / 255; a level holds means of four pixels.

    Args:
        tile: T, pixels.
        channels: C, one a class.
    """

    def encode(values: Tile) -> bytes:
        return zlib.compress(np.ascontiguousarray(values).tobytes(), level=6)

    def decode(data: bytes) -> Tile:
        return np.frombuffer(zlib.decompress(data), np.uint8).reshape(tile, tile, channels)

    return TileKind(
        encode=encode,
        decode=decode,
        halve=_mean_of_four,
        blank=0,
        channels=channels,
        options={
            "compression": "adobe_deflate",
            "photometric": "minisblack",
            "planarconfig": "contig",
            "extrasamples": (0,) * (channels - 1),
        },
    )


def write_pyramid(
    path: Path,
    tiles: Iterable[bytes],
    *,
    kind: TileKind,
    size: Size,
    tile: int,
    mpp: tuple[float, float],
    description: str | None = None,
) -> None:
    """Write a pyramid that openslide and libtiff read; `path` appears when it is whole.

    With a description in OME-XML, level 0 points to the others as its SubIFDs too: readers of
    OME-TIFF find them there, and those that know only the file's chain of pages find them in it.

    Args:
        path: The file.
        tiles: Level 0, row by row, encoded by `kind`; those at the border are whole ones too.
        kind: Of what.
        size: `(H, W)` of level 0, pixels.
        tile: Side of a tile, a multiple of 16 pixels.
        mpp: Micrometres per pixel, down and to the right.
        description: Of level 0, in ASCII.

    Raises:
        DataError: If the file cannot be written.
        MissingExtraError: If tifffile is not installed.
    """
    tifffile = require("tifffile", extra="slides")
    part = path.with_name(f".{path.name[:100]}.{token_hex(4)}.part")
    is_big = size[0] * size[1] * kind.channels >= _BIG
    level, first_size = iter(tiles), size
    first = {} if description is None else _description(description, size, is_big=is_big)
    try:
        for number in range(num_levels(first_size)):
            if number:
                size, level = halved(size), _next_level(part, kind, tile)
            written = kind if number else replace(kind, options={**kind.options, **first})
            # "force": tifffile else takes a described file for one that it must not add to.
            mode, scale = "force" if number else False, 2**number
            with tifffile.TiffWriter(part, bigtiff=is_big, append=mode, ome=False) as file:
                _write_level(file, level, kind=written, size=size, tile=tile, mpp=mpp, scale=scale)
        if "extratags" in first:
            _point_to_levels(part)
        with part.open("rb") as whole:
            os.fsync(whole.fileno())
        part.replace(path)
    except OSError as error:
        raise DataError(
            f"{path} could not be written: {error.strerror or error}; "
            "give another place or make room there."
        ) from error
    finally:
        with suppress(OSError):
            part.unlink()


def _description(text: str, size: Size, *, is_big: bool) -> dict[str, Any]:
    """Arguments for writing a level 0 with a description, and with room to name the others."""
    num_others = num_levels(size) - 1
    if not num_others:
        return {"description": text}
    offsets = (_ROOM, 18 if is_big else 13, num_others, [0] * num_others, True)
    return {"description": text, "extratags": [offsets]}


def _point_to_levels(path: Path) -> None:
    """Fill in where the other levels are."""
    tifffile = require("tifffile", extra="slides")
    with tifffile.TiffFile(path, mode="r+b") as tiff:
        offsets = [page.offset for page in tiff.pages[1:]]
        tag = tiff.pages[0].tags[_ROOM]
        tag.overwrite(offsets)
        place, code = tag.offset, struct.pack(f"{tiff.byteorder}H", _SUB_IFDS)
    with path.open("r+b") as file:
        file.seek(place)
        file.write(code)


def _write_level(
    file: Any,  # noqa: ANN401 - a tifffile.TiffWriter
    tiles: Iterator[bytes],
    *,
    kind: TileKind,
    size: Size,
    tile: int,
    mpp: tuple[float, float],
    scale: int,
) -> None:
    """Write one level after those that are there; `scale` is its pixel in pixels of level 0."""
    pixels_per_cm = tuple(10_000 / (length * scale) for length in reversed(mpp))
    file.write(
        tiles,
        shape=size if kind.channels == 1 else (*size, kind.channels),
        dtype=np.uint8,
        tile=(tile, tile),
        resolution=pixels_per_cm,
        resolutionunit="centimeter",
        subfiletype=0 if scale == 1 else 1,
        metadata=None,
        software=False,
        **kind.options,
    )


def _next_level(path: Path, kind: TileKind, tile: int) -> Iterator[bytes]:
    """Encoded tiles of the level after the last one of a file, row by row."""
    tifffile = require("tifffile", extra="slides")
    with tifffile.TiffFile(path) as tiff:
        page = tiff.pages[-1]
        segments = list(zip(page.dataoffsets, page.databytecounts, strict=True))
        rows, columns = ceil(page.imagelength / tile), ceil(page.imagewidth / tile)
    # Most of a slide is bare glass: the same tile four times, and then the same again.
    of_alike: dict[bytes, bytes] = {}
    with path.open("rb") as file:
        for row in range(0, rows, 2):
            for column in range(0, columns, 2):
                four = [
                    _read(file, *segments[y * columns + x]) if y < rows and x < columns else b""
                    for y in (row, row + 1)
                    for x in (column, column + 1)
                ]
                if len(set(four)) > 1:
                    yield _merge(four, kind, tile)
                    continue
                if four[0] not in of_alike:
                    of_alike[four[0]] = _merge(four, kind, tile)
                yield of_alike[four[0]]


def _read(file: BinaryIO, offset: int, length: int) -> bytes:
    file.seek(offset)
    return file.read(length)


def _merge(four: Sequence[bytes], kind: TileKind, tile: int) -> bytes:
    """One tile of the next level from four, which may be empty."""
    shape = (tile, tile) if kind.channels == 1 else (tile, tile, kind.channels)
    empty = np.full(shape, kind.blank, np.uint8)
    decoded = [kind.decode(data) if data else empty for data in four]
    rows = [np.concatenate(decoded[first : first + 2], axis=1) for first in (0, 2)]
    return kind.encode(kind.halve(np.concatenate(rows)))


def _mean_of_four(tile: Tile) -> Tile:
    wide = tile.astype(np.uint16)
    pairs = wide[::2] + wide[1::2]
    return ((pairs[:, ::2] + pairs[:, 1::2] + 2) // 4).astype(np.uint8)
