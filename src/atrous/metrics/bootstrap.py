"""How far a mean IoU could have come out otherwise, had other images been drawn.

Source: Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, the percentile interval.
"""

from typing import Final

import torch
from torch import Tensor

from atrous.errors import ShapeError
from atrous.metrics.iou import class_iou, mean_over_classes
from atrous.metrics.protocols import apply_protocol

_MAX_ELEMENTS: Final = 2**24
"""Counts held at a time, 128 MB as float64; large sets are resampled in several rounds."""


def bootstrap_mean_iou(
    image_matrices: Tensor,
    *,
    protocol: str,
    void_class: int | None = None,
    num_resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> tuple[float, float] | None:
    """Percentile confidence interval of the mean IoU of the summed matrix, `(low, high)`.

    Images are drawn with replacement, as many as there are, and their matrices summed and scored;
    the interval spans the middle `level` of `num_resamples` such scores. It says how much the
    choice of images matters, not how much the training seed does. Frames of one video resemble
    each other, and make it too narrow.

    Args:
        image_matrices: `(N, C + 1, C)` counts, one matrix an image.
        protocol: A name in `PROTOCOLS`.
        void_class: The network's own class for unlabelled pixels, if it has one.
        num_resamples: How often the set is drawn.
        level: Share of resamples inside the interval, between 0 and 1.
        seed: The same seed gives the same interval.

    Returns:
        The interval, or None if there are fewer than two images: one image always draws itself.

    Raises:
        UnknownNameError: If no protocol has that name.
        ShapeError: If the matrices are not `(N, C + 1, C)`, or `level` or `num_resamples` is out
            of range.
    """
    if image_matrices.ndim != 3:
        raise ShapeError(
            f"The matrices are {tuple(image_matrices.shape)}; expected (N, C + 1, C), one for each "
            "image; take Confusion.image_matrices."
        )
    if not 0 < level < 1 or num_resamples < 1:
        raise ShapeError(
            f"level={level} and num_resamples={num_resamples}; expected a level between 0 and 1 "
            "and at least one resample; correct them."
        )
    counted, averaged = apply_protocol(
        image_matrices.cpu(), protocol=protocol, void_class=void_class
    )
    if len(counted) < 2:
        return None
    # Sums of pixel counts are whole numbers below 2**53, so float64 adds them without rounding.
    flat = counted.to(torch.float64).flatten(1)
    generator = torch.Generator().manual_seed(seed)
    per_round = max(1, _MAX_ELEMENTS // max(flat.shape))
    mean_ious = []
    for first in range(0, num_resamples, per_round):
        times = _draw(len(flat), min(per_round, num_resamples - first), generator)
        resampled = (times @ flat).unflatten(1, counted.shape[1:])
        mean_ious.append(mean_over_classes(class_iou(resampled), averaged))
    tail = (1 - level) / 2
    bounds = torch.tensor([tail, 1 - tail], dtype=torch.float64)
    low, high = torch.cat(mean_ious).nanquantile(bounds).tolist()
    return low, high


def _draw(num_images: int, num_resamples: int, generator: torch.Generator) -> Tensor:
    """How often each resample drew each image: `(num_resamples, num_images)` float64."""
    drawn = torch.randint(num_images, (num_resamples, num_images), generator=generator)
    times = torch.zeros(num_resamples, num_images, dtype=torch.float64)
    return times.scatter_add_(1, drawn, torch.ones_like(times))
