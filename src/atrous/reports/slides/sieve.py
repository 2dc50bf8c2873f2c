"""A label map without its specks: what is smaller than an area becomes part of a neighbour.

Needs the extra `slides`.
"""

from dataclasses import dataclass
from itertools import takewhile
from math import ceil, isqrt
from typing import Final

import numpy as np
from scipy import ndimage

from atrous._extras import require
from atrous.data.slides.mask_map import Labels, MaskMap
from atrous.types import UNLABELLED, Size

_MARGIN: Final = 512
"""Pixels around a read that are seen at first, at most as many as the smallest region has."""
_STEPS: Final = tuple(3**power for power in range(1, 20))


@dataclass(frozen=True, slots=True, eq=False)
class SievedLabelMap:
    """Another map whose regions under so many pixels take the class of their largest neighbour.

    Regions are pixels joined by their sides. What did not run stays so, and takes nothing in. The
    map is sieved where it is read, with as much around it as it takes to see every region there
    whole, or as no speck: no region is taken for smaller than it is, but to which neighbour a speck
    falls that lies across two reads may differ.

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
        margin = min(self.smallest, max(_MARGIN, 4 * isqrt(self.smallest)))
        while True:
            starts = [max(0, begin - margin) for begin in (top, left)]
            stops = [
                min(whole, begin + length + margin)
                for whole, begin, length in zip(
                    self.source.size, (top, left), (height, width), strict=True
                )
            ]
            size = (stops[0] - starts[0], stops[1] - starts[1])
            labels = self.source.read(starts[0], starts[1], *size)
            inside = (
                slice(top - starts[0], top - starts[0] + height),
                slice(left - starts[1], left - starts[1] + width),
            )
            is_cut = (
                starts[0] > 0,
                stops[0] < self.size[0],
                starts[1] > 0,
                stops[1] < self.size[1],
            )
            if margin == self.smallest or self._sees_all(labels, inside, is_cut):
                return np.ascontiguousarray(self._sieved(labels)[inside])
            margin = min(self.smallest, 2 * margin)

    def _sees_all(
        self, labels: Labels, inside: tuple[slice, slice], is_cut: tuple[bool, bool, bool, bool]
    ) -> bool:
        """Whether every region that reaches into the middle is seen whole, or is no speck as it is.

        Args:
            labels: A window.
            inside: Its middle.
            is_cut: Whether the map goes on above it, below, to the left and to the right.
        """
        places = ((0,), (-1,), (slice(None), 0), (slice(None), -1))
        edges = [place for place, cut in zip(places, is_cut, strict=True) if cut]
        values = np.unique(np.concatenate([labels[place] for place in edges] or [labels[:0, 0]]))
        for value in values[values != UNLABELLED]:
            regions, number = ndimage.label(labels == value)
            is_small = np.bincount(regions.ravel(), minlength=number + 1) < self.smallest
            reaches = np.zeros((2, number + 1), np.bool_)
            for place in edges:
                reaches[0, regions[place]] = True
            reaches[1, regions[inside].ravel()] = True
            if (is_small & reaches.all(axis=0))[1:].any():
                return False
        return True

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
