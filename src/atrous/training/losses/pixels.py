"""What every loss asks of logits and target: that they fit, and the pixels that are labelled."""

from typing import Final

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the name everybody reads

from atrous.errors import DataError, ShapeError
from atrous.types import UNLABELLED

_TINY: Final = torch.finfo(torch.float32).tiny


def exact_logits(logits: Tensor, target: Tensor) -> Tensor:
    """The logits in float32 (float64 stays), once they are known to fit the target.

    Half precision is enough for a network's layers, not for sums over a million pixels.

    Raises:
        ShapeError: If `logits` are not `(B, C, *S)` floats with a target `(B, *S)` of int64.
        DataError: If a target on the CPU holds what is neither a class nor 255; elsewhere the look
            would make the device wait, and torch itself stops at such a class.
    """
    expected = (logits.shape[0], *logits.shape[2:]) if logits.ndim > 1 else ()
    if logits.ndim < 2 or tuple(target.shape) != expected:
        raise ShapeError(
            f"Logits are {tuple(logits.shape)} and the target {tuple(target.shape)}; expected "
            "(B, C, *S) and (B, *S); resize the logits to the target and give one class a pixel."
        )
    if not logits.is_floating_point() or target.dtype != torch.int64:
        raise ShapeError(
            f"Logits are {logits.dtype} and the target {target.dtype}; expected floats and int64; "
            "give logits before the argmax, and class indices."
        )
    if target.device.type == "cpu" and target.numel():
        _check_classes(target, logits.shape[1])
    return logits if logits.dtype == torch.float64 else logits.float()


def pixel_cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """-log p of every pixel's class, `(B, *S)`; 0 where unlabelled."""
    return F.cross_entropy(logits, target, reduction="none", ignore_index=UNLABELLED)


def pixel_weights(logits: Tensor, target: Tensor, class_weights: Tensor | None) -> Tensor:
    """The weight of every pixel's class, `(B, *S)`: 1 without weights; 0 where unlabelled.

    Raises:
        ShapeError: If there is not one weight a class.
    """
    is_labelled = target != UNLABELLED
    if class_weights is None:
        return is_labelled.to(logits.dtype)
    weights = weights_like(logits, class_weights)
    return weights[torch.where(is_labelled, target, 0)] * is_labelled


def weights_like(logits: Tensor, class_weights: Tensor) -> Tensor:
    """Class weights `(C,)` of the type and on the device of the logits.

    Raises:
        ShapeError: If there is not one weight a class.
    """
    num_classes = logits.shape[1]
    if class_weights.shape != (num_classes,):
        raise ShapeError(
            f"Class weights are {tuple(class_weights.shape)} for logits of {num_classes} classes; "
            f"expected ({num_classes},); give one weight a class."
        )
    return class_weights.to(logits)


def weighted_mean(values: Tensor, weights: Tensor) -> Tensor:
    """Sum of `weights * values` over the sum of `weights`; 0, with gradient 0, if that is 0."""
    return (weights * values).sum() / weights.sum().clamp(min=_TINY)


def class_areas(target: Tensor, num_classes: int) -> Tensor:
    """Pixels of each class, `(C,)` int64; the unlabelled are left out."""
    is_labelled = target != UNLABELLED
    kept = torch.where(is_labelled, target, num_classes).flatten()
    return torch.bincount(kept, minlength=num_classes + 1)[:num_classes]


def _check_classes(target: Tensor, num_classes: int) -> None:
    low, high = (int(bound) for bound in target.where(target != UNLABELLED, 0).aminmax())
    if low < 0 or high >= num_classes:
        raise DataError(
            f"The target holds class {low if low < 0 else high}; expected 0 to {num_classes - 1}, "
            f"or {UNLABELLED} where unlabelled; correct the masks or the number of classes."
        )
