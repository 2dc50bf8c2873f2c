"""Run a classifier over labelled images and keep the likeliest classes of each."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from atrous.data.class_map import OTHER, ClassMap
from atrous.data.dataset import Dataset
from atrous.data.prefetch import batches, prefetch
from atrous.errors import DataError
from atrous.metrics.topk import rank_classes
from atrous.metrics.topk_scores import TOP, LabelScores, score_labels

PredictLabels: TypeAlias = Callable[[Sequence[NDArray[np.uint8]]], Sequence[Tensor]]
"""RGB images `(H, W, 3)` of one size to probabilities `(C,)` of the network's classes, one each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageRanking:
    """What one image is, and what a network takes it for."""

    index: int
    """Of the sample in its data set."""
    name: str
    truth: int
    """Index into the data's label names."""
    ranking: Tensor
    """`(min(5, C),)` int64 indices of the network's classes, likeliest first."""
    probability: float
    """Of the likeliest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelClasses:
    """The classes that labels are scored in, and what each side calls them."""

    names: tuple[str, ...]
    of_data: tuple[int, ...]
    """Index into `names` of every label of the data."""
    of_network: tuple[int, ...]
    """Index into `names` of every class of the network."""

    def score(self, images: Sequence[ImageRanking]) -> LabelScores:
        """Scores of those images; the likeliest five too, of a network of more classes.

        A ranking holds the network's own classes. Where several are one here, the true one counts
        as found as soon as any of them is.
        """
        ranking = torch.tensor(self.of_network)[torch.stack([i.ranking for i in images])]
        truth = torch.tensor([self.of_data[image.truth] for image in images])
        return score_labels(
            ranking, truth, num_classes=len(self.names), has_top5=len(self.of_network) > TOP
        )


def evaluate_labels(
    predict: PredictLabels,
    samples: Dataset,
    *,
    indices: Sequence[int] | None = None,
    batch_pixels: int = 500_000,
    num_workers: int = 2,
) -> Iterator[ImageRanking]:
    """The likeliest classes of every sample, yielding images as they are done.

    Args:
        predict: Called with images of one size.
        samples: Images with labels; `label_classes` finds those among the network's classes.
        indices: Of the samples to run, so that processes can share them; None for all.
        batch_pixels: A batch holds at least one image, and more while they fit in this.
        num_workers: Threads that read ahead.

    Raises:
        DataError: If a file is broken.
        ShapeError: If the network gives what are no numbers.
    """
    names = samples.names

    def read(index: int) -> tuple[int, NDArray[np.uint8]]:
        return index, samples.rgb8(index)

    wanted = range(len(samples)) if indices is None else indices
    for batch in batches(
        prefetch(read, wanted, num_workers=num_workers),
        key=lambda sample: sample[1].shape,
        weight=lambda sample: sample[1].size // 3,
        limit=batch_pixels,
    ):
        found = predict([image for _, image in batch])
        for (index, _), probabilities in zip(batch, found, strict=True):
            yield image_ranking(
                probabilities, index=index, name=names[index], truth=samples.labels[index]
            )


def image_ranking(probabilities: Tensor, *, index: int, name: str, truth: int) -> ImageRanking:
    """What is kept of one image's `(C,)` probabilities.

    Raises:
        ShapeError: If they are no numbers.
    """
    ranking = rank_classes(probabilities[None].cpu(), count=TOP)[0]
    return ImageRanking(
        index=index,
        name=name,
        truth=truth,
        ranking=ranking,
        probability=float(probabilities[ranking[0]]),
    )


def label_classes(
    label_names: Sequence[str],
    class_names: Sequence[str],
    class_map: ClassMap | None = None,
) -> LabelClasses:
    """The classes to score labels in: the network's own, or the shared ones of a class map.

    Args:
        label_names: Of the data; with a class map, of data that was remapped by it. Those labels
            are found among the classes by name, whatever their order, and capitals do not matter.
        class_names: Of the network, which may have further classes.
        class_map: What the data's and the network's classes have in common.

    Raises:
        DataError: If a label is not among the classes, or the map says nothing of networks.
        UnknownNameError: If the map names a class that the network does not have.

    Example:
        >>> label_classes(["dog", "cat"], ["Bird", "Cat", "Dog"]).of_data
        (2, 1)
    """
    if class_map is not None:
        of_network = class_map.network_table(class_names)
        has_other = len(class_map.classes) in of_network
        return LabelClasses(
            names=class_map.classes + (OTHER,) * has_other,
            of_data=tuple(range(len(class_map.classes))),
            of_network=of_network,
        )
    return LabelClasses(
        names=tuple(class_names),
        of_data=_by_name(label_names, class_names),
        of_network=tuple(range(len(class_names))),
    )


def _by_name(label_names: Sequence[str], class_names: Sequence[str]) -> tuple[int, ...]:
    index_of = {name.casefold(): index for index, name in enumerate(class_names)}
    unknown = [name for name in label_names if name.casefold() not in index_of]
    if unknown:
        close = get_close_matches(unknown[0].casefold(), index_of, n=1)
        hint = f" (the nearest is {class_names[index_of[close[0]]]!r})" if close else ""
        raise DataError(
            f"{len(unknown)} of the data's {len(label_names)} labels are not among the network's "
            f"{len(class_names)} classes, the first being {unknown[0]!r}{hint}; expected the same "
            "names; evaluate on the data it was trained for, or by a class map."
        )
    return tuple(index_of[name.casefold()] for name in label_names)
