"""Run a predictor over labelled images and count what it gets right."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from atrous.data.dataset import Dataset
from atrous.data.prefetch import batches, prefetch
from atrous.errors import DataError
from atrous.metrics.boundary import boundary_counts
from atrous.metrics.confusion import confusion_matrix

Predict: TypeAlias = Callable[[Sequence[NDArray[np.uint8 | np.float32]]], Sequence[Tensor]]
"""RGB images `(H, W, 3)` of one size to masks `(H, W)` of class indices, one each."""

_ADVICE: Final = "evaluate on the data it was trained for, or by a class map"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageCounts:
    """What a network got right and wrong on one image."""

    index: int
    """Of the sample in its data set."""
    name: str
    matrix: Tensor
    """`(C + 1, C)` int64 pixel counts: rows truth, the last one unlabelled; columns prediction."""
    boundary: Tensor | None = None
    """`(2, C)` int64: pixels in intersection and union of the classes' boundaries, if asked for."""


def evaluate(
    predict: Predict,
    samples: Dataset,
    *,
    class_names: Sequence[str],
    void_class: int | None = None,
    indices: Sequence[int] | None = None,
    with_boundary: bool = False,
    batch_pixels: int = 500_000,
    num_workers: int = 2,
) -> Iterator[ImageCounts]:
    """Count every sample's pixels by truth and prediction, yielding images as they are done.

    They come in the order in which `predict` was given them, which is not that of the samples
    where sizes differ. Several processes can share the samples by `indices`: counts add up, so the
    sum over processes is what one of them would have counted, and no sample counts twice.

    Args:
        predict: Called with images of one size.
        samples: Images with masks, whose classes are the first of the network's.
        class_names: The network's classes, in the order of its logits.
        void_class: The one of them for unlabelled pixels, if any; only boundaries ask for it here.
        indices: Of the samples to count, such as `range(rank, len(samples), world_size)`; None for
            all.
        with_boundary: Count the boundaries too, about half a second for a million pixels.
        batch_pixels: A batch holds at least one image, and more while they fit in this.
        num_workers: Threads that read ahead.

    Raises:
        DataError: If the data has other classes than the network, or a file is broken.
    """
    check_classes(samples, class_names)
    names = samples.names

    def read(index: int) -> tuple[int, NDArray[np.uint8 | np.float32], Tensor]:
        image, mask = samples.pixels_and_mask(index)
        return index, image, mask

    for batch in batches(
        prefetch(
            read, range(len(samples)) if indices is None else indices, num_workers=num_workers
        ),
        key=lambda sample: sample[1].shape,
        weight=lambda sample: sample[1].shape[0] * sample[1].shape[1],
        limit=batch_pixels,
    ):
        masks = predict([image for _, image, _ in batch])
        for (index, _, truth), prediction in zip(batch, masks, strict=True):
            num_classes = len(class_names)
            matrix = confusion_matrix(truth, prediction, num_classes=num_classes)
            boundary = None
            if with_boundary:
                boundary = boundary_counts(
                    truth, prediction, num_classes=num_classes, void_class=void_class
                )
            yield ImageCounts(index=index, name=names[index], matrix=matrix, boundary=boundary)


def check_classes(samples: Dataset, class_names: Sequence[str]) -> None:
    """See that the data's classes are the first of the network's.

    Raises:
        DataError: If they are not.
    """
    if samples.num_classes > len(class_names):
        raise DataError(
            f"The data has {samples.num_classes} classes, but the network only "
            f"{len(class_names)}; {_ADVICE}."
        )
    known = samples.class_names or ()
    for index, (data, network) in enumerate(zip(known, class_names, strict=False)):
        if data.casefold() != network.casefold():
            raise DataError(
                f"Class {index} is {data!r} in the data and {network!r} in the network; expected "
                f"the same classes in the same order; {_ADVICE}."
            )
