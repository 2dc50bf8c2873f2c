"""Scores of segmented volumes, case by case, with what empty classes count for by protocol.

Whether a tumour that is neither there nor found counts as a success, a failure or not at all moves
means by percents, so every score is printed with its protocol.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np
import torch
from torch import Tensor

from atrous.errors import ShapeError, UnknownNameError
from atrous.metrics.surface import hausdorff, surface_dice, surface_distances
from atrous.types import UNLABELLED

DEFAULT_TOLERANCE: Final = 1.0
"""Of surface Dice, mm."""

_MM3_PER_ML: Final = 1000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class EmptyRegionPolicy:
    """What is scored where a class is missing in truth, in prediction, or in both."""

    description: str
    """One line, to be printed beside the numbers."""
    dice_if_both_empty: float
    """Dice, IoU and surface Dice where both lack it; not-a-number leaves the case out."""
    distance_if_both_empty: float
    """HD95 where both lack it, mm."""
    distance_if_one_empty: float
    """HD95 where one lacks it, mm; Dice, IoU and surface Dice are 0 then."""


VOLUME_PROTOCOLS: Final[Mapping[str, EmptyRegionPolicy]] = MappingProxyType(
    {
        "absent_left_out": EmptyRegionPolicy(
            description=(
                "means over the cases where truth or prediction holds the class; HD95 over those "
                "where both do"
            ),
            dice_if_both_empty=float("nan"),
            distance_if_both_empty=float("nan"),
            distance_if_one_empty=float("nan"),
        ),
        "brats": EmptyRegionPolicy(
            description=(
                "means over all cases; neither truth nor prediction holds it: Dice 1, HD95 0; one "
                "of them: Dice 0, HD95 373.13 mm"
            ),
            dice_if_both_empty=1.0,
            distance_if_both_empty=0.0,
            distance_if_one_empty=373.13,
        ),
    }
)
"""`brats` is the challenge's rule, whose distance is the diagonal of its 240 x 240 x 155 mm;
`absent_left_out` gives Dice as nnU-Net prints it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionScore:
    """One class or region of one case; not-a-number where the protocol leaves it out."""

    dice: float
    """0 to 1, and so the next two."""
    iou: float
    surface_dice: float
    hd95: float
    """mm."""
    truth_ml: float
    """Volume of the truth, millilitres."""
    prediction_ml: float

    @property
    def volume_difference_ml(self) -> float:
        """By how much the prediction is larger, millilitres."""
        return self.prediction_ml - self.truth_ml


def score_case(
    truth: Tensor,
    prediction: Tensor,
    *,
    regions: Mapping[str, Sequence[int]],
    spacing: tuple[float, float, float],
    truth_regions: Mapping[str, Sequence[int]] | None = None,
    protocol: str = "absent_left_out",
    tolerance: float = DEFAULT_TOLERANCE,
) -> dict[str, RegionScore]:
    """Score one volume.

    Voxels whose truth is unlabelled (255) belong to no region, in truth or in prediction.

    Args:
        truth: `(D, H, W)` class indices and 255, of any integer type.
        prediction: `(D, H, W)` class indices.
        regions: Classes that are taken together, by name; `class_regions` for one each.
        spacing: Millimetres from voxel to voxel along D, H, W.
        truth_regions: The same regions where the truth has other classes; None if it has not.
        protocol: A name in `VOLUME_PROTOCOLS`.
        tolerance: Of surface Dice, mm.

    Raises:
        UnknownNameError: If no protocol has that name.
        ShapeError: If the sizes differ, or the tolerance is negative.

    Example:
        >>> truth = torch.zeros(4, 4, 4, dtype=torch.int64)
        >>> truth[:2], shifted = 1, truth.clone()
        >>> shifted[0] = 1
        >>> scores = score_case(
        ...     truth, shifted, regions={"lesion": (1,)}, spacing=(1.0, 1.0, 1.0), protocol="brats"
        ... )
        >>> round(scores["lesion"].dice, 3), scores["lesion"].volume_difference_ml
        (0.667, -0.016)
    """
    rule = volume_protocol(protocol)
    if truth.shape != prediction.shape or truth.ndim != 3:
        raise ShapeError(
            f"The truth is {tuple(truth.shape)} and the prediction {tuple(prediction.shape)}; "
            "expected one (D, H, W); resample the prediction to the scan's own grid."
        )
    if tolerance < 0:
        raise ShapeError(f"A tolerance of {tolerance:g} mm; expected 0 or more.")
    labelled = truth != UNLABELLED
    return {
        name: _score(
            in_region(truth, (truth_regions or regions)[name]) & labelled,
            in_region(prediction, classes) & labelled,
            spacing=spacing,
            rule=rule,
            tolerance=tolerance,
        )
        for name, classes in regions.items()
    }


def class_regions(class_names: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """Every class alone but the first, which is the background.

    Example:
        >>> class_regions(["background", "anterior", "posterior"])
        {'anterior': (1,), 'posterior': (2,)}
    """
    return {name: (index,) for index, name in enumerate(class_names) if index}


def volume_protocol(name: str) -> EmptyRegionPolicy:
    """The rule of a name in `VOLUME_PROTOCOLS`.

    Raises:
        UnknownNameError: If there is none.
    """
    if name not in VOLUME_PROTOCOLS:
        raise UnknownNameError("volume protocol", name, VOLUME_PROTOCOLS)
    return VOLUME_PROTOCOLS[name]


def in_region(labels: Tensor, classes: Sequence[int]) -> Tensor:
    """Where labels are of one of these classes."""
    inside = torch.zeros(labels.shape, dtype=torch.bool)
    for index in classes:
        inside |= labels == index
    return inside


def _score(
    truth: Tensor,
    prediction: Tensor,
    *,
    spacing: tuple[float, float, float],
    rule: EmptyRegionPolicy,
    tolerance: float,
) -> RegionScore:
    num_truth, num_prediction = int(truth.sum()), int(prediction.sum())
    ml = float(np.prod(spacing)) / _MM3_PER_ML
    if not num_truth or not num_prediction:
        has_none = num_truth == num_prediction
        overlap = rule.dice_if_both_empty if has_none else 0.0
        return RegionScore(
            dice=overlap,
            iou=overlap,
            surface_dice=overlap,
            hd95=rule.distance_if_both_empty if has_none else rule.distance_if_one_empty,
            truth_ml=num_truth * ml,
            prediction_ml=num_prediction * ml,
        )
    common = int((truth & prediction).sum())
    distances = surface_distances(truth.numpy(), prediction.numpy(), spacing=spacing)
    return RegionScore(
        dice=2 * common / (num_truth + num_prediction),
        iou=common / (num_truth + num_prediction - common),
        surface_dice=surface_dice(distances, tolerance=tolerance),
        hd95=hausdorff(distances),
        truth_ml=num_truth * ml,
        prediction_ml=num_prediction * ml,
    )
