"""What is to be done for a slide: at which resolution, in which tiles, in which order."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from math import ceil, floor, prod

import numpy as np
from numpy.typing import NDArray

from atrous.data.slides.read import Slide
from atrous.data.slides.tissue import tissue_of
from atrous.errors import DataError
from atrous.inference.tiles.grid import Place, Tile, TileGrid
from atrous.inference.tiles.mode import Context


@dataclass(frozen=True, slots=True, kw_only=True)
class SlidePlan:
    """How one slide is run.

    Attributes:
        mpp: Micrometres per pixel of the grid that the network sees, down and to the right.
        scale: Pixels of level 0 per pixel of it.
        grid: How it is cut.
        context: How anything is cut, and why.
        places: Rows and columns of the tiles that touch tissue, row by row.
        batch_size: Tiles that are run together.
    """

    mpp: tuple[float, float]
    scale: tuple[float, float]
    grid: TileGrid
    context: Context
    places: tuple[Place, ...]
    batch_size: int = 1

    @property
    def window(self) -> int:
        """Side of a window that no border cuts, pixels."""
        return self.grid.core[0] + 2 * self.grid.halo[0]

    @property
    def num_pixels(self) -> int:
        """Pixels that the network computes, those of the halos among them."""
        return sum(prod(self.grid.tile(place).window_size) for place in self.places)

    def read(self, slide: Slide, tile: Tile) -> NDArray[np.uint8]:
        """A tile's window as the network sees it, RGB `(h, w, 3)`.

        Raises:
            DataError: If the slide is broken there.
        """
        rows, columns = tile.window
        return slide.read((rows.start, columns.start), tile.window_size, mpp=self.mpp)

    def batches(self) -> Iterator[tuple[Tile, ...]]:
        """Tiles that are run together: neighbours of one window size, the same in every run."""
        tiles = (self.grid.tile(place) for place in self.places)
        waiting: dict[tuple[int, ...], list[Tile]] = {}
        for tile in tiles:
            same = waiting.setdefault(tile.window_size, [])
            same.append(tile)
            if len(same) == self.batch_size:
                yield tuple(waiting.pop(tile.window_size))
        yield from (tuple(rest) for rest in waiting.values())


class NoTissueError(DataError):
    """No tile of a slide is to be run."""


def plan_slide(
    slide: Slide,
    *,
    mpp: tuple[float, float],
    context: Context,
    all_tiles: bool = False,
    chosen: NDArray[np.bool_] | None = None,
    batch_size: int = 1,
) -> SlidePlan:
    """Cut a slide, and keep the tiles that touch tissue.

    Args:
        slide: An open slide.
        mpp: Micrometres per pixel at which the network sees it.
        context: How it is cut.
        all_tiles: Run all tiles.
        chosen: Run the tiles that touch this, on a picture of the whole slide, `(h, w)`; None for
            the tissue that is found.
        batch_size: Tiles that are run together.

    Raises:
        NoTissueError: If no tissue is found.
    """
    grid = context.grid(slide.size_at(mpp))
    if not all_tiles and chosen is None:
        chosen = tissue_of(slide)
    places = tuple(grid.places() if chosen is None else touching(grid, chosen))
    if not places:
        raise NoTissueError(
            f"{slide.path}: no tissue was found on it; expected stained tissue on bright glass, or "
            "bright on dark; say where it is with --tissue, or run all of it with --all-tiles."
        )
    return SlidePlan(
        mpp=mpp,
        scale=slide.scale_at(mpp),
        grid=grid,
        context=context,
        places=places,
        batch_size=batch_size,
    )


def touching(grid: TileGrid, tissue: NDArray[np.bool_]) -> Iterator[Place]:
    """Places of the tiles whose cores hold a pixel of tissue."""
    rows, columns = grid.shape
    scale = [tissue.shape[axis] / grid.size[axis] for axis in range(2)]
    for row in range(rows):
        top, bottom = _span(grid.tile((row, 0)).core[0], scale[0], tissue.shape[0])
        band = np.asarray(tissue[top:bottom].any(axis=0))
        if not band.any():
            continue
        for column in range(columns):
            left, right = _span(grid.tile((row, column)).core[1], scale[1], tissue.shape[1])
            if band[left:right].any() and tissue[top:bottom, left:right].any():
                yield row, column


def _span(part: slice, scale: float, length: int) -> tuple[int, int]:
    """Pixels of the tissue picture that a part of the grid lies on, one at least."""
    start = min(floor(part.start * scale), length - 1)
    return start, max(start + 1, min(length, ceil(part.stop * scale)))


def sample_places(plan: SlidePlan, number: int) -> list[Place]:
    """Evenly spread places whose right, lower and lower right neighbours are run too."""
    run = set(plan.places)
    corners = [
        (row, column)
        for row, column in plan.places
        if {(row + 1, column), (row, column + 1), (row + 1, column + 1)} <= run
    ]
    step = max(1, len(corners) // number)
    return list(islice(corners[step // 2 :: step], number))
