"""Where each tissue lies in a made biopsy: ducts and nests, the stroma around them, vessels, fat.

One pixel is about one micrometre (10x magnification). What grows where follows textbooks roughly:

    benign      ducts of two layers of benign epithelium around secretion, in normal stroma
    atypia      in most ducts, one side is malignant epithelium; the stroma stays normal
    DCIS        most ducts are widened and filled with malignant epithelium, many with necrosis in
                the middle, each in a rim of desmoplastic stroma; normal stroma beyond
    invasive    no ducts: irregular nests of malignant epithelium throughout desmoplastic stroma
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from atrous.data.synthetic.noise import FloatArray, Region, make_key, smooth_noise
from atrous.data.synthetic.section import is_inside
from atrous.data.synthetic.sites import MAX_WARP, Cells, Ellipses, Nearest, find_nearest
from atrous.data.synthetic.world import Diagnosis, TissueWorld, find_zones

Mask = NDArray[np.uint8]
Warp = tuple[FloatArray, FloatArray]


class Tissue(IntEnum):
    """Class indices of the mask, as those of the breast-biopsy data set."""

    BACKGROUND = 0
    BENIGN_EPITHELIUM = 1
    MALIGNANT_EPITHELIUM = 2
    NORMAL_STROMA = 3
    DESMOPLASTIC_STROMA = 4
    SECRETION = 5
    BLOOD = 6
    NECROSIS = 7


@dataclass(frozen=True, slots=True)
class Anatomy:
    """What a region consists of, `(H, W)` each."""

    mask: Mask
    """Tissue of every pixel."""
    gland: FloatArray
    """Distance from the edge of the nearest duct or nest in pixels, negative inside, at most 40."""
    membrane: NDArray[np.bool_]
    """Thin pink lines: basement membranes, vessel walls, borders of fat cells."""


_GLANDS: Final = Ellipses(
    name="gland", pitch=112, radius=(30, 44), elongation=(1, 1.5), jitter=0.5, reach=40
)
_NESTS: Final = Ellipses(
    name="nest", pitch=58, radius=(13, 30), elongation=(1, 2.4), jitter=0.8, reach=40
)
_VESSELS: Final = Ellipses(
    name="vessel", pitch=128, radius=(8, 30), elongation=(1, 2.2), jitter=0.6, reach=3
)
_FAT_CELLS: Final = Ellipses(
    name="fat cell", pitch=46, radius=(10, 14), elongation=(1, 1.2), jitter=0.6, reach=44
)
_RIM: Final = 10
"""Desmoplastic stroma around a duct with DCIS, pixels."""
_REACH_OF_NESTS: Final = 30
"""Desmoplastic stroma around an invasive nest, pixels."""
_SHARE_INVOLVED: Final = (1.0, 0.75, 0.85, 1.0)
"""Of the glands in a zone, by its diagnosis; the others are benign."""


def draw_anatomy(world: TissueWorld, region: Region) -> Anatomy:
    """Lay out the tissues of a region; any part of it drawn alone comes out the same."""
    seed = world.seed
    shape = (region.height, region.width)
    ragged = smooth_noise(region, pitch=11, key=make_key(seed, "ragged"))
    warp = (_warp(region, make_key(seed, "warp y")), _warp(region, make_key(seed, "warp x")))
    mask = np.full(shape, Tissue.NORMAL_STROMA, np.uint8)
    membrane = np.zeros(shape, np.bool_)

    glands, gland_cells, grades = _find_glands(world, region, warp)
    nests, nest_cells = _find_nests(world, region, warp)
    edge = np.minimum(glands.distance, nests.distance)

    _fill_fat(mask, membrane, seed, region, warp, edge)
    mask[(glands.take(grades) == Diagnosis.DCIS) & (glands.distance < _RIM)] = (
        Tissue.DESMOPLASTIC_STROMA
    )
    mask[nests.distance < _REACH_OF_NESTS] = Tissue.DESMOPLASTIC_STROMA
    membrane &= mask == Tissue.BACKGROUND
    _fill_vessels(mask, membrane, seed, region, warp, edge)
    _fill_glands(mask, membrane, glands, gland_cells, grades, ragged)
    _fill_nests(mask, nests, nest_cells, ragged)
    if world.sections:
        is_glass = ~is_inside(world.sections, region, seed=seed)
        mask[is_glass] = Tissue.BACKGROUND
        membrane[is_glass] = False
    return Anatomy(mask=mask, gland=edge, membrane=membrane)


def _find_glands(
    world: TissueWorld, region: Region, warp: Warp
) -> tuple[Nearest, Cells, NDArray[np.uint8]]:
    cells = _GLANDS.cells(region, seed=world.seed)
    zones = find_zones(world, cells)
    share = np.take(np.array(_SHARE_INVOLVED, np.float32), zones)
    grades = np.where(cells.draw("involved") < share, zones, Diagnosis.BENIGN).astype(np.uint8)
    is_there = (zones != Diagnosis.INVASIVE) & (cells.draw("gland") < 0.9)
    return find_nearest(_GLANDS, region, cells, is_there, warp=warp), cells, grades


def _find_nests(world: TissueWorld, region: Region, warp: Warp) -> tuple[Nearest, Cells]:
    cells = _NESTS.cells(region, seed=world.seed)
    is_there = (find_zones(world, cells) == Diagnosis.INVASIVE) & (cells.draw("nest") < 0.85)
    return find_nearest(_NESTS, region, cells, is_there, warp=warp), cells


def _warp(region: Region, key: int) -> FloatArray:
    """Shifts that make round things irregular."""
    slow = 6 * smooth_noise(region, pitch=36, key=key)
    shift = slow + 1.2 * smooth_noise(region, pitch=11, key=key + 1)
    return np.clip(shift, -MAX_WARP, MAX_WARP)


def _fill_fat(
    mask: Mask,
    membrane: NDArray[np.bool_],
    seed: int,
    region: Region,
    warp: Warp,
    edge: FloatArray,
) -> None:
    """Lobules of fat cells away from ducts: white, so background, with thin walls between."""
    lobules = smooth_noise(region, pitch=90, key=make_key(seed, "fat"))
    is_fat = (lobules > 0.75) & (edge > 16)
    if not is_fat.any():
        return
    cells = _FAT_CELLS.cells(region, seed=seed)
    half = (warp[0] * 0.5, warp[1] * 0.5)
    nearest = find_nearest(_FAT_CELLS, region, cells, np.ones(cells.shape, np.bool_), warp=half)
    mask[is_fat] = Tissue.BACKGROUND
    membrane |= is_fat & (nearest.second - nearest.distance < 2.0)
    membrane |= is_fat & ((lobules < 0.79) | (edge < 17.5))


def _fill_vessels(
    mask: Mask,
    membrane: NDArray[np.bool_],
    seed: int,
    region: Region,
    warp: Warp,
    edge: FloatArray,
) -> None:
    """Vessels full of blood, a few of them wide pools, in what lies between ducts."""
    cells = _VESSELS.cells(region, seed=seed)
    nearest = find_nearest(_VESSELS, region, cells, cells.draw("vessel") < 0.7, warp=warp)
    is_free = edge > 6
    is_blood = (nearest.distance < 0) & is_free
    mask[is_blood] = Tissue.BLOOD
    membrane[is_blood] = False
    membrane |= (np.abs(nearest.distance - 1) < 1.5) & is_free


def _fill_glands(
    mask: Mask,
    membrane: NDArray[np.bool_],
    glands: Nearest,
    cells: Cells,
    grades: NDArray[np.uint8],
    ragged: FloatArray,
) -> None:
    is_inside = glands.distance < 0
    grade = glands.take(grades)
    depth = -glands.distance + 2 * ragged
    wall = glands.take(cells.draw("wall", 9, 14))
    content = glands.take(cells.draw("content"))

    turn = cells.draw("side", -1, 1)
    side = glands.y * glands.take(turn) + glands.x * (1 - np.abs(glands.take(turn)))
    is_atypical = (grade == Diagnosis.ATYPIA) & (
        side * glands.take(np.where(cells.draw("which side") < 0.5, -1, 1).astype(np.float32)) > -4
    )
    is_filled = grade == Diagnosis.DCIS
    wall = np.where(is_atypical, wall * 1.5, wall)
    wall = np.where(is_filled, wall * 1.35, wall)
    is_lumen = is_inside & (depth > wall)

    mask[is_inside] = Tissue.BENIGN_EPITHELIUM
    mask[is_inside & (is_atypical | is_filled)] = Tissue.MALIGNANT_EPITHELIUM
    mask[is_lumen] = np.where(
        is_filled & (content < 0.7),
        Tissue.NECROSIS,
        np.where(content < 0.2, Tissue.BACKGROUND, Tissue.SECRETION),
    )[is_lumen]
    membrane[is_inside] = False
    membrane |= (np.abs(glands.distance) < 1.1) & ~is_filled


def _fill_nests(mask: Mask, nests: Nearest, cells: Cells, ragged: FloatArray) -> None:
    is_inside = nests.distance < 0
    depth = -nests.distance + 1.5 * ragged
    content = nests.take(cells.draw("nest content"))
    mask[is_inside] = Tissue.MALIGNANT_EPITHELIUM
    mask[is_inside & (depth > 9) & (content < 0.35)] = Tissue.SECRETION
    mask[is_inside & (depth > 10) & (content > 0.75)] = Tissue.NECROSIS
