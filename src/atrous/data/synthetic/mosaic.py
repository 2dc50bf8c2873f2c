"""Slides of any size out of a real one, whose encoded tiles are repeated (extra `slides`).

A file of 100,000 x 100,000 pixels takes seconds and some megabytes: what is alike is stored once.
To try memory and speed on real tissue, real compression and real sizes.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from atrous.data.slides.read import Slide, open_slide
from atrous.data.slides.tiff_pages import open_tiff
from atrous.data.slides.tissue import find_tissue
from atrous.data.slides.write_pyramid import TileKind, halved, num_levels, photo_tiles
from atrous.data.synthetic.shared_tiff import Field, SharedLevel, opaque, shorts, text, write_shared
from atrous.errors import DataError, ShapeError
from atrous.types import Size

MOST_SIDE: Final = 1 << 20
"""Pixels along a side."""

_WINDOW: Final = 24
"""Tiles down and to the right, of the source, that are repeated at most."""
_PIXELS: Final = 16
"""Of the thumbnail, by which a tile is judged, along its side."""
_LEAST_TISSUE: Final = 0.05
"""Share of a tile that makes it one of tissue."""
_BLOCK: Final = 8
"""Tiles down and to the right that become glass together."""
_COPIED: Final = (347, 530)
"""JPEG tables, subsampling: tags that tiles are not decoded right without."""
_JPEG: Final = 7
_JPEG_2000: Final = (33003, 33005)
_YCBCR: Final = 6

_Grid = NDArray[np.int64]
_Tile = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mosaic:
    """What was written."""

    size: Size
    """`(H, W)` of level 0, pixels."""
    tile: Size
    """`(H, W)` of a tile."""
    num_tiles: int
    """Of level 0."""
    num_tissue_tiles: int
    """Of level 0, at least 5 % tissue."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pattern:
    """The part of a source that is repeated."""

    tile: Size
    tiles: Sequence[bytes]
    decoded: Sequence[_Tile]
    share: NDArray[np.float64]
    """Of tissue, `(rows, columns)`; the tiles are in the order of its elements."""
    has_glass: bool
    """Whether a tile of bare glass stands after those."""
    fields: dict[int, Field]


def write_mosaic(
    source: str | Path,
    out: str | Path,
    *,
    size: Size,
    tissue_tiles: int | None = None,
    mpp: float | None = None,
) -> Mosaic:
    """Repeat a slide's finest level, tile by tile, into a pyramid that openslide and libtiff read.

    Level 0 is made of the source's own bytes; each further level of means of four pixels of the one
    before it, encoded as JPEG.

    Args:
        source: An SVS or another tiled TIFF of JPEG or JPEG 2000.
        out: The file to write.
        size: `(H, W)` of level 0, pixels.
        tissue_tiles: Make about so many tiles of level 0 tissue, around the middle, and all others
            glass; the source's tissue everywhere if not given.
        mpp: As for `open_slide`.

    Raises:
        ShapeError: If the size is not two lengths that a slide may have.
        DataError: If the source is no such slide, holds no glass or no tissue where that is needed,
            or the file cannot be written.
        MissingExtraError: If the extra `slides` is not installed.
    """
    source, out = Path(source), Path(out)
    if len(size) != 2 or not all(1 <= length <= MOST_SIDE for length in size):
        raise ShapeError(
            f"A mosaic of {'x'.join(map(str, size))}; expected H x W of 1 to {MOST_SIDE:,} pixels."
        )
    with open_slide(source, mpp=mpp) as slide, open_tiff(source) as tiff:
        pattern = _read_pattern(slide, _find_page(slide, tiff))
        places, is_tissue = _arrange(source, pattern, size, tissue_tiles)
        fields = pattern.fields | _aperio_fields(slide, size)
        write_shared(out, _levels(pattern, places, size, fields), mpp=slide.mpp)
    return Mosaic(
        size=size,
        tile=pattern.tile,
        num_tiles=places.size,
        num_tissue_tiles=int(is_tissue.sum()),
    )


def _find_page(slide: Slide, tiff: Any) -> Any:  # noqa: ANN401 - a TiffFile and its TiffPage
    for page in tiff.pages:
        if page.is_tiled and (page.imagelength, page.imagewidth) == slide.levels[0].size:
            if page.compression in (_JPEG, *_JPEG_2000) and page.planarconfig == 1:
                return page
            break
    raise DataError(
        f"{slide.path}: no tiles of JPEG or JPEG 2000; expected an SVS or a TIFF that holds such; "
        "give another slide."
    )


