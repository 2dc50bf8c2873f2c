"""Soft Dice: how little the predicted and the true area of each class overlap."""

from typing import Final

import torch
from torch import Tensor

from atrous.training.losses.pixels import class_areas, exact_logits
from atrous.types import UNLABELLED

EPSILON: Final = 1e-6
"""Keeps the quotient finite; far below one pixel, so that small objects are not smoothed away."""


def dice_loss(logits: Tensor, target: Tensor, *, epsilon: float = EPSILON) -> Tensor:
    """1 minus the mean soft Dice of the classes present, all pixels of the batch taken together.

    For class c it is 1 - (2 Σ p y + ε) / (Σ p + Σ y + ε), summed over the labelled pixels of the
    whole batch, not image by image, so that one stray pixel in an image where c is absent costs
    little. Classes that no pixel of the batch has are left out of the mean. 0 with gradient 0
    where nothing is labelled.

    Args:
        logits: `(B, C, *S)`.
        target: `(B, *S)` int64 class indices; 255 where unlabelled.
        epsilon: In pixels.

    Raises:
        ShapeError: If the shapes or types do not fit.

    Source: Milletari et al., "V-Net", 2016, section 3, with Σ p in place of Σ p² in the
        denominator, as most libraries have it.
    """
    logits = exact_logits(logits, target)
    num_classes = logits.shape[1]
    is_labelled = target != UNLABELLED
    probabilities = logits.softmax(1)
    predicted = (probabilities * is_labelled.unsqueeze(1)).transpose(0, 1).flatten(1).sum(1)
    of_truth = probabilities.gather(1, target.where(is_labelled, 0).unsqueeze(1)).flatten()
    # In float64, because these are added one after the other, a million of them.
    sums = torch.zeros(num_classes + 1, dtype=torch.float64, device=logits.device)
    labels = target.where(is_labelled, num_classes).flatten()
    overlap = sums.index_add(0, labels, of_truth.double())[:num_classes]
    areas = class_areas(target, num_classes)
    dice = (2 * overlap + epsilon) / (predicted + areas + epsilon)
    is_present = areas > 0
    return (((1 - dice) * is_present).sum() / is_present.sum().clamp(min=1)).to(logits)
