"""Mix the samples of a batch: pieces of one pasted on another, with what is known of them.

Every function leaves its inputs alone, needs `(B, C, *S)` images of any type, and draws from the
generator it is handed. A sample's partner is another sample of the batch, so a batch of one stays
what it is.
"""

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the name everybody reads

from atrous.errors import DataError, ShapeError
from atrous.types import UNLABELLED


def cutmix(
    images: Tensor, masks: Tensor, rng: np.random.Generator, *, probability: float
) -> tuple[Tensor, Tensor]:
    """A box of another sample on each, image and mask alike; its share is uniform in [0, 1).

    Args:
        images: `(B, C, *S)`.
        masks: `(B, *S)`.
        rng: Where all chance comes from.
        probability: Of each sample to be pasted on.

    Raises:
        ShapeError: If masks and images have different sizes.
        DataError: If the probability is none.

    Source: Yun et al. 2019, "CutMix", section 3; with a mask, French et al. 2020.
    """
    _check(images, masks, probability)
    partners, is_chosen = _pair(images, rng, probability)
    is_pasted = _boxes(images, rng, is_chosen)
    return _paste(images, partners, is_pasted), _paste_masks(masks, partners, is_pasted)


def classmix(
    images: Tensor, masks: Tensor, rng: np.random.Generator, *, probability: float
) -> tuple[Tensor, Tensor]:
    """Half of another sample's classes on each, cut out along its mask.

    Of an odd number of classes the smaller half is pasted, so of a single one nothing. Unlabelled
    pixels (255) are no class and never pasted.

    Args:
        images: `(B, C, *S)`.
        masks: `(B, *S)` of class indices.
        rng: Where all chance comes from.
        probability: Of each sample to be pasted on.

    Raises:
        ShapeError: If masks and images have different sizes.
        DataError: If the probability is none.

    Source: Olsson et al. 2021, "ClassMix", section 3.1.
    """
    _check(images, masks, probability)
    partners, is_chosen = _pair(images, rng, probability)
    is_pasted = torch.zeros_like(masks, dtype=torch.bool)
    for index in np.flatnonzero(is_chosen):
        mask = masks[partners[index]]
        classes = mask.unique()
        classes = classes[classes != UNLABELLED]
        order = torch.from_numpy(rng.permutation(len(classes))).to(classes.device)
        is_pasted[index] = torch.isin(mask, classes[order[: len(classes) // 2]])
    return _paste(images, partners, is_pasted), _paste_masks(masks, partners, is_pasted)


def cutmix_labels(
    images: Tensor,
    labels: Tensor,
    rng: np.random.Generator,
    *,
    num_classes: int,
    probability: float,
) -> tuple[Tensor, Tensor]:
    """A box of another sample on each image, and labels in proportion to what is seen.

    Args:
        images: `(B, C, *S)`.
        labels: `(B,)` class indices.
        rng: Where all chance comes from.
        num_classes: How many classes there are.
        probability: Of each sample to be pasted on.

    Returns:
        images: `(B, C, *S)`.
        targets: `(B, num_classes)` float32 that sum to 1, as `torch.nn.functional.cross_entropy`
            takes them.

    Raises:
        ShapeError: If there are not as many labels as images.
        DataError: If the probability is none, or a label is no class.

    Source: Yun et al. 2019, "CutMix", section 3.
    """
    if labels.shape != images.shape[:1]:
        raise ShapeError(
            f"{tuple(labels.shape)} labels for {len(images)} images; expected one each."
        )
    if len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) < num_classes:
        raise DataError(
            f"Labels from {int(labels.min())} to {int(labels.max())}; expected 0 to "
            f"{num_classes - 1}; give num_classes or mend the labels."
        )
    _check(images, None, probability)
    partners, is_chosen = _pair(images, rng, probability)
    is_pasted = _boxes(images, rng, is_chosen)
    share = is_pasted.flatten(1).to(torch.float32).mean(dim=1, keepdim=True)
    targets = F.one_hot(labels, num_classes).to(torch.float32)
    return _paste(images, partners, is_pasted), torch.lerp(targets, targets[partners], share)


def _pair(
    images: Tensor, rng: np.random.Generator, probability: float
) -> tuple[Tensor, NDArray[np.bool_]]:
    """Each sample's partner, never itself, and which samples are pasted on."""
    is_chosen = rng.random(len(images)) < probability
    own = torch.arange(len(images), device=images.device)
    if len(images) < 2:
        return own, np.zeros(len(images), dtype=np.bool_)
    return (own + int(rng.integers(1, len(images)))) % len(images), is_chosen


def _boxes(images: Tensor, rng: np.random.Generator, is_chosen: NDArray[np.bool_]) -> Tensor:
    """`(B, *S)`: a box of the image's shape about a random point, cut off at the border."""
    size = images.shape[2:]
    inside = torch.zeros((len(images), *size), dtype=torch.bool)
    drawn = rng.random((len(images), 1 + len(size)))
    for index in np.flatnonzero(is_chosen):
        share, *centre = drawn[index].tolist()
        side = math.pow(share, 1 / len(size))
        box = tuple(
            slice(max(0, round(length * (middle - side / 2))), round(length * (middle + side / 2)))
            for length, middle in zip(size, centre, strict=True)
        )
        inside[int(index)][box] = True
    return inside.to(images.device)


def _paste(images: Tensor, partners: Tensor, is_pasted: Tensor) -> Tensor:
    return torch.where(is_pasted[:, None], images[partners], images)


def _paste_masks(masks: Tensor, partners: Tensor, is_pasted: Tensor) -> Tensor:
    return torch.where(is_pasted, masks[partners], masks)


def _check(images: Tensor, masks: Tensor | None, probability: float) -> None:
    if not 0 <= probability <= 1:
        raise DataError(f"A probability of {probability}; expected 0 to 1; mend the recipe.")
    if masks is not None and masks.shape != (images.shape[0], *images.shape[2:]):
        raise ShapeError(
            f"Masks {tuple(masks.shape)} for images {tuple(images.shape)}; expected one mask of "
            "the same size per image."
        )
