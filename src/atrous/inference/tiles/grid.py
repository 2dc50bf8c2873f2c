"""Run a network on an image or volume in tiles so that the result is that of the whole.

Every tile is cut with a halo: context that is computed and thrown away. With the halo that
`analysis.halo` finds, and cuts where the network's strides begin anew, nothing in a tile's core has
seen the cut, so no blending is needed and there are no seams.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from math import ceil, prod

import torch
from torch import Tensor, nn

from atrous.errors import ShapeError
from atrous.types import Size

_WHOLE = (slice(None), slice(None))  # batch and channels


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """One piece of the work.

    Attributes:
        place: Its row, column (and plane) in the grid.
        core: What it answers for, in input pixels; the cores cover the image once.
        window: What the network is given: the core and its halo, cut at the image's border.
    """

    place: tuple[int, ...]
    core: tuple[slice, ...]
    window: tuple[slice, ...]

    @property
    def window_size(self) -> Size:
        """Lengths of the window."""
        return tuple(part.stop - part.start for part in self.window)

    @property
    def inside(self) -> tuple[slice, ...]:
        """The core in the window's own coordinates."""
        return tuple(
            slice(core.start - window.start, core.stop - window.start)
            for core, window in zip(self.core, self.window, strict=True)
        )


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
        return (self.tile(place) for place in product(*map(range, self.shape)))

    def tile(self, place: Sequence[int]) -> Tile:
        """The tile at a place of the grid."""
        core, window = [], []
        for at, n, length, halo in zip(place, self.size, self.core, self.halo, strict=True):
            start, stop = at * length, min(n, (at + 1) * length)
            core.append(slice(start, stop))
            window.append(slice(max(0, start - halo), min(n, stop + halo)))
        return Tile(place=tuple(place), core=tuple(core), window=tuple(window))

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


@torch.inference_mode()
def run_tiled(
    run: nn.Module | Callable[[Tensor], Tensor],
    image: Tensor,
    grid: TileGrid,
    *,
    advance: Callable[[], None] = lambda: None,
) -> Tensor:
    """What `run` makes of the whole image, computed tile by tile.

    Args:
        run: Gives an output of the input's spatial size.
        image: The network's input.
        grid: How to cut it; exact if its halo and cuts are those of the network.
        advance: Called after every tile.

    Shape:
        `(B, C, *S)` to `(B, K, *S)`.

    Raises:
        ShapeError: If the grid is for another size, or an output is not of its input's size.
    """
    if tuple(image.shape[2:]) != grid.size:
        raise ShapeError(
            f"The image is of size {tuple(image.shape[2:])}, but the grid of {grid.size}; "
            "plan one for this image."
        )
    result: Tensor | None = None
    for tile in grid:
        output = run(image[(*_WHOLE, *tile.window)])
        if tuple(output.shape[2:]) != tile.window_size:
            raise ShapeError(
                f"A tile of {tile.window_size} gave an output of {tuple(output.shape[2:])}; "
                "expected the same size: resize the output first."
            )
        if result is None:
            result = output.new_empty((*output.shape[:2], *grid.size))
        result[(*_WHOLE, *tile.core)] = output[(*_WHOLE, *tile.inside)]
        advance()
    if result is None:
        raise ShapeError("The grid holds no tile; plan one for this image.")
    return result
