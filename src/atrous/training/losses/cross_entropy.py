"""Cross entropy: the loss that all others are set beside."""

from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the name everybody reads

from atrous.training.losses.pixels import (
    exact_logits,
    pixel_weights,
    weights_like,
)
from atrous.types import UNLABELLED


def cross_entropy(
    logits: Tensor,
    target: Tensor,
    *,
    class_weights: Tensor | None = None,
    label_smoothing: float = 0.0,
) -> Tensor:
    """Mean of -log p of the labelled pixels' classes, weighted by class as PyTorch weights it.

    With weights it is Σ w[t] · (-log p[t]) / Σ w[t] over labelled pixels t: doubling all weights
    changes nothing. With label smoothing ε, the aim for the true class is 1 - ε + ε/C and ε/C for
    the others, each of whose terms bears the weight of its own class.

    Unlike PyTorch's, it is 0 with gradient 0, not NaN, where nothing is labelled.

    Args:
        logits: `(B, C, *S)`, or `(B, C)` for labels of images.
        target: `(B, *S)` int64 class indices; 255 where unlabelled.
        class_weights: `(C,)`, not negative.
        label_smoothing: In [0, 1].

    Raises:
        ShapeError: If the shapes or types do not fit.
    """
    logits = exact_logits(logits, target)
    total = F.cross_entropy(
        logits,
        target,
        weight=None if class_weights is None else weights_like(logits, class_weights),
        ignore_index=UNLABELLED,
        reduction="sum",
        label_smoothing=label_smoothing,
    )
    weight = pixel_weights(logits, target, class_weights).sum()
    return total / weight.where(weight > 0, 1.0)
