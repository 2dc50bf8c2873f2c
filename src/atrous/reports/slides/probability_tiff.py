"""Probabilities of all classes over a slide as a pyramidal TIFF: a channel a class."""

from collections.abc import Iterator, Sequence
from math import ceil
from pathlib import Path
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from atrous.data.slides.write_pyramid import TileKind, probability_tiles, write_pyramid
from atrous.reports.slides.ome import ome_root, ome_text
from atrous.types import Size

TILE: Final = 256
"""Side of a tile, pixels."""


class ProbabilityMap(Protocol):
    """Probabilities in steps of 1 / 255, read in rectangles; 0 everywhere where nothing ran."""

    @property
    def size(self) -> Size:
        """`(H, W)`, pixels."""

    @property
    def chunk(self) -> Size:
        """`(H, W)` of the rectangles that are read fastest."""

    def read_probabilities(self, top: int, left: int, height: int, width: int) -> NDArray[np.uint8]:
        """A rectangle inside the map, `(C, height, width)`."""


def write_probability_tiff(
    probabilities: ProbabilityMap,
    path: Path,
    *,
    class_names: Sequence[str],
    mpp: tuple[float, float],
) -> None:
    """Write an OME-TIFF with a channel a class: value / 255 is the probability.

    Args:
        probabilities: Of a slide.
        path: The file; by custom NAME.ome.tif.
        class_names: One name a class.
        mpp: Micrometres per pixel of the map, down and to the right.

    Raises:
        DataError: If the file cannot be written.
        MissingExtraError: If the extra `slides` is not installed.
    """
    kind = probability_tiles(tile=TILE, channels=len(class_names))
    # One channel with a sample a class: that is how the pixels lie in the file.
    root = ome_root(
        probabilities.size,
        mpp=mpp,
        name=path.name,
        channel=", ".join(class_names),
        num_samples=len(class_names),
    )
    write_pyramid(
        path,
        _tiles(probabilities, kind),
        kind=kind,
        size=probabilities.size,
        tile=TILE,
        mpp=mpp,
        description=ome_text(root),
    )


def _tiles(probabilities: ProbabilityMap, kind: TileKind) -> Iterator[bytes]:
    height, width = probabilities.size
    step = TILE * ceil(probabilities.chunk[1] / TILE)
    blank = kind.encode(np.zeros((TILE, TILE, kind.channels), np.uint8))
    for top in range(0, height, TILE):
        rows = min(TILE, height - top)
        for first in range(0, width, step):
            columns = min(step, width - first)
            strip = np.zeros((TILE, TILE * ceil(columns / TILE), kind.channels), np.uint8)
            part = probabilities.read_probabilities(top, first, rows, columns)
            strip[:rows, :columns] = part.transpose(1, 2, 0)
            for left in range(0, strip.shape[1], TILE):
                tile = strip[:, left : left + TILE]
                yield kind.encode(tile) if tile.any() else blank
