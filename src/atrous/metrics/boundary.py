"""Boundary IoU: intersection over union of what lies near the outlines, where decoders differ.

A class's *inner boundary* is the part of its mask that lies within `width` pixels of its outline,
diagonal steps counted as one. The image's border belongs to the outline: a mask cut off by it has
its outline there. Large and small objects so count by their outlines, while plain IoU hardly sees
a thin error around a large one.

Counts are added up over images before they are divided, as for plain IoU.

Source: Cheng et al., "Boundary IoU: Improving Object-Centric Image Segmentation Evaluation", CVPR
    2021, section 4.
"""

import math
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from atrous.errors import ShapeError
from atrous.metrics.confusion import confusion_matrix
from atrous.types import UNLABELLED, Size

BOUNDARY_SHARE: Final = 0.02
"""Width of the boundary in diagonals of the image, as the paper sets it for photos."""


def boundary_width(size: Size, *, share: float = BOUNDARY_SHARE) -> int:
    """Width in pixels for images of a size: a share of the diagonal, rounded, at least 1.

    Raises:
        ShapeError: If the share is not a number above 0.

    Example:
        >>> boundary_width((360, 480)), boundary_width((8, 8))
        (12, 1)
    """
    if not 0 < share < math.inf:
        raise ShapeError(f"A share of {share}; expected a number above 0; 0.02 is the paper's.")
    return max(1, round(share * math.hypot(*size)))


def inner_boundary(labels: Tensor, *, width: int) -> Tensor:
    """Where another class, unlabelled pixels or the border are within `width` pixels, bool `(*S)`.

    This is the inner boundary of every class at once. What the unlabelled pixels (255) have there
    is of no class and says nothing.

    Args:
        labels: `(*S)` class indices and 255, of any integer type.
        width: At least 1.

    Raises:
        ShapeError: If the width is below 1, or the labels are not integers in 0 to 255.

    Example:
        >>> labels = torch.tensor([[0, 0, 0, 0, 1]])
        >>> inner_boundary(torch.cat([labels] * 3), width=1)[1].tolist()
        [True, False, False, True, True]
    """
    if width < 1:
        raise ShapeError(f"A boundary {width} pixels wide; expected at least 1.")
    # A window of one class has its minimum equal to its maximum. What lies outside is unlabelled.
    bytes_ = _bytes(labels)
    window = {"size": 2 * width + 1, "mode": "constant", "cval": UNLABELLED}
    lowest = ndimage.minimum_filter(bytes_, **window)
    highest = ndimage.maximum_filter(bytes_, **window)
    return torch.from_numpy(lowest != highest).to(labels.device)


def boundary_counts(
    truth: Tensor,
    prediction: Tensor,
    *,
    num_classes: int,
    void_class: int | None = None,
    width: int | None = None,
) -> Tensor:
    """Pixels in intersection and union of the true and predicted boundaries: `(2, C)` int64.

    Pixels whose truth is unlabelled are left out, and act as the outside of the image: an outline
    there is nobody's error.

    Args:
        truth: `(*S)` class indices and 255, of any integer type: one image or volume.
        prediction: `(*S)` class indices, of any integer type.
        num_classes: How many classes the network predicts.
        void_class: The network's own class for unlabelled pixels, if it has one. Truth of that
            class counts as unlabelled too.
        width: Of the boundary in pixels; None for `boundary_width` of the image.

    Raises:
        ShapeError: If the shapes differ, a tensor is not of integers, a class is out of range, or
            the width is below 1.
        DataError: If the truth holds a value that is neither a class nor 255.

    Example:
        >>> truth = torch.zeros(3, 9, dtype=torch.int64)
        >>> shifted = truth.clone()
        >>> truth[:, 4:], shifted[:, 5:] = 1, 1
        >>> boundary_counts(truth, shifted, num_classes=2, width=1).tolist()
        [[9, 9], [13, 13]]
    """
    width = boundary_width(tuple(truth.shape)) if width is None else width
    if void_class is not None:
        truth = torch.where(truth == void_class, UNLABELLED, truth)
    confusion_matrix(truth, prediction, num_classes=num_classes)  # for its checks
    seen = torch.where(truth == UNLABELLED, UNLABELLED, prediction.to(torch.int64))
    is_true = inner_boundary(truth, width=width) & (truth != UNLABELLED)
    is_seen = inner_boundary(seen, width=width) & (truth != UNLABELLED)
    is_hit = is_true & is_seen & (truth == seen)
    hits, true, predicted = (
        torch.bincount(labels.to(torch.int64), minlength=num_classes)
        for labels in (truth[is_hit], truth[is_true], seen[is_seen])
    )
    return torch.stack([hits, true + predicted - hits])


def boundary_iou(counts: Tensor) -> Tensor:
    """IoU of each class's boundary, `(..., C)` float64; not-a-number where both lack the class.

    Args:
        counts: `(..., 2, C)` as `boundary_counts` gives them, usually summed over images.
    """
    if counts.ndim < 2 or counts.shape[-2] != 2:
        raise ShapeError(
            f"The counts are {tuple(counts.shape)}; expected (..., 2, C), intersections and "
            "unions; take them from boundary_counts."
        )
    hits, union = counts.to(torch.float64).unbind(-2)
    return hits / union


def _bytes(labels: Tensor) -> NDArray[np.uint8]:
    if labels.is_floating_point() or labels.is_complex():
        raise ShapeError(
            f"The labels are {labels.dtype}; expected integers, the class indices; take the argmax "
            "of logits."
        )
    if labels.numel():
        low, high = (int(bound) for bound in labels.aminmax())
        if low < 0 or high > UNLABELLED:
            raise ShapeError(
                f"The labels hold {low if low < 0 else high}; expected 0 to {UNLABELLED}, where "
                f"{UNLABELLED} is unlabelled; correct them."
            )
    return labels.cpu().numpy().astype(np.uint8)
