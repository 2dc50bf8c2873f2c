"""Soft Dice of regions: classes that are measured together, and may overlap."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from atrous.errors import ShapeError, UnknownNameError
from atrous.training.losses.dice import EPSILON
from atrous.training.losses.pixels import exact_logits
from atrous.types import UNLABELLED


def region_members(
    regions: Mapping[str, Sequence[str]], class_names: Sequence[str]
) -> tuple[tuple[int, ...], ...]:
    """Indices of the classes of every region, in the regions' order.

    Raises:
        UnknownNameError: If a region names a class that there is not.
        ShapeError: If a region has no class.

    Example:
        >>> region_members({"whole": ("core", "edema"), "core": ("core",)}, ("no", "core", "edema"))
        ((1, 2), (1,))
    """
    index_of = {name: index for index, name in enumerate(class_names)}
    for name, classes in regions.items():
        if not classes:
            raise ShapeError(f"Region {name!r} has no class; expected at least one; name some.")
        for known in classes:
            if known not in index_of:
                raise UnknownNameError(f"class of region {name!r}", known, class_names)
    return tuple(tuple(index_of[known] for known in classes) for classes in regions.values())


def region_dice_loss(
    logits: Tensor, target: Tensor, *, members: Sequence[Sequence[int]], epsilon: float = EPSILON
) -> Tensor:
    """1 minus the mean soft Dice of the regions present, all voxels of the batch taken together.

    A region's probability is the sum of its classes': one that holds another is never less likely,
    which overlapping sigmoid outputs do not give. Regions that no voxel of the batch has are left
    out of the mean. 0 with gradient 0 where nothing is labelled.

    Args:
        logits: `(B, C, *S)`.
        target: `(B, *S)` int64 class indices; 255 where unlabelled.
        members: Classes of every region, see `region_members`.
        epsilon: In voxels.

    Raises:
        ShapeError: If the shapes or types do not fit.
    """
    logits = exact_logits(logits, target)
    is_labelled = target != UNLABELLED
    probabilities = logits.softmax(1) * is_labelled.unsqueeze(1)
    losses, present = [], []
    for classes in members:
        probability = probabilities[:, list(classes)].sum(1)
        truth = torch.isin(target, target.new_tensor(list(classes)))
        area = truth.sum()
        overlap = (probability * truth).sum(dtype=torch.float64)
        total = probability.sum(dtype=torch.float64) + area
        losses.append(1 - (2 * overlap + epsilon) / (total + epsilon))
        present.append(area > 0)
    is_present = torch.stack(present)
    mean = (torch.stack(losses) * is_present).sum() / is_present.sum().clamp(min=1)
    return mean.to(logits)
