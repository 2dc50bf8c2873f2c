"""What each tissue looks like under the microscope: nuclei, fibres, grains, as amounts of dye.

No tissue is told by its mean colour alone: benign and malignant epithelium differ in the size, form
and chromatin of their nuclei; normal and desmoplastic stroma in fibres and in their cells.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray

from atrous.data.synthetic.anatomy import Anatomy, Tissue
from atrous.data.synthetic.noise import FloatArray, Region, make_key, smooth_noise, white_noise
from atrous.data.synthetic.sites import Range, Spots, cells_within, direction, nearest_pixel, stamp

MARGIN: Final = 12
"""Pixels beyond a region whose tissue decides about nuclei that reach into it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What lies between the nuclei of one tissue."""

    haematoxylin: float = 0.0
    eosin: float = 0.0
    red_cells: float = 0.0
    fibres: float = 0.0
    """How far fibres change the amount of eosin, as a share of it."""
    fibre_width: float = 8.0
    """Pixels from fibre to fibre, about."""
    clefts: float = 0.0
    """Share of the dye that is missing where fibres part."""
    grain: float = 0.0
    """How far fine grains change both dyes, as a share of them."""
    clouds: float = 0.0
    """The same over some ten pixels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bodies:
    """Nuclei, or red cells, of one kind in one tissue."""

    tissue: Tissue
    pitch: int
    """Pixels between them, about."""
    share: float
    """Of the places that are taken."""
    radius: Range
    """Half the short axis, pixels."""
    elongation: Range
    strength: Range
    """Amount of dye."""
    hollow: float = 0.0
    """How pale the middle is, 0 to 1."""
    is_along_fibres: bool = False
    is_red_cell: bool = False


GROUNDS: Final[Mapping[Tissue, Ground]] = MappingProxyType(
    {
        Tissue.BACKGROUND: Ground(),
        Tissue.BENIGN_EPITHELIUM: Ground(haematoxylin=0.26, eosin=0.55, grain=0.1, clouds=0.12),
        Tissue.MALIGNANT_EPITHELIUM: Ground(haematoxylin=0.36, eosin=0.5, grain=0.16, clouds=0.2),
        Tissue.NORMAL_STROMA: Ground(
            haematoxylin=0.05, eosin=0.85, fibres=0.4, fibre_width=12, clefts=0.9, grain=0.1,
            clouds=0.15,
        ),
        Tissue.DESMOPLASTIC_STROMA: Ground(
            haematoxylin=0.12, eosin=0.42, fibres=0.5, fibre_width=6.5, clefts=0.7, grain=0.12,
            clouds=0.25,
        ),
        Tissue.SECRETION: Ground(haematoxylin=0.05, eosin=0.3, grain=0.06, clouds=0.3),
        Tissue.BLOOD: Ground(eosin=0.12, red_cells=0.12, grain=0.1, clouds=0.2),
        Tissue.NECROSIS: Ground(haematoxylin=0.12, eosin=0.8, grain=0.35, clouds=0.35),
    }
)  # fmt: skip

