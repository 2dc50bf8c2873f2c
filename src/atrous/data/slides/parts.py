"""What is known of a slide's file, and what reads its pixels: shared by the readers of slides."""

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil, floor
from pathlib import Path
from threading import Lock
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from atrous.errors import DataError
from atrous.types import Size

Pixels: TypeAlias = NDArray[np.uint8]
"""RGB, `(H, W, 3)`."""

LEAST_MPP: Final = 0.01
MOST_MPP: Final = 50.0
"""Micrometres per pixel: what lies outside is no microscope's (300 dots per inch are 85 µm)."""

CACHE_BYTES: Final = 64 << 20
"""Of decoded tiles that are kept for the windows next door."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """One picture of a pyramid; level 0 is the finest."""

    size: Size
    """`(H, W)`, pixels."""
    downsample: tuple[float, float]
    """Pixels of level 0 per pixel of this one, down and to the right."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SlideFacts:
    """What a file says of its slide."""

    vendor: str
    levels: tuple[Level, ...]
    mpp: tuple[float, float] | None
    objective: float | None = None
    bounds: tuple[int, int, int, int] | None = None
    """`(top, left, height, width)` of what was scanned, in pixels of level 0."""
    notes: tuple[str, ...] = ()
    """What of the file is read, and how, where it leaves a choice; a sentence each."""
    profile: bytes | None = None
    """The colour profile (ICC) of its pixels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SlideReading:
    """How slides are read, besides what their files say.

    Attributes:
        mpp: Micrometres per pixel of level 0, of files that do not state it.
        override_mpp: The same, in place of what files state.
        image: Number of the image in files that hold several, from 1; None for the largest.
        icc: Apply the colour profiles of files.
        frame: Where the polygons beside them count from: `qupath`, `level0`, or `auto` to find out.
    """

    mpp: float | None = None
    override_mpp: float | None = None
    image: int | None = None
    icc: bool = False
    frame: str = "auto"


class BrokenTiles:
    """What becomes of tiles that are broken: an error, or white and a note of the place."""

    def __init__(self) -> None:
        self.is_tolerated = False
        self._lock = Lock()
        self._found: dict[tuple[int, int, int, int, int], str] = {}

    def take(self, error: DataError, level: int, top: int, left: int, size: Size) -> Pixels:
        """Pixels in place of those of a tile, in pixels of its level.

        Raises:
            DataError: The error itself, if broken tiles are not passed over.
        """
        if not self.is_tolerated:
            raise error
        with self._lock:
            self._found[level, top, left, size[0], size[1]] = str(error)
        return np.full((*size, 3), 255, np.uint8)

    @property
    def found(self) -> tuple[tuple[int, int, int, int, int], ...]:
        """Level, top, left, height and width of the broken tiles so far, in the level's pixels."""
        with self._lock:
            return tuple(sorted(self._found))


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedFile:
    """A slide's file and what reads its pixels; safe to call from several threads."""

    facts: SlideFacts
    read: Callable[[int, int, int, Size], Pixels]
    """A window by level, top, left and size, inside the level, in its own pixels."""
    close: Callable[[], None]
    """Gives the file back."""
    pictures: Mapping[str, Callable[[], Pixels]] = field(default_factory=dict)
    """Images beside the levels, such as `label` and `macro`."""
    broken: BrokenTiles = field(default_factory=BrokenTiles)
    """Says whether tiles that cannot be decoded are passed over, and remembers them."""


class TileCache:
    """Decoded tiles, the last used ones; safe to use from several threads.

    Args:
        most_bytes: That are kept.
    """

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._tiles: OrderedDict[tuple[int, int], Pixels] = OrderedDict()
        self._bytes = 0
        self._lock = Lock()

    def get(self, key: tuple[int, int], decode: Callable[[], Pixels]) -> Pixels:
        """The tile of `key`, decoded if it is not there."""
        with self._lock:
            if key in self._tiles:
                self._tiles.move_to_end(key)
                return self._tiles[key]
        # Not under the lock: threads that decode are the point of having several.
        tile = decode()
        with self._lock:
            if key not in self._tiles:
                self._tiles[key] = tile
                self._bytes += tile.nbytes
            while self._bytes > self._most_bytes and len(self._tiles) > 1:
                self._bytes -= self._tiles.popitem(last=False)[1].nbytes
        return tile


def assemble(
    top: int, left: int, size: Size, *, cell: Size, get: Callable[[int, int], Pixels]
) -> Pixels:
    """A window `(H, W, 3)` out of cells.

    Args:
        top: Of the window, pixels.
        left: Likewise.
        size: Of the window.
        cell: `(H, W)` of a whole cell.
        get: Gives the cell of a row and a column; that at a border may be smaller.
    """
    out = np.empty((*size, 3), np.uint8)
    for row in range(top // cell[0], (top + size[0] - 1) // cell[0] + 1):
        y = row * cell[0] - top
        for column in range(left // cell[1], (left + size[1] - 1) // cell[1] + 1):
            x = column * cell[1] - left
            part = get(row, column)[max(-y, 0) : size[0] - y, max(-x, 0) : size[1] - x]
            y0, x0 = max(y, 0), max(x, 0)
            out[y0 : y0 + part.shape[0], x0 : x0 + part.shape[1]] = part
    return out


def find_levels(path: Path, sizes: Sequence[Size]) -> tuple[Level, ...]:
    """Levels by their sizes alone, of a file that does not say how they were made.

    Scanners halve (or take every fourth, …) and drop or keep what is left over at the border: then
    the downsample is that whole number, although the ratio of the sizes is not.

    Raises:
        DataError: If a level is finer than the one before, or of another shape.
    """
    first = sizes[0]
    levels: list[Level] = []
    for size in sizes:
        down, right = (_downsample(first[axis], size[axis]) for axis in range(2))
        # A border that was dropped or kept shifts the ratio by a pixel at most; 1 % is for resizes.
        slack = 0.01 + max(1 / length for length in size)
        if abs(down / right - 1) > slack or (levels and down < levels[-1].downsample[0]):
            raise DataError(
                f"{path}: a level of {size[0]} x {size[1]} (H x W) under one of {first[0]} x "
                f"{first[1]}; expected a smaller copy of it; write the file anew."
            )
        levels.append(Level(size=tuple(size), downsample=(down, right)))
    return tuple(levels)


def _downsample(whole: int, part: int) -> float:
    ratio = whole / part
    nearest = round(ratio)
    if nearest and floor(whole / nearest) <= part <= ceil(whole / nearest):
        return float(nearest)
    return ratio


def is_mpp(mpp: tuple[float, float]) -> bool:
    """Whether micrometres per pixel can be a slide's."""
    return all(LEAST_MPP <= length <= MOST_MPP for length in mpp)


def check_mpp(path: Path, mpp: tuple[float, float]) -> None:
    """See that micrometres per pixel can be a slide's.

    Raises:
        DataError: If they cannot.
    """
    if not is_mpp(mpp):
        raise DataError(
            f"{path}: {mpp[0]:g} x {mpp[1]:g} µm per pixel (down x right); expected {LEAST_MPP:g} "
            f"to {MOST_MPP:g}; say the true ones with --mpp."
        )


def broken(path: Path, error: Exception) -> DataError:
    """What to raise where a library cannot read a file that it knows the format of."""
    reason = " ".join(str(error).split()).replace(f"Reading {path}: ", "") or type(error).__name__
    return DataError(
        f"{path}: cannot be read as a slide ({reason}); expected a whole one of a format that "
        "openslide or tifffile reads; copy it again, or convert it to a tiled TIFF."
    )
