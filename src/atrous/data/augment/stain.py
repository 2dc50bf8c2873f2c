"""Stain jitter: as if the tissue had taken up more or less of each dye.

Absorbance is the sum of what each dye absorbs (Beer and Lambert), so scaling and shifting amounts
of dye is one 3x3 matrix and one sum in absorbance, whatever was drawn.
"""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_HAEMATOXYLIN: Final = (0.65, 0.70, 0.29)
_EOSIN: Final = (0.07, 0.99, 0.11)
"""Absorbance of red, green and blue by a unit of dye: Ruifrok and Johnston's."""

NUM_CHANCES: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class StainChange:
    """What becomes of the amounts of haematoxylin and of eosin; the defaults change nothing."""

    factors: tuple[float, float] = (1.0, 1.0)
    shifts: tuple[float, float] = (0.0, 0.0)
    """Added, in units of natural absorbance."""

    @property
    def is_nothing(self) -> bool:
        """Whether the image stays what it is."""
        return self.factors == (1.0, 1.0) and self.shifts == (0.0, 0.0)


def draw_stain_change(*, scale: float, shift: float, rng: np.random.Generator) -> StainChange:
    """Factors from 1 - scale to 1 + scale and shifts from -shift to shift, each dye its own.

    The four numbers come from a generator of their own that `rng` spawns: `rng` itself gives the
    same afterwards, whether stains are changed or not.
    """
    chance = 2 * rng.spawn(1)[0].random(NUM_CHANCES) - 1
    haematoxylin, eosin = (1 + scale * chance[:2]).tolist()
    more_haematoxylin, more_eosin = (shift * chance[2:]).tolist()
    return StainChange(factors=(haematoxylin, eosin), shifts=(more_haematoxylin, more_eosin))


def dye_matrix() -> NDArray[np.float64]:
    """`(3, 3)`: absorbance of red, green and blue by a unit of haematoxylin, eosin and the rest.

    The rest is at right angles to both, so it holds what neither dye explains.
    """
    dyes = np.array([_HAEMATOXYLIN, _EOSIN])
    dyes /= np.linalg.norm(dyes, axis=1, keepdims=True)
    rest = np.cross(*dyes)
    return np.stack([*dyes, rest / np.linalg.norm(rest)])


def change_stain(image: Tensor, change: StainChange) -> Tensor:
    """An image `(3, H, W)` uint8 RGB with other amounts of dye, rounded and clipped once.

    Amounts are found by colour deconvolution, scaled, shifted, and turned into colours again; what
    neither dye explains stays.

    Source: Ruifrok and Johnston, "Quantification of histochemical staining by color
        deconvolution", 2001; Tellez et al., "Whole-slide mitosis detection in H&E breast histology
        using PHH3 as a reference to train distilled stain-invariant convolutional networks", 2018.
    """
    if change.is_nothing:
        return image
    dyes = dye_matrix()
    factors = np.array([*change.factors, 1.0])
    matrix = (np.linalg.inv(dyes) * factors) @ dyes
    offset = np.array([*change.shifts, 0.0]) @ dyes
    # Absorbance of every grey level; black would absorb without end.
    levels = torch.arange(256, dtype=torch.float32).clamp_(min=1)
    absorbance = levels.div_(255).log_().neg_()[image.flatten(1).long()]
    absorbance = torch.mm(torch.from_numpy(matrix.T).float(), absorbance)
    absorbance += torch.from_numpy(offset).float()[:, None]
    light = absorbance.sub_(math.log(255)).neg_().exp_()
    return light.round_().clamp_(0, 255).to(torch.uint8).reshape(image.shape)
