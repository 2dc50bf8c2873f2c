"""Scores of labels of whole images: how often they are right, class by class and in all."""

from dataclasses import dataclass
from typing import Final

from torch import Tensor

from atrous.errors import ShapeError
from atrous.metrics.topk import label_confusion, topk_hits, wilson_interval

PROTOCOL: Final = "top1"
DESCRIPTION: Final = "share of images whose likeliest class is the true one"
"""One line, to be printed beside the numbers."""

TOP: Final = 5
"""The other k that papers print."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelScores:
    """What a network reached on a set of images with labels; fractions in [0, 1], not percent."""

    num_images: int
    top1: float
    """Share of images whose likeliest class is the true one."""
    top1_interval: tuple[float, float] | None
    """Wilson's, 95 %."""
    top5: float | None
    """Share whose true class is among the likeliest five; None where five are all but all."""
    top5_interval: tuple[float, float] | None
    mean_class_accuracy: float
    """Mean of `class_accuracy`, so that every class counts alike."""
    class_accuracy: tuple[float, ...]
    """Share of each class's images that were named right; not-a-number of a class without any."""
    confusion: Tensor
    """`(C, C)` int64 image counts: rows truth, columns prediction."""


def score_labels(
    ranking: Tensor, truth: Tensor, *, num_classes: int, has_top5: bool
) -> LabelScores:
    """Scores of the likeliest classes of each image.

    Args:
        ranking: `(N, K)` class indices, likeliest first, as `rank_classes` gives them.
        truth: `(N,)` class indices.
        num_classes: How many classes these indices are of.
        has_top5: Score the likeliest five too: for networks that choose among more.

    Raises:
        ShapeError: If the shapes do not belong together, there is no image, or K is below 5 where
            five are to be scored.

    Example:
        >>> import torch
        >>> ranking = torch.tensor([[0, 1], [1, 0], [1, 0]])
        >>> scores = score_labels(
        ...     ranking, torch.tensor([0, 0, 1]), num_classes=2, has_top5=False
        ... )
        >>> scores.class_accuracy, scores.mean_class_accuracy
        ((0.5, 1.0), 0.75)
    """
    hits = topk_hits(ranking, truth).sum(0).tolist()
    if not len(truth) or not hits or (has_top5 and len(hits) < TOP):
        raise ShapeError(
            f"A ranking {tuple(ranking.shape)}; expected at least one image, and {TOP} classes of "
            "each where five are scored."
        )
    confusion = label_confusion(truth, ranking[:, 0], num_classes=num_classes)
    accuracy = confusion.diagonal().double() / confusion.sum(1)
    top5 = hits[TOP - 1] if has_top5 else None
    return LabelScores(
        num_images=len(truth),
        top1=hits[0] / len(truth),
        top1_interval=wilson_interval(hits[0], len(truth)),
        top5=None if top5 is None else top5 / len(truth),
        top5_interval=None if top5 is None else wilson_interval(top5, len(truth)),
        mean_class_accuracy=float(accuracy.nanmean()),
        class_accuracy=tuple(accuracy.tolist()),
        confusion=confusion,
    )