BODIES: Final = (
    Bodies(
        tissue=Tissue.BENIGN_EPITHELIUM, pitch=7, share=0.95, radius=(2.2, 2.8),
        elongation=(1.0, 1.4), strength=(0.75, 0.95), hollow=0.1,
    ),
    Bodies(
        tissue=Tissue.MALIGNANT_EPITHELIUM, pitch=9, share=0.95, radius=(3.0, 4.8),
        elongation=(1.0, 1.6), strength=(0.6, 1.1), hollow=0.5,
    ),
    Bodies(
        tissue=Tissue.NORMAL_STROMA, pitch=16, share=0.3, radius=(1.0, 1.5),
        elongation=(3.0, 5.0), strength=(0.7, 0.9), is_along_fibres=True,
    ),
    Bodies(
        tissue=Tissue.DESMOPLASTIC_STROMA, pitch=10, share=0.4, radius=(1.5, 2.2),
        elongation=(1.6, 3.0), strength=(0.5, 0.8), hollow=0.3, is_along_fibres=True,
    ),
    Bodies(
        tissue=Tissue.DESMOPLASTIC_STROMA, pitch=9, share=0.12, radius=(1.7, 2.1),
        elongation=(1.0, 1.15), strength=(1.0, 1.2),
    ),
    Bodies(
        tissue=Tissue.NECROSIS, pitch=5, share=0.25, radius=(0.6, 1.5),
        elongation=(1.0, 1.8), strength=(0.6, 1.1),
    ),
    Bodies(
        tissue=Tissue.BLOOD, pitch=6, share=0.97, radius=(2.6, 3.2), elongation=(1.0, 1.2),
        strength=(0.6, 0.85), hollow=0.35, is_red_cell=True,
    ),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Dyes:
    """Amounts of dye, `(H, W)` each."""

    haematoxylin: FloatArray
    eosin: FloatArray
    red_cells: FloatArray


def paint(anatomy: Anatomy, region: Region, *, seed: int) -> Dyes:
    """Dyes of a region grown by MARGIN, whose anatomy is given; the margin itself is not right."""
    fibre_phase = _fibre_phase(anatomy, region, seed)
    dyes = _paint_ground(anatomy, region, fibre_phase, seed)
    nuclei = np.zeros(anatomy.mask.shape, np.float32)
    red_cells = np.zeros(anatomy.mask.shape, np.float32)
    for number, kind in enumerate(BODIES):
        canvas = red_cells if kind.is_red_cell else nuclei
        _stamp_bodies(canvas, kind, anatomy, region, fibre_phase, seed=seed, name=f"body {number}")
    nuclei *= 1 + 0.18 * white_noise(region, key=make_key(seed, "chromatin"))
    cover: FloatArray = np.minimum(nuclei, 1)
    return Dyes(
        haematoxylin=_soften(dyes.haematoxylin * (1 - 0.6 * cover) + nuclei),
        eosin=_soften(dyes.eosin * (1 - 0.45 * cover)),
        red_cells=_soften(dyes.red_cells + red_cells),
    )


def _fibre_phase(anatomy: Anatomy, region: Region, seed: int) -> FloatArray:
    """What fibres are contours of, in pixels: they swirl, and run around ducts that are near."""
    swirl = smooth_noise(region, pitch=60, key=make_key(seed, "swirl"))
    wave = smooth_noise(region, pitch=14, key=make_key(seed, "wave"))
    near = np.clip(anatomy.gland, 0, 40)
    return 34 * swirl + 1.6 * wave + near


def _paint_ground(anatomy: Anatomy, region: Region, fibre_phase: FloatArray, seed: int) -> Dyes:
    def table(name: str) -> FloatArray:
        values = np.array([getattr(GROUNDS[tissue], name) for tissue in Tissue], np.float32)
        return values[anatomy.mask]

    clouds = smooth_noise(region, pitch=9, key=make_key(seed, "clouds"))
    grain = smooth_noise(region, pitch=2, key=make_key(seed, "grain"))
    bundles = smooth_noise(region, pitch=20, key=make_key(seed, "bundles"))
    width = table("fibre_width")
    wave = _triangle(fibre_phase / width)
    finer = _triangle((fibre_phase * 1.7 + 9 * bundles) / width)
    strand = np.clip(0.5 + 0.45 * clouds, 0, 1)
    wave += strand * (finer - wave)
    open_ = np.clip((wave - bundles - 1.1) * 1.2, 0, 1)

    amount = 1 + table("grain") * grain + table("clouds") * clouds
    amount *= 1 - table("clefts") * open_
    amount = np.maximum(amount, 0)
    eosin = table("eosin") * amount * (1 - table("fibres") * wave)
    membrane = anatomy.membrane.astype(np.float32)
    eosin += 0.55 * membrane
    return Dyes(
        haematoxylin=table("haematoxylin") * amount + 0.12 * membrane,
        eosin=eosin,
        red_cells=table("red_cells") * amount,
    )


def _triangle(turns: FloatArray) -> FloatArray:
    """A wave between -1 and 1 with a period of 1."""
    return np.abs((turns - np.floor(turns)) * 4 - 2) - 1


def _stamp_bodies(
    canvas: FloatArray,
    kind: Bodies,
    anatomy: Anatomy,
    region: Region,
    fibre_phase: FloatArray,
    *,
    seed: int,
    name: str,
) -> None:
    """Draw the bodies whose centre lies in their tissue; they may reach over its border."""
    cells = cells_within(region, margin=0, pitch=kind.pitch, seed=seed)
    y, x = cells.scatter(name, region, jitter=1)
    row, column = nearest_pixel(y), nearest_pixel(x)
    height, width = canvas.shape
    is_there = (row >= 1) & (row < height - 1) & (column >= 1) & (column < width - 1)
    is_there &= cells.draw(f"{name} share") < kind.share
    is_there &= (
        anatomy.mask[np.clip(row, 0, height - 1), np.clip(column, 0, width - 1)] == kind.tissue
    )
    if not is_there.any():
        return
    row, column = row[is_there], column[is_there]
    if kind.is_along_fibres:
        cosine, sine = _along(fibre_phase, row, column)
    else:
        cosine, sine = direction(cells.draw(f"{name} direction", -1, 1)[is_there])
    short = cells.draw(f"{name} radius", *kind.radius)[is_there]
    spots = Spots(
        y=y[is_there],
        x=x[is_there],
        long=short * cells.draw(f"{name} elongation", *kind.elongation)[is_there],
        short=short,
        cosine=cosine,
        sine=sine,
        strength=cells.draw(f"{name} strength", *kind.strength)[is_there],
        hollow=kind.hollow,
    )
    stamp(canvas, spots, reach=ceil(kind.radius[1] * kind.elongation[1]) + 1)


def _along(
    phase: FloatArray, row: NDArray[np.int64], column: NDArray[np.int64]
) -> tuple[FloatArray, FloatArray]:
    """Direction of the fibres at some pixels: across the slope of their phase."""
    down = phase[row + 1, column] - phase[row - 1, column]
    right = phase[row, column + 1] - phase[row, column - 1]
    length = np.sqrt(down * down + right * right) + 1e-6
    return -down / length, right / length


def _soften(values: FloatArray) -> FloatArray:
    """The blur of the lens: weights 1, 2, 1 along both axes; borders as if mirrored."""
    padded = np.pad(values, 1, mode="reflect")
    rows = padded[:-2] + 2 * padded[1:-1] + padded[2:]
    return (rows[:, :-2] + 2 * rows[:, 1:-1] + rows[:, 2:]) * 0.0625
