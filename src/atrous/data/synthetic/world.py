"""An endless biopsy: all that its pixels depend on, but for their place."""

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from atrous.data.synthetic.noise import make_key, uniform
from atrous.data.synthetic.section import Section
from atrous.data.synthetic.sites import Cells

_ZONE_PITCH: Final = 1024
"""Pixels between the middles of zones, about."""
_SHARE_WORST: Final = 0.4
"""Of the zones of a mixed world that have its diagnosis; the others have any milder one."""


class Diagnosis(IntEnum):
    """Of a gland, a patch or a slide, from the mildest to the worst."""

    BENIGN = 0
    ATYPIA = 1
    DCIS = 2
    INVASIVE = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class TissueWorld:
    """What is drawn when a region is."""

    seed: int
    diagnosis: Diagnosis
    """The worst that occurs in it."""
    is_mixed: bool = False
    """Whether it is divided into zones of different diagnoses, as slides are."""
    sections: tuple[Section, ...] = ()
    """Pieces of tissue with bare glass around them; without any, all is tissue."""


def find_zones(world: TissueWorld, cells: Cells) -> NDArray[np.uint8]:
    """Diagnosis of the zone that each cell lies in: that of the nearest of scattered points."""
    shape = cells.shape
    if not world.is_mixed or world.diagnosis == Diagnosis.BENIGN:
        return np.full(shape, world.diagnosis, np.uint8)
    y = np.broadcast_to((cells.rows[:, None] * cells.pitch) / _ZONE_PITCH, shape)
    x = np.broadcast_to((cells.columns * cells.pitch) / _ZONE_PITCH, shape)
    best = np.full(shape, np.inf)
    zones = np.zeros(shape, np.uint8)
    for row in (-1, 0, 1):
        for column in (-1, 0, 1):
            down = np.floor(y).astype(np.int64) + row
            right = np.floor(x).astype(np.int64) + column
            values = {
                name: uniform(down, right, key=make_key(world.seed, f"zone {name}"))
                for name in ("y", "x", "worst", "milder")
            }
            distance = (down + values["y"] - y) ** 2 + (right + values["x"] - x) ** 2
            milder = (values["milder"] * np.float32(world.diagnosis)).astype(np.uint8)
            zone = np.where(values["worst"] < _SHARE_WORST, world.diagnosis, milder)
            zones = np.where(distance < best, zone, zones).astype(np.uint8)
            best = np.minimum(best, distance)
    return zones
