"""How often the true label is among the likeliest k, and how sure that share is."""

import math
from statistics import NormalDist

import torch
from torch import Tensor

from atrous.errors import ShapeError


def rank_classes(probabilities: Tensor, *, count: int) -> Tensor:
    """The likeliest classes of each image, likeliest first: `(N, min(count, C))` int64.

    Of equal classes the first comes first, so that a constant answer is no lucky guess.

    Args:
        probabilities: `(N, C)`, or logits.
        count: How many are kept.

    Raises:
        ShapeError: If the probabilities are not `(N, C)`, not all are numbers, or `count` is below
            1.

    Example:
        >>> rank_classes(torch.tensor([[0.2, 0.5, 0.3]]), count=2).tolist()
        [[1, 2]]
    """
    if probabilities.ndim != 2 or count < 1:
        raise ShapeError(
            f"Probabilities {tuple(probabilities.shape)} and count={count}; expected (N, C), one "
            "row an image, and a count of at least 1."
        )
    if not bool(probabilities.isfinite().all()):
        raise ShapeError(
            "The probabilities hold values that are no numbers; expected one for every class; look "
            "for what the network was fed."
        )
    return probabilities.argsort(dim=1, descending=True, stable=True)[:, :count]


def topk_hits(ranking: Tensor, truth: Tensor) -> Tensor:
    """Whether the true class is among the first 1, 2, … K: `(N, K)` bool.

    The same class may stand in a ranking more than once, as it does where classes were merged.

    Args:
        ranking: `(N, K)` class indices, likeliest first, as `rank_classes` gives them.
        truth: `(N,)` class indices.

    Raises:
        ShapeError: If the shapes do not belong together.

    Example:
        >>> topk_hits(torch.tensor([[3, 1], [0, 2]]), torch.tensor([1, 1])).tolist()
        [[False, True], [False, False]]
    """
    if ranking.ndim != 2 or truth.shape != ranking.shape[:1]:
        raise ShapeError(
            f"A ranking {tuple(ranking.shape)} and truth {tuple(truth.shape)}; expected (N, K) and "
            "(N,), one row and one class an image."
        )
    return (ranking == truth[:, None]).cumsum(1) > 0


def label_confusion(truth: Tensor, prediction: Tensor, *, num_classes: int) -> Tensor:
    """Image counts, truth by prediction: `(num_classes, num_classes)` int64.

    Unlike masks, labels may be of any number of classes, and every image has one.

    Args:
        truth: `(N,)` class indices.
        prediction: `(N,)` class indices.
        num_classes: How many there are.

    Raises:
        ShapeError: If the two differ in length, or hold anything but those classes.

    Example:
        >>> truth = torch.tensor([0, 1, 1])
        >>> label_confusion(truth, torch.tensor([0, 0, 1]), num_classes=2).tolist()
        [[1, 0], [1, 1]]
    """
    if truth.ndim != 1 or truth.shape != prediction.shape:
        raise ShapeError(
            f"Truth {tuple(truth.shape)} and prediction {tuple(prediction.shape)}; expected one "
            "class an image in both."
        )
    for name, labels in (("truth", truth), ("prediction", prediction)):
        wrong = labels[(labels < 0) | (labels >= num_classes)]
        if wrong.numel():
            raise ShapeError(
                f"The {name} holds class {int(wrong[0])}; expected 0 to {num_classes - 1}; set "
                "num_classes to the network's."
            )
    pairs = truth.to(torch.int64) * num_classes + prediction.to(torch.int64)
    return torch.bincount(pairs, minlength=num_classes**2).reshape(num_classes, num_classes)


def wilson_interval(hits: int, count: int, *, level: float = 0.95) -> tuple[float, float] | None:
    """Confidence interval of a share of independent images, `(low, high)` in [0, 1].

    Unlike the share plus and minus its deviation, it stays within [0, 1] and is right for few
    images and for shares near 0 and 1.

    Args:
        hits: Images that were right.
        count: Images in all.
        level: How sure, between 0 and 1.

    Returns:
        The interval; None of no image.

    Raises:
        ShapeError: If there are more hits than images, or `level` is out of range.

    Source: Wilson, "Probable Inference, the Law of Succession, and Statistical Inference", 1927.

    Example:
        >>> [round(bound, 4) for bound in wilson_interval(10, 10)]
        [0.7225, 1.0]
    """
    if not 0 <= hits <= count or not 0 < level < 1:
        raise ShapeError(
            f"{hits} of {count} at level {level}; expected hits between 0 and the count, and a "
            "level between 0 and 1."
        )
    if count == 0:
        return None
    z = NormalDist().inv_cdf((1 + level) / 2)
    share = hits / count
    middle = (share + z**2 / (2 * count)) / (1 + z**2 / count)
    spread = math.sqrt(share * (1 - share) / count + z**2 / (4 * count**2))
    half = z * spread / (1 + z**2 / count)
    return max(0.0, middle - half), min(1.0, middle + half)
