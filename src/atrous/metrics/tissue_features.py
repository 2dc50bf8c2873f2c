"""What a pathologist counts in a map of tissues: areas, neighbours, borders, regions.

The map is counted chunk by chunk. Frequency and co-occurrence of tissues are the features that the
breast-biopsy papers give to their diagnosis.

Source: Mehta et al. 2018, Y-Net; 'Learning to Segment Breast Biopsy Whole Slide Images', WACV 2018.
"""

from array import array
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from atrous.errors import DataError, ShapeError
from atrous.metrics.connected_regions import Labels, RegionJoiner
from atrous.types import UNLABELLED, Size

Counts = NDArray[np.int64]
Shares = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TissueFeatures:
    """Counts of a whole map, and what follows from them. C classes; 255 is never counted."""

    mpp: tuple[float, float]
    """Micrometres per pixel of the map, down and to the right."""
    pixels: Counts
    """`(C,)`."""
    beside: Counts
    """`(C, C)`: pairs of pixels side by side, the left one's class first."""
    below: Counts
    """`(C, C)`: pairs of pixels one above the other, the upper one's class first."""
    regions: tuple[Counts, ...]
    """Of each class, the pixels of every region, largest first; pixels join by their sides."""

    @property
    def areas(self) -> Shares:
        """`(C,)`, mm²."""
        return (self.pixels * self._pixel_area).astype(np.float64)

    @property
    def frequencies(self) -> Shares:
        """`(C,)`: share of the pixels that are of some class; they sum to 1, or are all 0."""
        return self.pixels / max(int(self.pixels.sum()), 1)

    @property
    def cooccurrence(self) -> Shares:
        """`(C, C)`, symmetric: share of the neighbouring pairs of pixels, in either order.

        They sum to 1, or are all 0.
        """
        pairs = self.beside + self.below
        return (pairs + pairs.T) / max(2 * int(pairs.sum()), 1)

    @property
    def interfaces(self) -> Shares:
        """`(C, C)`, symmetric, 0 on the diagonal: length of the border between two classes, mm.

        It is measured along the sides of the pixels: exact for borders along the axes, √2 times
        too long for diagonal ones, and 4/π times on average over all directions.
        """
        lengths = (self.beside * self.mpp[0] + self.below * self.mpp[1]) / 1000
        both: Shares = lengths + lengths.T
        np.fill_diagonal(both, 0)
        return both

    @property
    def region_areas(self) -> tuple[Shares, ...]:
        """Of each class, the area of every region, largest first, mm²."""
        return tuple((sizes * self._pixel_area).astype(np.float64) for sizes in self.regions)

    @property
    def _pixel_area(self) -> float:
        return self.mpp[0] * self.mpp[1] / 1e6


