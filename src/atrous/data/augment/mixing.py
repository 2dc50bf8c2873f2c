"""Mix the samples of a batch: pieces of one pasted on another, with what is known of them.

Every function leaves its inputs alone, takes `(B, C, *S)` images of any type (8 bits are quickest),
and draws from the generator it is handed. A sample's partner is another sample of the batch, so a
batch of one stays what it is.
"""

import math
from collections.abc import Iterator

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
    """A box of another sample on each, image and mask alike.

    The box has the image's shape, an area drawn uniformly and a middle anywhere, and is cut off at
    the border.

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
    mixed, mixed_masks = images.clone(), masks.clone()
    for index, box in _boxes(images, rng, is_chosen):
        mixed[index][:, *box] = images[partners[index]][:, *box]
        mixed_masks[index][box] = masks[partners[index]][box]
    return mixed, mixed_masks


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
    mixed, mixed_masks = images.clone(), masks.clone()
    for index in np.flatnonzero(is_chosen).tolist():
        partner = partners[index]
        is_pasted = _half_of_the_classes(masks[partner], rng)
        mixed[index] = torch.where(is_pasted, images[partner], images[index])
        mixed_masks[index] = torch.where(is_pasted, masks[partner], masks[index])
    return mixed, mixed_masks


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
    mixed = images.clone()
    targets = F.one_hot(labels, num_classes).to(torch.float32)
    one_hot = targets.clone()
    for index, box in _boxes(images, rng, is_chosen):
        pasted = images[partners[index]][:, *box]
        mixed[index][:, *box] = pasted
        share = pasted[0].numel() / images[index, 0].numel()
        targets[index] = torch.lerp(one_hot[index], one_hot[partners[index]], share)
    return mixed, targets


def _pair(
    images: Tensor, rng: np.random.Generator, probability: float
) -> tuple[list[int], NDArray[np.bool_]]:
    """Each sample's partner, never itself, and which samples are pasted on."""
    num_samples = len(images)
    is_chosen = rng.random(num_samples) < probability
    if num_samples < 2:
        return [], np.zeros(num_samples, dtype=np.bool_)
    shift = int(rng.integers(1, num_samples))
    return [(index + shift) % num_samples for index in range(num_samples)], is_chosen


def _boxes(
    images: Tensor, rng: np.random.Generator, is_chosen: NDArray[np.bool_]
) -> Iterator[tuple[int, tuple[slice, ...]]]:
    """For each chosen sample a box of the image's shape about a random point, cut at the border."""
    size = images.shape[2:]
    drawn = rng.random((len(images), 1 + len(size)))
    for index in np.flatnonzero(is_chosen).tolist():
        share, *middles = drawn[index].tolist()
        half = math.pow(share, 1 / len(size)) / 2
        yield (
            index,
            tuple(
                slice(max(0, round(length * (middle - half))), round(length * (middle + half)))
                for length, middle in zip(size, middles, strict=True)
            ),
        )


def _half_of_the_classes(mask: Tensor, rng: np.random.Generator) -> Tensor:
    """Where the mask `(*S)` holds one of half of its classes, chosen at random."""
    counts = mask.flatten().bincount(minlength=UNLABELLED + 1)  # `unique` would sort all pixels
    counts[UNLABELLED] = 0
    classes = counts.nonzero()[:, 0]
    order = torch.from_numpy(rng.permutation(len(classes))).to(classes.device)
    is_chosen = torch.zeros_like(counts, dtype=torch.bool)
    is_chosen[classes[order[: len(classes) // 2]]] = True
    return is_chosen[mask.to(torch.int64)]


def _check(images: Tensor, masks: Tensor | None, probability: float) -> None:
    if not 0 <= probability <= 1:
        raise DataError(f"A probability of {probability}; expected 0 to 1; mend the recipe.")
    if masks is not None and masks.shape != (images.shape[0], *images.shape[2:]):
        raise ShapeError(
            f"Masks {tuple(masks.shape)} for images {tuple(images.shape)}; expected one mask of "
            "the same size per image."
        )
