"""Connected regions of a map that is read chunk by chunk, each with one number throughout."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Labels = NDArray[np.uint8]
Numbers = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class ChunkRegions:
    """Regions of one chunk; pixels of a region are joined by their sides."""

    first: int
    """Number of the first of them; the others follow."""
    local: NDArray[np.int32]
    """`(h, w)`: which region of this chunk a pixel is of, from 0."""
    classes: Labels
    """`(R,)`: class of each region."""
    is_open: NDArray[np.bool_]
    """`(R,)`: whether a region touches the chunk's border, so may go on in the next chunk."""

    def numbers(self, part: int | tuple[slice, int]) -> Numbers:
        """Numbers of the regions along a row or a column of pixels."""
        return self.local[part].astype(np.int64) + self.first


class RegionJoiner:
    """Numbers the regions of a map and finds out which of them are one across chunks.

    Keeps one row of pixels, and what was joined.

    Args:
        width: Of the map, pixels.

    Example:
        >>> joiner = RegionJoiner(width=4)
        >>> left = joiner.add(np.array([[1, 1], [0, 0]], np.uint8), top=0, left=0)
        >>> right = joiner.add(np.array([[1, 0], [0, 0]], np.uint8), top=0, left=2)
        >>> [joiner.find(number) for number in range(4)]
        [0, 1, 0, 1]
    """

    def __init__(self, *, width: int) -> None:
        self._parents: dict[int, int] = {}
        self._num_regions = 0
        self._above: Numbers = np.full(width, -1, np.int64)
        self._above_labels: Labels = np.zeros(width, np.uint8)
        self._beside: Numbers = np.empty(0, np.int64)
        self._beside_labels: Labels = np.empty(0, np.uint8)

    def add(self, labels: Labels, *, top: int, left: int) -> ChunkRegions:
        """Take the next chunk; they must come row by row from the top, each from the left."""
        local, classes = _number(labels)
        chunk = ChunkRegions(
            first=self._num_regions, local=local, classes=classes, is_open=_open(local)
        )
        self._num_regions += len(classes)
        columns = slice(left, left + labels.shape[1])
        if left:
            self._join(self._beside, self._beside_labels, chunk.numbers(np.s_[:, 0]), labels[:, 0])
        if top:
            above, above_labels = self._above[columns], self._above_labels[columns]
            self._join(above, above_labels, chunk.numbers(np.s_[0]), labels[0])
        self._above[columns] = chunk.numbers(np.s_[-1])
        self._above_labels[columns] = labels[-1]
        self._beside = chunk.numbers(np.s_[:, -1])
        self._beside_labels = labels[:, -1].copy()
        return chunk

    def find(self, number: int) -> int:
        """The number that a region goes by: the lowest of those that were joined to it."""
        root = number
        while (above := self._parents.get(root, root)) != root:
            root = above
        while (above := self._parents.get(number, number)) != root:
            self._parents[number], number = root, above
        return root

    def reaching(self) -> set[int]:
        """After a whole row of chunks: the regions that may go on in the next one."""
        return {self.find(int(number)) for number in np.unique(self._above)}

    def _join(
        self, before: Numbers, before_labels: Labels, after: Numbers, after_labels: Labels
    ) -> None:
        is_same = before_labels == after_labels
        pairs = np.stack([before[is_same], after[is_same]], axis=1)
        for one, other in np.unique(pairs, axis=0).tolist():
            low, high = sorted((self.find(one), self.find(other)))
            if low != high:
                self._parents[high] = low


def _number(labels: Labels) -> tuple[NDArray[np.int32], Labels]:
    if (labels == labels[0, 0]).all():  # as most chunks of a slide are
        return np.zeros(labels.shape, np.int32), labels[0, :1].copy()
    local = np.empty(labels.shape, np.int32)
    classes: list[int] = []
    for value in np.flatnonzero(np.bincount(labels.ravel(), minlength=256)):
        is_class = labels == value
        numbers, count = ndimage.label(is_class)
        local[is_class] = numbers[is_class] + (len(classes) - 1)
        classes += [int(value)] * count
    return local, np.array(classes, np.uint8)


def _open(local: NDArray[np.int32]) -> NDArray[np.bool_]:
    is_open = np.zeros(int(local.max()) + 1, np.bool_)
    for border in (local[0], local[-1], local[:, 0], local[:, -1]):
        is_open[border] = True
    return is_open
