"""Cross entropy that looks hardest where one class ends and another begins."""

import math
from typing import Final

import torch
from torch import Tensor

from atrous.errors import ShapeError
from atrous.training.losses.pixels import (
    exact_logits,
    pixel_cross_entropy,
    pixel_weights,
    weighted_mean,
)
from atrous.types import UNLABELLED

BORDER_WEIGHT: Final = 10.0
"""U-Net's w0."""
SIGMA: Final = 5.0
"""U-Net's sigma, in pixels."""


def boundary_loss(
    logits: Tensor,
    target: Tensor,
    *,
    class_weights: Tensor | None = None,
    border_weight: float = BORDER_WEIGHT,
    sigma: float = SIGMA,
) -> Tensor:
    """Mean cross entropy; a pixel d from a border weighs w[t] · (1 + w0 exp(-2 d² / σ²)).

    d is the Euclidean distance in pixels to the nearest border pixel, one that touches (along an
    axis) a labelled pixel of another class; unlabelled pixels make no border. U-Net writes
    exp(-(d1 + d2)² / 2σ²) with the distances to two cells; a mask of classes has one border there,
    so that d1 = d2 = d. It multiplies the class weight here, where U-Net adds, so that a class of
    weight 0 stays out. By itself it trains a network, as it holds the entropy of all pixels.

    Args:
        logits: `(B, C, *S)` with at least one spatial axis.
        target: `(B, *S)` int64 class indices; 255 where unlabelled.
        class_weights: `(C,)`, not negative; 1 each if not given.
        border_weight: w0; 0 makes this `cross_entropy`.
        sigma: σ in pixels; at a distance of σ a border adds 14 % of w0.

    Raises:
        ShapeError: If the shapes or types do not fit, or a number is not positive.

    Source: Ronneberger et al., "U-Net", 2015, equation 2.
    """
    logits = exact_logits(logits, target)
    if logits.ndim < 3 or border_weight < 0 or sigma <= 0:
        raise ShapeError(
            f"Logits {tuple(logits.shape)}, border_weight={border_weight}, sigma={sigma}; expected "
            "(B, C, *S) with spatial axes, a weight of 0 or more and a positive sigma; correct it."
        )
    reach = math.ceil(2 * sigma)  # beyond, the weight is below w0 / 2980
    squared = _squared_distance(_is_border(target), reach=reach).to(logits)
    emphasis = 1 + border_weight * torch.exp(-2 * squared / sigma**2)
    weights = pixel_weights(logits, target, class_weights) * emphasis
    return weighted_mean(pixel_cross_entropy(logits, target), weights)


def _is_border(target: Tensor) -> Tensor:
    """Pixels `(B, *S)` that touch, along an axis, a labelled pixel of another class."""
    border = torch.zeros_like(target, dtype=torch.bool)
    for axis in range(1, target.ndim):
        length = target.shape[axis] - 1
        before, after = target.narrow(axis, 0, length), target.narrow(axis, 1, length)
        differs = (before != after) & (before != UNLABELLED) & (after != UNLABELLED)
        border.narrow(axis, 0, length).logical_or_(differs)
        border.narrow(axis, 1, length).logical_or_(differs)
    return border


def _squared_distance(is_border: Tensor, *, reach: int) -> Tensor:
    """Squared Euclidean distance `(B, *S)` to the nearest True within `reach`; else infinite.

    Exact, axis by axis: the minimum over shifts of what the axes before gave plus the shift's
    square (Felzenszwalb and Huttenlocher, 2012).
    """
    squared = torch.zeros_like(is_border, dtype=torch.float32).masked_fill(~is_border, torch.inf)
    for axis in range(1, is_border.ndim):
        length = squared.shape[axis]
        nearest = squared.clone()
        for shift in range(1, min(reach, length - 1) + 1):
            kept = length - shift
            low, high = nearest.narrow(axis, 0, kept), nearest.narrow(axis, shift, kept)
            torch.minimum(low, squared.narrow(axis, shift, kept) + shift**2, out=low)
            torch.minimum(high, squared.narrow(axis, 0, kept) + shift**2, out=high)
        squared = nearest
    return squared
