"""Truths that lie beside their picture: whether labels fit a prediction better when they are moved.

A network learns where things are from all cases together, so a truth that fits its prediction much
better one voxel further on was most likely stored or resampled one voxel off. No score is made
better by it: it says which cases to look at.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import nan
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from atrous.errors import ShapeError
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
    truth: Tensor, prediction: Tensor, *, regions: Mapping[str, Sequence[int]], reach: int = 1
) -> Displacement:
    """Move a truth by whole voxels to where it fits its prediction best.

    Of equally good places the nearest counts. What is moved out of the scan counts as missed.
    Unlabelled voxels (255) belong to no region of the truth.

    Args:
        truth: `(D, H, W)` class indices and 255, of any integer type.
        prediction: `(D, H, W)` class indices.
        regions: Classes that are taken together, by name, as for `score_case`.
        reach: Voxels along each axis, either way, that are tried.

    Raises:
        ShapeError: If the sizes differ, or the reach is negative.

    Example:
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
    labelled = truth != UNLABELLED
    pairs = [
        (
            _inside(truth, classes) & labelled.numpy(),
            _inside(prediction, classes),
        )
        for classes in regions.values()
    ]
    pairs = [(one, other) for one, other in pairs if one.any() or other.any()]
    if not pairs:
        return Displacement(voxels=(0, 0, 0), dice=nan, moved_dice=nan)
    lengths = range(-reach, reach + 1)
    steps: list[Step] = sorted(
        product(lengths, lengths, lengths),
        key=lambda step: sum(length**2 for length in step),
    )
    scores = {step: float(np.mean([_dice(*pair, step) for pair in pairs])) for step in steps}
    best = max(scores, key=scores.__getitem__)  # the first, so the nearest, of equals
    return Displacement(voxels=best, dice=scores[0, 0, 0], moved_dice=scores[best])


def _inside(labels: Tensor, classes: Sequence[int]) -> NDArray[np.bool_]:
    wanted = torch.tensor(list(classes), dtype=labels.dtype)
    return torch.isin(labels, wanted).numpy()


def _dice(truth: NDArray[np.bool_], prediction: NDArray[np.bool_], step: Step) -> float:
    shared = np.count_nonzero(
        truth[_window(truth.shape, step, is_moved=False)]
        & prediction[_window(truth.shape, step, is_moved=True)]
    )
    return 2 * shared / (np.count_nonzero(truth) + np.count_nonzero(prediction))


def _window(size: Size, step: Step, *, is_moved: bool) -> tuple[slice, ...]:
    """What of the scan is still in it after the step, or before it."""
    signs = 1 if is_moved else -1
    return tuple(
        slice(max(0, signs * along), length + min(0, signs * along))
        for length, along in zip(size, step, strict=True)
    )
