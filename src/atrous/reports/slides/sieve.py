"""A label map without its specks: what is smaller than an area becomes part of a neighbour.

Needs the extra `slides`.
"""

from dataclasses import dataclass
from itertools import takewhile
from math import ceil
from typing import Final

import numpy as np

from atrous._extras import require
from atrous.data.slides.mask_map import Labels, MaskMap
from atrous.types import UNLABELLED, Size

_STEPS: Final = tuple(3**power for power in range(1, 20))


@dataclass(frozen=True, slots=True, eq=False)
class SievedLabelMap:
    """Another map whose regions under so many pixels take the class of their largest neighbour.

    Regions are pixels joined by their sides. What did not run stays so, and takes nothing in. The
    map is sieved where it is read, with as much around it as a speck is long: no speck is taken for
    smaller than it is, but to which neighbour one falls that lies across two reads may differ.

    Attributes:
        source: The map.
        smallest: Pixels of the smallest region that stays.
    """

    source: MaskMap
    smallest: int

    @property
    def size(self) -> Size:
        """`(H, W)`, pixels."""
        return self.source.size

    @property
    def chunk(self) -> Size:
        """`(H, W)` of the rectangles that are read fastest."""
        return self.source.chunk

    def read(self, top: int, left: int, height: int, width: int) -> Labels:
        """A rectangle inside the map, `(height, width)` uint8."""
        starts = [max(0, begin - self.smallest) for begin in (top, left)]
        stops = [
            min(whole, begin + length + self.smallest)
            for whole, begin, length in zip(
                self.source.size, (top, left), (height, width), strict=True
            )
        ]
        labels = self.source.read(starts[0], starts[1], stops[0] - starts[0], stops[1] - starts[1])
        labels = self._sieved(labels)
        rows, columns = (
            slice(begin - start, begin - start + length)
            for begin, start, length in zip((top, left), starts, (height, width), strict=True)
        )
        return np.ascontiguousarray(labels[rows, columns])

    def _sieved(self, labels: Labels) -> Labels:
        features = require("rasterio.features", extra="slides")
        has_run = labels != UNLABELLED
        if labels.min() == labels.max():
            return labels
        # GDAL joins a region only to one that is large enough: noise needs small steps.
        for pixels in (*takewhile(lambda n: n < self.smallest, _STEPS), self.smallest):
            labels = features.sieve(labels, pixels, mask=has_run, connectivity=4)
        return np.asarray(labels)


def sieved(label_map: MaskMap, *, area_um2: float, mpp: tuple[float, float]) -> MaskMap:
    """The map without regions smaller than an area; the map itself if none can be.

    Args:
        label_map: Class indices, and 255 where nothing ran.
        area_um2: Square micrometres.
        mpp: Micrometres per pixel of the map, down and to the right.
    """
    smallest = ceil(area_um2 / (mpp[0] * mpp[1]) - 1e-9)
    return SievedLabelMap(label_map, smallest) if smallest > 1 else label_map
