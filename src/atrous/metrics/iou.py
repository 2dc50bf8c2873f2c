"""Scores of a confusion matrix: pure functions, in float64, over any leading axes.

Here a matrix is `(..., R, C)` with rows of truth and columns of prediction. R is C, or larger:
rows after the C-th hold pixels that belong to no class, which can only be false positives. Which
pixels a matrix holds is the protocol's choice (`metrics.protocols`).

A class is *absent* where its score would be 0 / 0. Its score is not-a-number then, and means leave
it out, as they leave out classes that the caller does not average.

Source: Everingham et al., "The Pascal Visual Object Classes Challenge", IJCV 2015 (IoU); Long et
    al., "Fully Convolutional Networks", CVPR 2015 (pixel, mean and frequency weighted scores).
"""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """What a network reached on a set of images; fractions in [0, 1], not percent.

    Per-class scores are one per class of the network, not-a-number where the class is absent.
    """

    protocol: str
    """By whose rules."""
    averaged_classes: tuple[int, ...]
    """Indices of the classes that means are taken over; absent ones among them are left out."""
    pixel_accuracy: float
    """Share of the counted pixels that were predicted right."""
    mean_accuracy: float
    """Mean of `class_accuracy`; papers call it class average accuracy."""
    mean_iou: float
    mean_dice: float
    frequency_weighted_iou: float
    """Mean of `class_iou` weighted by how many pixels each averaged class has in truth."""
    class_accuracy: tuple[float, ...]
    """Share of each class's pixels that were predicted right, its recall."""
    class_iou: tuple[float, ...]
    """Intersection over union of each class's true and predicted pixels."""
    class_dice: tuple[float, ...]
    """2 |A and B| / (|A| + |B|) of each class's true and predicted pixels."""


def class_accuracy(matrix: Tensor) -> Tensor:
    """Recall of each class, `(..., C)`; absent where the truth lacks the class."""
    hits, truth, _ = _hits_truth_predicted(matrix)
    return hits / truth


def class_iou(matrix: Tensor) -> Tensor:
    """Intersection over union of each class, `(..., C)`; absent where both lack the class.

    Example:
        >>> class_iou(torch.tensor([[3, 1], [0, 2]])).tolist()
        [0.75, 0.6666666666666666]
    """
    hits, truth, predicted = _hits_truth_predicted(matrix)
    return hits / (truth + predicted - hits)


def class_dice(matrix: Tensor) -> Tensor:
    """Dice coefficient (F1) of each class, `(..., C)`; absent where both lack the class."""
    hits, truth, predicted = _hits_truth_predicted(matrix)
    return 2 * hits / (truth + predicted)


def pixel_accuracy(matrix: Tensor) -> Tensor:
    """Share of all pixels in the matrix that were predicted right, `(...)`."""
    hits, _, predicted = _hits_truth_predicted(matrix)
    return hits.sum(-1) / predicted.sum(-1)


def mean_over_classes(scores: Tensor, averaged: Tensor) -> Tensor:
    """Mean of `(..., C)` over the averaged classes (bool `(C,)`) that are not absent, `(...)`."""
    return scores[..., averaged].nanmean(-1)


def frequency_weighted_iou(matrix: Tensor, averaged: Tensor) -> Tensor:
    """Mean IoU over the averaged classes, each weighted by its pixels in truth, `(...)`."""
    hits, truth, predicted = _hits_truth_predicted(matrix)
    weights = truth[..., averaged]
    iou = (hits / (truth + predicted - hits))[..., averaged]
    # A class that the truth lacks weighs nothing, also where its IoU is not a number.
    return torch.where(weights > 0, weights * iou, 0).sum(-1) / weights.sum(-1)


def _hits_truth_predicted(matrix: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Pixels of each class predicted right, in truth, and in prediction, each `(..., C)`."""
    num_classes = matrix.shape[-1]
    counts = matrix.to(torch.float64)
    hits = counts.diagonal(dim1=-2, dim2=-1)
    return hits, counts.sum(-1)[..., :num_classes], counts.sum(-2)
