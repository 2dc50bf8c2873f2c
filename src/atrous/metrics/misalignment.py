"""Truths that lie beside their picture: whether labels fit a prediction better when they are moved.

A network learns where things are from all cases together, so a truth that fits its prediction much
better one voxel further on was most likely stored or resampled one voxel off. No score is made
better by it: it says which cases to look at.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import nan
from statistics import fmean
from typing import TypeAlias

from torch import Tensor

from atrous.errors import ShapeError
from atrous.metrics.volumes import in_region
from atrous.types import UNLABELLED, Size

Step: TypeAlias = tuple[int, int, int]
"""Voxels along D, H, W."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Displacement:
    """Where a truth fits best, and the mean Dice of the regions there and where it lies.

    Example:
        >>> found = Displacement(voxels=(-1, 0, 1), dice=0.83, moved_dice=0.92)
        >>> round(found.gain, 2)
        0.09
    """

    voxels: Step
    """By which the truth was moved along D, H, W; zeros if it fits best where it lies."""
    dice: float
    """0 to 1, over the regions that truth or prediction holds; not-a-number where neither holds
    any. So the next."""
    moved_dice: float

    @property
    def gain(self) -> float:
        """By how much the Dice is higher there, 0 to 1."""
        return self.moved_dice - self.dice


def find_displacement(
    truth: Tensor,
    prediction: Tensor,
    *,
    regions: Mapping[str, Sequence[int]],
    truth_regions: Mapping[str, Sequence[int]] | None = None,
    reach: int = 1,
) -> Displacement:
    """Move a truth by whole voxels to where it fits its prediction best.

    Of equally good places the nearest counts. What is moved out of the scan counts as missed.
    Unlabelled voxels (255) are moved with the truth, and belong to no region, as in `score_case`.

    Args:
        truth: `(D, H, W)` class indices and 255, of any integer type.
        prediction: `(D, H, W)` class indices.
        regions: Classes that are taken together, by name, as for `score_case`.
        truth_regions: As for `score_case`.
        reach: Voxels along each axis, either way, that are tried.

    Raises:
        ShapeError: If the sizes differ, or the reach is negative.

    Example:
        >>> import torch
        >>> truth = torch.zeros(6, 6, 6, dtype=torch.uint8)
        >>> truth[1:4, 1:4, 1:4] = 1
        >>> find_displacement(truth, truth.roll((1, -1), (0, 2)), regions={"lesion": (1,)}).voxels
        (1, 0, -1)
    """
    if truth.shape != prediction.shape or truth.ndim != 3 or reach < 0:
        raise ShapeError(
            f"The truth is {tuple(truth.shape)}, the prediction {tuple(prediction.shape)} and the "
            f"reach {reach}; expected one (D, H, W) and 0 or more."
        )
    unlabelled = truth == UNLABELLED
    pairs = [
        (
            in_region(truth, (truth_regions or regions)[name]) & ~unlabelled,
            in_region(prediction, classes),
        )
        for name, classes in regions.items()
    ]
    pairs = [(one, other) for one, other in pairs if one.any() or (other & ~unlabelled).any()]
    if not pairs:
        return Displacement(voxels=(0, 0, 0), dice=nan, moved_dice=nan)
    lengths = range(-reach, reach + 1)
    steps: list[Step] = sorted(
        product(lengths, lengths, lengths),
        key=lambda step: sum(length**2 for length in step),
    )
    scores = {step: fmean(_dice(*pair, unlabelled, step) for pair in pairs) for step in steps}
    best = max(scores, key=scores.__getitem__)  # the first, so the nearest, of equals
    return Displacement(voxels=best, dice=scores[0, 0, 0], moved_dice=scores[best])


def _dice(truth: Tensor, prediction: Tensor, unlabelled: Tensor, step: Step) -> float:
    stays, lands = (_window(tuple(truth.shape), step, is_moved=moved) for moved in (False, True))
    shared = int((truth[stays] & prediction[lands]).sum())
    left_out = int((unlabelled[stays] & prediction[lands]).sum())
    total = int(truth.sum()) + int(prediction.sum()) - left_out
    return 2 * shared / total if total else 0.0


def _window(size: Size, step: Step, *, is_moved: bool) -> tuple[slice, ...]:
    """What of the scan is still in it after the step, or before it."""
    signs = 1 if is_moved else -1
    return tuple(
        slice(max(0, signs * along), length + min(0, signs * along))
        for length, along in zip(size, step, strict=True)
    )