class TissueCounter:
    """Counts a map that comes chunk by chunk, row by row from the top.

    Keeps one row of pixels, and one number for every region.

    Args:
        num_classes: C, 1 to 255.
        size: `(H, W)` of the map, pixels.
        mpp: Micrometres per pixel of the map, down and to the right.

    Raises:
        ShapeError: If the size is not two lengths, or a number is out of range.

    Example:
        >>> counter = TissueCounter(num_classes=2, size=(2, 3), mpp=(500, 1000))
        >>> counter.add(np.array([[0, 0, 1], [0, 1, 1]], np.uint8), top=0, left=0)
        >>> features = counter.features()
        >>> features.areas.tolist(), float(features.interfaces[0, 1])
        ([1.5, 1.5], 2.0)
    """

    def __init__(self, *, num_classes: int, size: Size, mpp: tuple[float, float]) -> None:
        if not 1 <= num_classes <= UNLABELLED or len(size) != 2 or min(*size, *mpp) <= 0:
            raise ShapeError(
                f"{num_classes} classes, size {size} and mpp {mpp} cannot be; expected 1 to "
                f"{UNLABELLED} classes, two lengths and positive micrometres; correct them."
            )
        self._num_classes, self._size, self._mpp = num_classes, tuple(size), mpp
        self._beside = np.zeros((num_classes, num_classes), np.int64)
        self._below = np.zeros((num_classes, num_classes), np.int64)
        self._pixels = np.zeros(num_classes, np.int64)
        self._joiner = RegionJoiner(width=size[1])
        self._open: dict[int, tuple[int, int]] = {}  # by number: class, pixels
        self._sizes = [array("q") for _ in range(num_classes)]
        self._last_row: Labels = np.full(size[1], UNLABELLED, np.uint8)
        self._last_column: Labels = np.empty(0, np.uint8)
        self._next = (0, 0)

    def add(self, labels: Labels, *, top: int, left: int) -> None:
        """Count the next chunk.

        Raises:
            DataError: If it holds a class out of range.
            ShapeError: If it is not the next chunk.
        """
        height, width = labels.shape
        if (top, left) != self._next or left + width > self._size[1]:
            raise ShapeError(
                f"A chunk of {height} x {width} came at {(top, left)}; expected one at "
                f"{self._next} inside {self._size}; give them row by row from the top."
            )
        counts = _histogram(labels)
        wrong = np.flatnonzero(counts[self._num_classes : UNLABELLED])
        if wrong.size:
            raise DataError(
                f"The map holds class {wrong[0] + self._num_classes}; expected 0 to "
                f"{self._num_classes - 1}, or {UNLABELLED} where nothing ran."
            )
        self._pixels += counts[: self._num_classes]
        self._count_pairs(labels, top, left)
        self._count_regions(labels, top, left)
        is_row_end = left + width == self._size[1]
        self._next = (top + height, 0) if is_row_end else (top, left + width)

    def features(self) -> TissueFeatures:
        """What was counted, once the last chunk is.

        Raises:
            ShapeError: If chunks are missing.
        """
        if self._next != (self._size[0], 0):
            raise ShapeError(
                f"The map was counted up to {self._next}; expected the whole of {self._size}; "
                "give the other chunks too."
            )
        regions = tuple(np.sort(np.array(sizes, np.int64))[::-1] for sizes in self._sizes)
        return TissueFeatures(
            mpp=self._mpp,
            pixels=self._pixels.copy(),
            beside=self._beside.copy(),
            below=self._below.copy(),
            regions=regions,
        )

    def _count_pairs(self, labels: Labels, top: int, left: int) -> None:
        columns = slice(left, left + labels.shape[1])
        self._beside += self._pairs(labels[:, :-1], labels[:, 1:])
        self._below += self._pairs(labels[:-1], labels[1:])
        if left:
            self._beside += self._pairs(self._last_column, labels[:, 0])
        if top:
            self._below += self._pairs(self._last_row[columns], labels[0])
        self._last_row[columns] = labels[-1]
        self._last_column = labels[:, -1].copy()

    def _pairs(self, one: Labels, other: Labels) -> Counts:
        # Nearly all neighbours are alike: counting only those that differ is several times faster.
        differ = one != other
        codes = one[differ].astype(np.uint16) << 8 | other[differ]
        counts = np.bincount(codes, minlength=1 << 16).reshape(256, 256)
        alike = _histogram(one) - counts.sum(axis=1)
        np.fill_diagonal(counts, alike)
        return counts[: self._num_classes, : self._num_classes]

    def _count_regions(self, labels: Labels, top: int, left: int) -> None:
        chunk = self._joiner.add(labels, top=top, left=left)
        sizes = np.bincount(chunk.local.ravel(), minlength=len(chunk.classes))
        for local, (value, size) in enumerate(zip(chunk.classes.tolist(), sizes, strict=True)):
            if value == UNLABELLED:
                continue
            if chunk.is_open[local]:
                self._open[chunk.first + local] = (value, int(size))
            else:
                self._sizes[value].append(int(size))
        if left + labels.shape[1] == self._size[1]:
            self._close_regions(is_last=top + labels.shape[0] == self._size[0])

    def _close_regions(self, *, is_last: bool) -> None:
        """At the end of a row of chunks: keep the sizes of those regions that end there."""
        joined: dict[int, tuple[int, int]] = {}
        for number, (value, size) in self._open.items():
            root = self._joiner.find(number)
            joined[root] = (value, size + joined.get(root, (value, 0))[1])
        reaching = set() if is_last else self._joiner.reaching()
        for number in [number for number in joined if number not in reaching]:
            value, size = joined.pop(number)
            self._sizes[value].append(size)
        self._open = joined


def _histogram(labels: Labels) -> Counts:
    """How often each of 256 values is there."""
    if labels.size and (labels == labels.flat[0]).all():  # as most chunks of a slide are
        counts = np.zeros(256, np.int64)
        counts[labels.flat[0]] = labels.size
        return counts
    return np.bincount(labels.ravel(), minlength=256)
