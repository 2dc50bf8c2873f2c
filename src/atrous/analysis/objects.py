"""How large the labelled objects of a data set are, and what a network sees of them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from atrous.errors import DataError


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectSizes:
    """Sizes of all connected objects of one class.

    Attributes:
        label: Class index.
        extents: `(N, D)` lengths of the objects' bounding boxes along each spatial axis, pixels.
        pixels: `(N,)` pixels of each object.
        num_images: Images that the class occurs in.
    """

    label: int
    extents: NDArray[np.int64]
    pixels: NDArray[np.int64]
    num_images: int

    @property
    def num_objects(self) -> int:
        """How many objects there are."""
        return len(self.pixels)

    def quantiles(self, shares: Sequence[float] = (0.1, 0.5, 0.9)) -> tuple[float, ...]:
        """Longest sides of the boxes that these shares of objects do not exceed, pixels."""
        return tuple(np.quantile(self.extents.max(axis=1), shares).tolist())

    def share_larger(self, field: Sequence[float], *, by_area: bool = False) -> float:
        """Part of the objects whose bounding box exceeds a field along some axis, in [0, 1].

        Args:
            field: Lengths along each spatial axis, pixels; infinite for a global field.
            by_area: Weight objects by their pixels, so that one large one outweighs many specks.

        Raises:
            DataError: If the field has another number of axes than the masks.
        """
        if len(field) != self.extents.shape[1]:
            raise DataError(
                f"The field has {len(field)} axes and the masks {self.extents.shape[1]}; give one "
                f"length per axis."
            )
        is_larger = (self.extents > np.asarray(field, dtype=np.float64)).any(axis=1)
        weights = self.pixels if by_area else np.ones_like(self.pixels)
        return float((is_larger * weights).sum() / weights.sum())


def object_sizes(
    masks: Iterable[NDArray[np.integer]], *, num_classes: int, min_pixels: int = 1
) -> list[ObjectSizes]:
    """Connected objects of every class that occurs, from masks of class indices.

    Pixels are connected along axes, not across corners. An object that the border of its image
    cuts counts with what is to be seen of it.

    Args:
        masks: `(*S)` class indices each; values from `num_classes` on, such as 255, are no object.
        num_classes: Classes to look for.
        min_pixels: Smaller objects are left out as specks of labelling.

    Raises:
        DataError: If there are no masks.
    """
    extents: list[list[NDArray[np.int64]]] = [[] for _ in range(num_classes)]
    pixels: list[list[NDArray[np.int64]]] = [[] for _ in range(num_classes)]
    num_masks = 0
    for mask in masks:
        num_masks += 1
        for label in np.unique(mask).tolist():
            if 0 <= label < num_classes:
                boxes, counts = _objects(mask == label)
                is_kept = counts >= min_pixels
                extents[label].append(boxes[is_kept])
                pixels[label].append(counts[is_kept])
    if not num_masks:
        raise DataError("There are no masks to look for objects in; give at least one.")
    return [
        ObjectSizes(
            label=label,
            extents=np.concatenate(extents[label]),
            pixels=np.concatenate(pixels[label]),
            num_images=sum(len(found) > 0 for found in pixels[label]),
        )
        for label in range(num_classes)
        if sum(map(len, pixels[label]))
    ]


def _objects(is_class: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Bounding boxes `(N, D)` and pixels `(N,)` of the connected parts of one image."""
    parts, _ = ndimage.label(is_class)
    boxes = [[part.stop - part.start for part in box] for box in ndimage.find_objects(parts)]
    counts = np.bincount(parts.ravel())[1:]
    return np.array(boxes, np.int64).reshape(-1, is_class.ndim), counts.astype(np.int64)
