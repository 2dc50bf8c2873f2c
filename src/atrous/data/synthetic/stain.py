"""Haematoxylin and eosin: from how much of each dye lies in a pixel to its colour.

Light is absorbed as Beer and Lambert say: white · exp(-Σ amount · absorbance), channel by channel.

The absorbances are those of laboratories that are made up, near the measured ones; see
docs/decisions/0013.

Source: Ruifrok and Johnston, "Quantification of histochemical staining by color deconvolution",
    2001.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from atrous.data.synthetic.noise import FloatArray

Absorbance = tuple[float, float, float]
"""Of red, green and blue light, per unit of dye."""

_HAEMATOXYLIN: Final = (0.86, 1.02, 0.50)
_EOSIN: Final = (0.17, 0.50, 0.33)
_RED_CELLS: Final = (0.22, 0.78, 0.66)
_GLASS: Final = (243.0, 242.0, 245.0)

_STEPS: Final = 512
"""Entries of the exponential's table per unit of absorbance: half a grey level apart at most."""
_DARKEST: Final = 4
"""Absorbance that the table ends at: a grey level of 4."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stain:
    """How one slide was stained and scanned."""

    haematoxylin: Absorbance = _HAEMATOXYLIN
    eosin: Absorbance = _EOSIN
    red_cells: Absorbance = _RED_CELLS
    glass: tuple[float, float, float] = _GLASS
    """Red, green and blue where nothing is absorbed, 0 to 255."""


def draw_stain(seed: int) -> Stain:
    """A stain as another laboratory might make it: strengths ±20 %, hues ±8 %, its own glass."""
    rng = np.random.default_rng((seed, 0x57A1))

    def vary(absorbance: Absorbance) -> Absorbance:
        strength = rng.uniform(0.8, 1.2)
        red, green, blue = (value * strength * rng.uniform(0.92, 1.08) for value in absorbance)
        return red, green, blue

    dyes = [vary(dye) for dye in (_HAEMATOXYLIN, _EOSIN, _RED_CELLS)]
    red, green, blue = (min(value + rng.uniform(-6, 5), 250.0) for value in _GLASS)
    return Stain(haematoxylin=dyes[0], eosin=dyes[1], red_cells=dyes[2], glass=(red, green, blue))


def colour(
    stain: Stain, haematoxylin: FloatArray, eosin: FloatArray, red_cells: FloatArray
) -> NDArray[np.uint8]:
    """Colours of pixels by the amounts of dye in them, each `(H, W)`: RGB `(H, W, 3)` uint8."""
    light = np.exp(np.arange(_STEPS * _DARKEST) / -_STEPS)
    rgb = np.empty((*haematoxylin.shape, 3), np.uint8)
    for channel in range(3):
        absorbed = haematoxylin * stain.haematoxylin[channel]
        absorbed += eosin * stain.eosin[channel]
        absorbed += red_cells * stain.red_cells[channel]
        absorbed *= _STEPS
        np.clip(absorbed, 0, _STEPS * _DARKEST - 1, out=absorbed)
        table = np.rint(light * stain.glass[channel]).astype(np.uint8)
        rgb[..., channel] = table[absorbed.astype(np.uint16)]
    return rgb
