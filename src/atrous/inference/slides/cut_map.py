"""The results of a slide without those parts that are not wanted, or could not be read."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from atrous.data.slides.mask_map import Labels, MaskMap
from atrous.inference.slides.store import SlideStore
from atrous.types import UNLABELLED, Size

Box = tuple[int, int, int, int]
"""Top, left, bottom and right."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CutMap:
    """A store whose labels are 255, and whose probabilities 0, in some parts; a `MaskMap`.

    Attributes:
        store: Of the whole slide.
        boxes: Parts that are left out, pixels of the store.
        roi: 255 where nothing is wanted; None where everything is.
    """

    store: SlideStore
    boxes: Sequence[Box]
    roi: MaskMap | None

    @property
    def size(self) -> Size:
        """`(H, W)`, pixels."""
        return self.store.size

    @property
    def chunk(self) -> Size:
        """`(H, W)` of the rectangles that are read fastest."""
        return self.store.chunk

    def read(self, top: int, left: int, height: int, width: int) -> Labels:
        """A rectangle of labels, `(height, width)` uint8."""
        labels = np.array(self.store.read(top, left, height, width))
        labels[self._is_out(top, left, height, width)] = UNLABELLED
        return labels

    def read_probabilities(self, top: int, left: int, height: int, width: int) -> NDArray[np.uint8]:
        """The same of probabilities in steps of 1 / 255, `(C, height, width)`."""
        values = np.array(self.store.read_probabilities(top, left, height, width))
        values[:, self._is_out(top, left, height, width)] = 0
        return values

    def _is_out(self, top: int, left: int, height: int, width: int) -> NDArray[np.bool_]:
        out = np.zeros((height, width), np.bool_)
        if self.roi is not None:
            out |= self.roi.read(top, left, height, width) == UNLABELLED
        for first, second, third, fourth in self._reaching(top, left, height, width):
            rows = slice(max(0, first - top), max(0, third - top))
            out[rows, max(0, second - left) : max(0, fourth - left)] = True
        return out

    def _reaching(self, top: int, left: int, height: int, width: int) -> Iterator[Box]:
        for box in self.boxes:
            if box[0] < top + height and box[2] > top and box[1] < left + width and box[3] > left:
                yield box
