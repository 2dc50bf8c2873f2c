"""Cross entropy of the hardest pixels only."""

import math

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


def ohem_cross_entropy(
    logits: Tensor,
    target: Tensor,
    *,
    threshold: float = 0.7,
    min_kept: float = 1 / 16,
    class_weights: Tensor | None = None,
) -> Tensor:
    """Mean cross entropy of pixels whose class has probability below `threshold`.

    If those are fewer than the share `min_kept` of the batch's labelled pixels, it is the mean of
    that many with the highest cross entropy. Weights change the mean (as in `cross_entropy`), not
    which pixels are kept. 0 with gradient 0 where nothing is labelled.

    Args:
        logits: `(B, C, *S)`, or `(B, C)` for labels of images.
        target: `(B, *S)` int64 class indices; 255 where unlabelled.
        threshold: A probability, above 0.
        min_kept: Share of the labelled pixels in [0, 1]; one pixel is always kept.
        class_weights: `(C,)`, not negative.

    Raises:
        ShapeError: If the shapes or types do not fit, or a number is out of its range.

    Source: Shrivastava et al., "Training Region-based Object Detectors with Online Hard Example
        Mining", 2016; threshold and share for segmentation as in BiSeNet (Yu et al., 2018).
    """
    if threshold <= 0 or not 0 <= min_kept <= 1:
        raise ShapeError(
            f"threshold={threshold}, min_kept={min_kept}; expected a probability above 0 and a "
            "share in [0, 1]; correct them."
        )
    logits = exact_logits(logits, target)
    entropy = pixel_cross_entropy(logits, target).flatten()
    weights = pixel_weights(logits, target, class_weights).flatten()
    is_labelled = (target != UNLABELLED).flatten()
    is_hard = is_labelled & (entropy.detach() > -math.log(threshold))
    num_labelled = int(is_labelled.sum())
    num_wanted = min(num_labelled, max(1, int(min_kept * num_labelled)))
    if int(is_hard.sum()) < num_wanted:
        hardness = entropy.detach().where(is_labelled, -torch.inf)
        kept = hardness.topk(num_wanted, sorted=False).indices
        return weighted_mean(entropy[kept], weights[kept])
    return weighted_mean(entropy, weights * is_hard)
