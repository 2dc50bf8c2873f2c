"""Lovász-Softmax: a convex stand-in for 1 - IoU, the score itself."""

import torch
from torch import Tensor

from atrous.training.losses.lovasz_cpu import extend_on_cpu
from atrous.training.losses.pixels import class_areas, exact_logits
from atrous.types import UNLABELLED


def lovasz_softmax(logits: Tensor, target: Tensor, *, per_image: bool = False) -> Tensor:
    """Mean over the classes present of the Lovász extension of the Jaccard loss 1 - IoU.

    The errors of class c are 1 - p[c] at its pixels and p[c] at the others. Taken from the largest
    down, each counts as much as the class's IoU loses if that pixel goes wrong next. Unlabelled
    pixels are left out. 0 with gradient 0 where nothing is labelled.

    Args:
        logits: `(B, C, *S)`.
        target: `(B, *S)` int64 class indices; 255 where unlabelled.
        per_image: Take the loss of each image that has labelled pixels, and their mean, instead
            of all pixels of the batch together.

    Raises:
        ShapeError: If the shapes or types do not fit.

    Source: Berman et al., "The Lovász-Softmax Loss", 2018, equations 8 to 11 and algorithm 1.
    """
    logits = exact_logits(logits, target)
    probabilities = logits.softmax(1)
    slopes = torch.zeros_like(probabilities, requires_grad=False)
    value = slopes.new_zeros(())
    batch = slice(0, len(target))
    groups = [slice(i, i + 1) for i in range(len(target))] if per_image else [batch]
    groups = [group for group in groups if bool((target[group] != UNLABELLED).any())]
    on_device = extend_on_cpu if logits.device.type == "cpu" else extend
    for group in groups:
        value += on_device(probabilities.detach()[group], target[group], slopes[group])
    # Around where it stands the loss is linear in the probabilities: no need to sort backwards.
    linear = (probabilities * slopes).sum()
    return (value + (linear - linear.detach())) / max(1, len(groups))


def extend(probabilities: Tensor, target: Tensor, slopes: Tensor) -> Tensor:
    """The mean loss of the classes present; its derivatives are written into `slopes`.

    All classes are sorted at once, as suits a GPU.

    Shape:
        `probabilities` and `slopes` `(B, C, *S)`, `slopes` all 0; `target` `(B, *S)`.
    """
    areas = class_areas(target, probabilities.shape[1])
    present = areas.nonzero().flatten()
    labels = target.flatten()
    inside = labels == present[:, None]
    rows = probabilities.transpose(0, 1)[present].flatten(1)
    errors = torch.where(inside, 1 - rows, rows).masked_fill(labels == UNLABELLED, -1)
    errors, order = errors.sort(dim=1, descending=True, stable=True)
    is_inside = inside.gather(1, order)
    num_missed = is_inside.cumsum(1)
    # With the first pixels wrong, those inside are missing from the intersection and those outside
    # have joined the union. In a form that does not cancel as differences of IoUs would.
    left = (areas[present, None] - num_missed).double()
    rank = torch.arange(1, len(labels) + 1, device=target.device)
    union = (areas[present, None] + rank - num_missed).double()
    losses = torch.where(is_inside, 1 / union, left / (union * (union - 1)).clamp(min=1))
    losses = (losses * (errors >= 0)).to(errors) / len(present)
    by_pixel = torch.zeros_like(errors).scatter_(1, order, torch.where(is_inside, -losses, losses))
    slopes[:, present] = by_pixel.view(len(present), *target.shape).transpose(0, 1)
    return (errors * losses).sum()
