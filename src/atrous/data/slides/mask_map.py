"""Maps of class indices as large as slides: read in rectangles, never whole."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from atrous.errors import DataError, ShapeError
from atrous.types import UNLABELLED, Size

Labels = NDArray[np.uint8]


class MaskMap(Protocol):
    """Class indices of a whole slide; 255 where no network ran."""

    @property
    def size(self) -> Size:
        """`(H, W)`, pixels."""

    @property
    def chunk(self) -> Size:
        """`(H, W)` of the rectangles that are read fastest."""

    def read(self, top: int, left: int, height: int, width: int) -> Labels:
        """A rectangle inside the map, `(height, width)` uint8."""


@dataclass(frozen=True, slots=True, eq=False)
class ArrayLabelMap:
    """A map that lies in memory.

    Raises:
        ShapeError: If the labels are not `(H, W)` uint8 with a pixel at least, or a chunk is empty.

    Example:
        >>> labels = np.arange(12, dtype=np.uint8).reshape(3, 4)
        >>> label_map = ArrayLabelMap(labels, chunk=(2, 3))
        >>> [(top, left, part.shape) for top, left, part in iterate_chunks(label_map)]
        [(0, 0, (2, 3)), (0, 3, (2, 1)), (2, 0, (1, 3)), (2, 3, (1, 1))]
    """

    labels: Labels
    chunk: Size = (1024, 1024)

    def __post_init__(self) -> None:
        if self.labels.ndim != 2 or self.labels.dtype != np.uint8 or self.labels.size == 0:
            raise ShapeError(
                f"The labels are {self.labels.shape} {self.labels.dtype}; expected (H, W) uint8 "
                "with a pixel at least; give a map of class indices."
            )
        if len(self.chunk) != 2 or min(self.chunk) < 1:
            raise ShapeError(f"The chunk is {self.chunk}; expected two lengths of at least 1.")

    @property
    def size(self) -> Size:
        """`(H, W)`, pixels."""
        return self.labels.shape

    def read(self, top: int, left: int, height: int, width: int) -> Labels:
        """A rectangle inside the map, `(height, width)` uint8."""
        return self.labels[top : top + height, left : left + width]


def iterate_chunks(label_map: MaskMap) -> Iterator[tuple[int, int, Labels]]:
    """Top, left and labels of all chunks, row by row from the top."""
    height, width = label_map.size
    down, right = label_map.chunk
    for top in range(0, height, down):
        for left in range(0, width, right):
            size = (min(down, height - top), min(right, width - left))
            yield top, left, label_map.read(top, left, *size)


def check_classes(labels: Labels, num_classes: int) -> None:
    """See that labels are classes or 255.

    Raises:
        DataError: If they are not.
    """
    is_wrong = (labels >= num_classes) & (labels != UNLABELLED)
    if is_wrong.any():
        raise DataError(
            f"The label map holds class {labels[is_wrong][0]}; expected 0 to "
            f"{num_classes - 1}, or 255 where nothing ran; give the names of all its classes."
        )
