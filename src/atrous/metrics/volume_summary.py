"""Scores of many volumes in one: mean, median, and how far the mean could have come out."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np

from atrous.errors import ShapeError
from atrous.metrics.volumes import RegionScore

MEASURES: Final[Mapping[str, Callable[[RegionScore], float]]] = MappingProxyType(
    {
        "dice": lambda score: score.dice,
        "iou": lambda score: score.iou,
        "surface_dice": lambda score: score.surface_dice,
        "hd95": lambda score: score.hd95,
        "volume_difference_ml": lambda score: score.volume_difference_ml,
    }
)
"""What is averaged over cases."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """One measure of one region over the cases; not-a-number if none counts."""

    mean: float
    median: float
    interval: tuple[float, float] | None
    """Of the mean, by the bootstrap over cases; None of fewer than two."""
    num_cases: int
    """Those that the protocol counts."""


def summarise(
    cases: Sequence[Mapping[str, RegionScore]],
    *,
    num_resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> dict[str, dict[str, Summary]]:
    """Every measure of every region over all cases: `summary[region][measure]`.

    The interval says how much the choice of cases matters, not how much the training seed does.

    Args:
        cases: `score_case` of each, with the same regions.
        num_resamples: How often the cases are drawn anew, with replacement.
        level: Share of the resampled means inside the interval, between 0 and 1.
        seed: The same seed gives the same interval.

    Raises:
        ShapeError: If there is no case, or `level` or `num_resamples` is out of range.

    Source: Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, the percentile interval.
    """
    if not cases:
        raise ShapeError("No case to summarise; expected at least one; score some.")
    if not 0 < level < 1 or num_resamples < 1:
        raise ShapeError(
            f"level={level} and num_resamples={num_resamples}; expected a level between 0 and 1 "
            "and at least one resample; correct them."
        )
    return {
        region: {
            measure: _summary(
                np.array([take(case[region]) for case in cases]),
                num_resamples=num_resamples,
                level=level,
                seed=seed,
            )
            for measure, take in MEASURES.items()
        }
        for region in cases[0]
    }


def _summary(
    values: "np.ndarray[tuple[int], np.dtype[np.float64]]",
    *,
    num_resamples: int,
    level: float,
    seed: int,
) -> Summary:
    counted = values[np.isfinite(values)]
    if not len(counted):
        return Summary(mean=float("nan"), median=float("nan"), interval=None, num_cases=0)
    interval = None
    if len(counted) > 1:
        rng = np.random.default_rng(seed)
        drawn = counted[rng.integers(len(counted), size=(num_resamples, len(counted)))]
        tail = (1 - level) / 2
        low, high = np.quantile(drawn.mean(axis=1), (tail, 1 - tail))
        interval = (float(low), float(high))
    return Summary(
        mean=float(counted.mean()),
        median=float(np.median(counted)),
        interval=interval,
        num_cases=len(counted),
    )