def _read_pattern(slide: Slide, page: Any) -> _Pattern:  # noqa: ANN401 - a TiffPage
    """Whole tiles, from where the most tissue is."""
    tile = (page.tilelength, page.tilewidth)
    whole = tuple(slide.levels[0].size[axis] // tile[axis] for axis in range(2))
    if min(whole) < 1:
        raise DataError(
            f"{slide.path}: smaller than one of its tiles of {tile[0]} x {tile[1]} (H x W); "
            "expected a whole tile at least; give a larger slide."
        )
    share, spread = (values[: whole[0], : whole[1]] for values in _judge(slide, tile))
    down, right = (_window(share.sum(axis=1 - axis), min(whole[axis], _WINDOW)) for axis in (0, 1))
    places = [
        (row, column)
        for row in range(down.start, down.stop)
        for column in range(right.start, right.stop)
    ]
    bare = np.argwhere(share == 0).tolist()
    if bare:
        row, column = min(bare, key=lambda place: float(spread[*place]))
        places.append((row, column))
    tiles = []
    with slide.path.open("rb") as file:
        for row, column in places:
            index = row * ceil(page.imagewidth / tile[1]) + column
            file.seek(page.dataoffsets[index])
            tiles.append(file.read(page.databytecounts[index]))
    return _Pattern(
        tile=tile,
        tiles=tiles,
        decoded=[slide.read((y * tile[0], x * tile[1]), tile, mpp=slide.mpp) for y, x in places],
        share=share[down, right],
        has_glass=bool(bare),
        fields=_source_fields(page),
    )


def _window(tissue: NDArray[np.float64], length: int) -> slice:
    """Of so many places along an axis, those that hold the most tissue."""
    sums = np.convolve(tissue, np.ones(length), mode="valid")
    start = int(sums.argmax())
    return slice(start, start + length)


def _judge(slide: Slide, tile: Size) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """By tile of level 0, the share of tissue, and how far its brightness spreads."""
    mpp = (slide.mpp[0] * tile[0] / _PIXELS, slide.mpp[1] * tile[1] / _PIXELS)
    rows, columns = (ceil(slide.levels[0].size[axis] / tile[axis]) for axis in range(2))
    picture = slide.read((0, 0), (rows * _PIXELS, columns * _PIXELS), mpp=mpp)
    by_tile = (rows, _PIXELS, columns, _PIXELS)
    share = find_tissue(picture).reshape(by_tile).mean(axis=(1, 3))
    return share, picture.mean(axis=-1).reshape(by_tile).std(axis=(1, 3))


def _source_fields(page: Any) -> dict[int, Field]:  # noqa: ANN401 - a TiffPage
    """How the source's tiles are encoded."""
    fields = {259: shorts(int(page.compression)), 262: shorts(int(page.photometric))}
    for tag in _COPIED:
        if tag in page.tags:
            value = page.tags[tag].value
            fields[tag] = opaque(value) if isinstance(value, bytes) else shorts(*value)
    return fields


def _aperio_fields(slide: Slide, size: Size) -> dict[int, Field]:
    """Aperio's description, without which openslide does not know its JPEG 2000."""
    if slide.vendor != "aperio":
        return {}
    if slide.mpp[0] != slide.mpp[1]:
        raise DataError(
            f"{slide.path}: {slide.mpp[0]:g} x {slide.mpp[1]:g} µm per pixel, which SVS cannot "
            "state; expected the same down and to the right; say one number with --mpp."
        )
    known = f"|MPP = {slide.mpp[0]:.6g}"
    if slide.objective is not None:
        known = f"|AppMag = {slide.objective:g}{known}"
    return {270: text(f"Aperio tiles repeated\r\n{size[1]}x{size[0]}{known}")}


def _arrange(
    source: Path, pattern: _Pattern, size: Size, tissue_tiles: int | None
) -> tuple[_Grid, NDArray[np.bool_]]:
    """Which tile stands where, and whether it is tissue."""
    rows, columns = (np.arange(ceil(size[axis] / pattern.tile[axis])) for axis in range(2))
    height, width = pattern.share.shape
    places = rows[:, np.newaxis] % height * width + columns % width
    is_tissue = pattern.share.ravel()[places] >= _LEAST_TISSUE
    if tissue_tiles is None:
        return places, is_tissue
    if not pattern.has_glass:
        raise DataError(
            f"{source}: no tile of bare glass; expected one to put around the tissue; leave out "
            "--tissue-tiles, or give another slide."
        )
    if not is_tissue.any():
        raise DataError(f"{source}: no tissue is found on it; expected some; give another slide.")
    # Around the middle, as far as it takes; by blocks, so that few tiles of further levels differ.
    down, right = (
        (along // _BLOCK * _BLOCK + _BLOCK / 2) / len(along) - 0.5 for along in (rows, columns)
    )
    order = np.argsort(np.hypot(down[:, np.newaxis], right), axis=None, kind="stable")
    beyond = order[np.cumsum(is_tissue.ravel()[order]) > tissue_tiles]
    places.ravel()[beyond] = len(pattern.tiles) - 1
    is_tissue.ravel()[beyond] = False
    return places, is_tissue


def _levels(
    pattern: _Pattern,
    places: _Grid,
    size: Size,
    fields: dict[int, Field],
) -> Iterator[SharedLevel]:
    """Level after level; of four tiles that occur together often, their mean is made once."""
    kind = photo_tiles()
    tiles, decoded = pattern.tiles, pattern.decoded
    jpeg = {259: shorts(_JPEG), 262: shorts(_YCBCR), 530: shorts(2, 2)}
    described = {270: fields[270]} if 270 in fields else {}
    for number in range(num_levels(size)):
        if number:
            size = halved(size)
            places, decoded = _halve(places, decoded, kind)
            tiles, fields = [kind.encode(tile) for tile in decoded], described | jpeg
        yield SharedLevel(size=size, tile=pattern.tile, tiles=tiles, places=places, fields=fields)


def _halve(
    places: _Grid, decoded: Sequence[_Tile], kind: TileKind
) -> tuple[_Grid, Sequence[_Tile]]:
    """The next level's places and tiles."""
    rows, columns = (ceil(length / 2) for length in places.shape)
    padded = np.full((rows * 2, columns * 2), len(decoded))
    padded[: places.shape[0], : places.shape[1]] = places
    fours = padded.reshape(rows, 2, columns, 2).transpose(0, 2, 1, 3).reshape(-1, 4)
    kinds, which = np.unique(fours, axis=0, return_inverse=True)
    known = [*decoded, np.full_like(decoded[0], kind.blank)]

    def merge(four: Sequence[int]) -> _Tile:
        top, bottom = (
            np.concatenate([known[index] for index in pair], axis=1)
            for pair in (four[:2], four[2:])
        )
        return kind.halve(np.concatenate([top, bottom]))

    return which.reshape(rows, columns), [merge(four) for four in kinds.tolist()]
