"""Cut an image or volume into tiles: cores with a halo, or windows that overlap.

A halo is context that is computed and thrown away. With the halo that `analysis.halo` finds, and
cuts where the network's strides begin anew, nothing in a tile's core has seen the cut, so no
blending is needed and there are no seams.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from math import ceil, prod
from typing import Final, TypeAlias

from atrous.errors import ShapeError
from atrous.types import Size

Place: TypeAlias = tuple[int, ...]
"""A tile's index in its grid, one number per axis."""
Region: TypeAlias = tuple[slice, ...]
"""A box of pixels or voxels, one slice per axis."""

STEP: Final = 0.5
"""Largest distance of overlapping windows, in their length: as nnU-Net's."""


def relative(part: Region, whole: Region) -> Region:
    """A region in the coordinates of another that holds it.

    Example:
        >>> relative((slice(6, 9),), (slice(4, 20),))
        (slice(2, 5, None),)
    """
    return tuple(
        slice(a.start - b.start, a.stop - b.start) for a, b in zip(part, whole, strict=True)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """One piece of the work.

    Attributes:
        place: Its row, column (and plane) in the grid.
        core: What it answers for, in input pixels; the cores of a `TileGrid` cover the image once.
        window: What the network is given: the core and its halo, cut at the image's border.
    """

    place: Place
    core: Region
    window: Region

    @property
    def window_size(self) -> Size:
        """Lengths of the window."""
        return tuple(part.stop - part.start for part in self.window)

    @property
    def inside(self) -> Region:
        """The core in the window's own coordinates."""
        return relative(self.core, self.window)


@dataclass(frozen=True, slots=True, kw_only=True)
class TileGrid:
    """How an image is cut.

    Attributes:
        size: Lengths of the image.
        core: Lengths of a core, but for the last ones.
        halo: Context on either side of a core, per axis.

    Example:
        >>> grid = TileGrid(size=(100, 50), core=(64, 64), halo=(8, 8))
        >>> grid.shape, len(grid)
        ((2, 1), 2)
        >>> tile = grid.tile((1, 0))
        >>> tile.core, tile.window_size
        ((slice(64, 100, None), slice(0, 50, None)), (44, 50))
    """

    size: Size
    core: Size
    halo: Size

    def __post_init__(self) -> None:
        lengths = {len(self.size), len(self.core), len(self.halo)}
        if len(lengths) != 1 or min(*self.size, *self.core) < 1 or min(self.halo) < 0:
            raise ShapeError(
                f"A grid of size {self.size}, core {self.core} and halo {self.halo} cannot be; "
                "expected as many lengths of each, with size and core of at least 1."
            )

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of tiles along each axis."""
        return tuple(ceil(n / core) for n, core in zip(self.size, self.core, strict=True))

    def __len__(self) -> int:
        return prod(self.shape)

    def __iter__(self) -> Iterator[Tile]:
        """All tiles, the last axis running fastest."""
        return map(self.tile, self.places())

    def places(self) -> Iterator[Place]:
        """Places of all tiles, the last axis running fastest."""
        return product(*map(range, self.shape))

    def neighbours(self, place: Place) -> Iterator[Place]:
        """A place and those beside it, across corners too, in the order of `places`.

        Example:
            >>> list(TileGrid(size=(9, 9), core=(3, 9), halo=(1, 1)).neighbours((0, 0)))
            [(0, 0), (1, 0)]
        """
        near = (
            range(max(0, at - 1), min(n, at + 2)) for at, n in zip(place, self.shape, strict=True)
        )
        return product(*near)

    def tile(self, place: Sequence[int]) -> Tile:
        """The tile at a place of the grid."""
        core, window = [], []
        for at, n, length, halo in zip(place, self.size, self.core, self.halo, strict=True):
            start, stop = at * length, min(n, (at + 1) * length)
            core.append(slice(start, stop))
            window.append(slice(max(0, start - halo), min(n, stop + halo)))
        return Tile(place=tuple(place), core=tuple(core), window=tuple(window))

    @property
    def largest_window(self) -> Size:
        """Lengths of the window with the most pixels."""
        return max((tile.window_size for tile in self), key=prod)

    @property
    def overhead(self) -> float:
        """Pixels that the network computes for every pixel that is kept.

        Example:
            >>> TileGrid(size=(256, 256), core=(128, 256), halo=(32, 0)).overhead
            1.25
        """
        return sum(prod(tile.window_size) for tile in self) / prod(self.size)


def plan_grid(size: Size, *, core: Size, halo: Size, alignment: Size) -> TileGrid:
    """A grid whose cuts lie where a network's strides begin anew.

    Args:
        size: Lengths of the image.
        core: Wanted lengths of a core; rounded up to multiples of the alignment.
        halo: Context per side, as `analysis.halo` says; rounded up likewise.
        alignment: The network's total stride per axis.

    Raises:
        ShapeError: If the lengths do not fit each other.

    Example:
        >>> plan_grid((500, 500), core=(100, 100), halo=(20, 20), alignment=(32, 32)).core
        (128, 128)
    """

    def rounded(lengths: Size) -> Size:
        return tuple(step * ceil(n / step) for n, step in zip(lengths, alignment, strict=True))

    return TileGrid(size=tuple(size), core=rounded(core), halo=rounded(halo))


def overlapping_windows(size: Size, window: Size) -> tuple[Tile, ...]:
    """Windows of one size, spread evenly, at most half a window apart; each is its own core.

    Args:
        size: Lengths of the image.
        window: Lengths of a window, along no axis more than the image's.

    Source: nnU-Net, `compute_steps_for_sliding_window`.

    Example:
        >>> [tile.core[0].start for tile in overlapping_windows((110,), (64,))]
        [0, 23, 46]
    """
    starts = [_starts(n, length) for n, length in zip(size, window, strict=True)]
    tiles = []
    for place in product(*(range(len(axis)) for axis in starts)):
        firsts = [axis[at] for axis, at in zip(starts, place, strict=True)]
        cut = tuple(slice(a, a + length) for a, length in zip(firsts, window, strict=True))
        tiles.append(Tile(place=place, core=cut, window=cut))
    return tuple(tiles)


def _starts(length: int, window: int) -> list[int]:
    room = length - window
    count = ceil(room / (window * STEP)) + 1
    return [round(room * index / max(1, count - 1)) for index in range(count)]
