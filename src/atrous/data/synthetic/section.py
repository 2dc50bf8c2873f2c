"""Pieces of tissue on a slide: where they end and bare glass begins."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from atrous.data.synthetic.noise import Region, make_key, smooth_noise

_WAVES: Final = 18
"""Deviation of a section's border from its form, pixels."""
_FARTHEST: Final = 70
"""Greatest of these deviations."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One piece: a rectangle with round corners and a wavy border; pixels."""

    centre: tuple[float, float]
    """Row and column."""
    half: tuple[float, float]
    """Half the height and half the width."""


def touches(sections: Sequence[Section], region: Region) -> bool:
    """Whether a region may hold a part of a section; false only if it surely holds none."""
    middle = (region.top + region.height / 2, region.left + region.width / 2)
    half = (region.height / 2, region.width / 2)
    return any(
        all(
            abs(middle[axis] - section.centre[axis]) <= half[axis] + section.half[axis] + _FARTHEST
            for axis in range(2)
        )
        for section in sections
    )


def is_inside(sections: Sequence[Section], region: Region, *, seed: int) -> NDArray[np.bool_]:
    """Which pixels of a region lie in a section: `(height, width)`."""
    inside = np.zeros((region.height, region.width), np.bool_)
    if not touches(sections, region):
        return inside
    y, x = (
        positions + np.clip(_WAVES * waves, -_FARTHEST, _FARTHEST).astype(np.float64)
        for positions, waves in (
            (region.rows[:, None], smooth_noise(region, pitch=90, key=make_key(seed, "border y"))),
            (region.columns, smooth_noise(region, pitch=90, key=make_key(seed, "border x"))),
        )
    )
    for section in sections:
        down = (y - section.centre[0]) / section.half[0]
        right = (x - section.centre[1]) / section.half[1]
        down *= down
        right *= right
        inside |= down * down + right * right < 1
    return inside
