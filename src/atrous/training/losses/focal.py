"""Focal loss: cross entropy that looks away from what is already right."""

import torch
from torch import Tensor

from atrous.errors import ShapeError
from atrous.training.losses.pixels import (
    exact_logits,
    pixel_cross_entropy,
    pixel_weights,
    weighted_mean,
)


def focal_loss(
    logits: Tensor, target: Tensor, *, gamma: float = 2.0, class_weights: Tensor | None = None
) -> Tensor:
    """Mean of -(1 - p)^γ log p of the labelled pixels' classes.

    With weights it is the weighted mean Σ w[t] (…) / Σ w[t], so that γ = 0 is `cross_entropy`.
    0 with gradient 0 where nothing is labelled.

    Args:
        logits: `(B, C, *S)`, or `(B, C)` for labels of images.
        target: `(B, *S)` int64 class indices; 255 where unlabelled.
        gamma: How far to look away; 0 not at all.
        class_weights: `(C,)`, not negative.

    Raises:
        ShapeError: If the shapes or types do not fit, or gamma is negative.

    Source: Lin et al., "Focal Loss for Dense Object Detection", 2017, equations 4 and 5; the mean
        is over pixels, as there are no anchors here.
    """
    if gamma < 0:
        raise ShapeError(f"gamma={gamma}; expected 0 or more, such as 2; correct it.")
    logits = exact_logits(logits, target)
    entropy = pixel_cross_entropy(logits, target)
    # 1 - p without cancellation; the floor keeps the slope of the power finite at p = 1.
    doubt = (-torch.expm1(-entropy)).clamp(min=torch.finfo(entropy.dtype).tiny)
    weights = pixel_weights(logits, target, class_weights)
    return weighted_mean(doubt**gamma * entropy, weights)
