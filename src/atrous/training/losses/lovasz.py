"""Lovász-Softmax: a convex stand-in for 1 - IoU, the score itself."""

import torch
from torch import Tensor

from atrous.training.losses.pixels import exact_logits
from atrous.types import UNLABELLED


def lovasz_softmax(logits: Tensor, target: Tensor, *, per_image: bool = False) -> Tensor:
    """Mean over the classes present of the Lovász extension of the Jaccard loss 1 - IoU.

    The errors of class c are 1 - p[c] at its pixels and p[c] at the others; the loss is the area
    that they span when sorted. Unlabelled pixels are left out. 0 with gradient 0 where nothing is
    labelled.

    Args:
        logits: `(B, C, *S)`.
        target: `(B, *S)` int64 class indices; 255 where unlabelled.
        per_image: Take the loss of each image that has labelled pixels, and their mean, instead
            of the pixels of the batch together.

    Raises:
        ShapeError: If the shapes or types do not fit.

    Source: Berman et al., "The Lovász-Softmax Loss", 2018, equations 8 to 11 and algorithm 1.
    """
    logits = exact_logits(logits, target)
    probabilities = logits.softmax(1)
    if not per_image:
        return _of_pixels(probabilities, target)
    losses = [
        _of_pixels(probabilities[i : i + 1], target[i : i + 1])
        for i in range(len(target))
        if bool((target[i] != UNLABELLED).any())
    ]
    return torch.stack(losses).mean() if losses else _of_pixels(probabilities, target)


def _of_pixels(probabilities: Tensor, target: Tensor) -> Tensor:
    num_classes = probabilities.shape[1]
    rows = probabilities.transpose(0, 1).reshape(num_classes, -1)
    labels = target.flatten()
    is_labelled = labels != UNLABELLED
    present = labels[is_labelled].unique().tolist()
    total = rows.sum() * 0
    for c in present:
        is_class = labels == c
        errors = torch.where(is_class, 1 - rows[c], rows[c])
        total = total + (errors * _slopes(errors.detach(), is_class, is_labelled)).sum()
    return total / max(1, len(present))


def _slopes(errors: Tensor, is_class: Tensor, is_labelled: Tensor) -> Tensor:
    """The loss's derivative by each error, `(N,)`: what IoU loses if that pixel goes wrong next."""
    order = errors.where(is_labelled, -1).argsort(descending=True)
    inside = is_class[order].to(torch.float64)
    num_pixels = inside.sum()
    left = num_pixels - inside.cumsum(0)  # the intersection, when these pixels are wrong
    union = num_pixels + (1 - inside).cumsum(0)
    # Differences of neighbours in 1 - left / union, in a form that does not cancel.
    step = torch.where(inside > 0, 1 / union, left / (union * (union - 1)).clamp(min=1))
    return torch.empty_like(errors).scatter_(0, order, step.to(errors.dtype))
