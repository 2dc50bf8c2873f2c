"""The numbers that each key of a recipe may be: one table, which checks and describes them."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final


@dataclass(frozen=True, slots=True)
class Range:
    """Finite numbers from `low` to `high`.

    Attributes:
        low: The least.
        high: The greatest; infinite for no bound.
        has_low: Whether `low` itself is in.
        has_high: Whether `high` itself is in.

    Example:
        >>> print(Range(0, 1, has_low=False)), 0 in Range(0, 1, has_low=False)
        above 0, at most 1
        (None, False)
    """

    low: float
    high: float = math.inf
    has_low: bool = True
    has_high: bool = True

    def __contains__(self, value: float) -> bool:
        is_above = value >= self.low if self.has_low else value > self.low
        is_below = value <= self.high if self.has_high else value < self.high
        return is_above and is_below and math.isfinite(value)

    def __str__(self) -> str:
        low = f"{'at least' if self.has_low else 'above'} {self.low:g}"
        if self.high == math.inf:
            return low
        return f"{low}, {'at most' if self.has_high else 'below'} {self.high:g}"


_COUNT: Final = Range(1)
_AMOUNT: Final = Range(0)
_POSITIVE: Final = Range(0, has_low=False)
_SHARE: Final = Range(0, 1)

RANGES: Final[Mapping[str, Range]] = MappingProxyType(
    {
        "num_classes": Range(1, 255),
        "mpp": _POSITIVE,
        "patches_per_epoch": _COUNT,
        "limit": _COUNT,
        "predict_shorter_side": _COUNT,
        "value_range": _POSITIVE,
        "final_scale": _POSITIVE,
        "spacing": _POSITIVE,
        "scale": _POSITIVE,
        "aspect": _COUNT,
        "flip": _SHARE,
        "vertical_flip": _SHARE,
        "rotation": Range(0, 180),
        "brightness": _SHARE,
        "contrast": _SHARE,
        "saturation": _SHARE,
        "hue": Range(0, 0.5),
        "grey": _SHARE,
        "stain": _SHARE,
        "stain_shift": _SHARE,
        "blur": _SHARE,
        "noise": _AMOUNT,
        "views_per_volume": _COUNT,
        "foreground": _SHARE,
        "elastic": _AMOUNT,
        "warp_probability": _SHARE,
        "flip_axes": Range(0, 2),
        "gamma": _AMOUNT,
        "bias_field": _AMOUNT,
        "modality_dropout": _SHARE,
        "mix_probability": _SHARE,
        "losses": _POSITIVE,
        "label_smoothing": Range(0, 1, has_high=False),
        "auxiliary_weight": _AMOUNT,
        "auxiliary_decay": Range(0, 1, has_low=False),
        "diagnosis_weight": _AMOUNT,
        "epochs": _COUNT,
        "batch_size": _COUNT,
        "accumulate": _COUNT,
        "learning_rate": _POSITIVE,
        "learning_rate_factors": _AMOUNT,
        "weight_decay": _AMOUNT,
        "momentum": Range(0, 1, has_high=False),
        "warmup_epochs": _AMOUNT,
        "clip": _POSITIVE,
        "ema": Range(0, 1, has_low=False, has_high=False),
        "seed": _AMOUNT,
        "num_threads": _COUNT,
        "evaluate_every": _COUNT,
        "patience": _COUNT,
        "samples_every": _AMOUNT,
        "num_workers": _AMOUNT,
        "checkpoint_minutes": _AMOUNT,
    }
)
"""By key; of lists and tables for each of their numbers."""


def out_of_range(recipe: object) -> dict[str, bool]:
    """Problems in words, by whether a recipe has them: its numbers that are out of range."""
    found = {}
    for key, allowed in RANGES.items():
        for where, value in _numbers(key, getattr(recipe, key)):
            found[f"{where} = {value}, expected {allowed}"] = value not in allowed
    return found


def _numbers(key: str, value: object) -> list[tuple[str, float]]:
    """All numbers that a key holds, each with what to call it."""
    if isinstance(value, Mapping):
        return [(f"{key}.{name}", number) for name, number in value.items()]
    if isinstance(value, tuple):
        return [(key, number) for number in value]
    return [(key, value)] if isinstance(value, int | float) else []
