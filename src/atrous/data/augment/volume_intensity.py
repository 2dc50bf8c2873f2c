"""What a view's voxels become: brighter, harsher, noisier, unevenly lit, as scanners differ."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_DEGREE: Final = 3
"""Of the bias field's polynomial, as in the source."""

_EXPONENTS: Final = tuple(
    (d, h, w)
    for d in range(_DEGREE + 1)
    for h in range(_DEGREE + 1 - d)
    for w in range(_DEGREE + 1 - d - h)
    if d + h + w
)


@dataclass(frozen=True, slots=True, kw_only=True)
class IntensityTransform:
    """How one channel changes; as constructed bare, not at all.

    Attributes:
        brightness: Factor of all values.
        contrast: Factor of what lies about the mean.
        gamma: Exponent of values between the least and the greatest.
        bias_field: Greatest coefficient of the polynomial.
        noise: Standard deviation.
        blur: Standard deviation of the Gaussian, in voxels.
    """

    brightness: float = 1.0
    contrast: float = 1.0
    gamma: float = 1.0
    bias_field: float = 0.0
    noise: float = 0.0
    blur: float = 0.0


def apply_intensity(
    view: Tensor, changes: Sequence[IntensityTransform], rng: np.random.Generator
) -> None:
    """Change a view `(C, D, H, W)` float32 in place, each channel by its own `IntensityTransform`.

    Voxels that are 0 in all channels, where there is no volume or no head, stay 0.
    """
    is_outside = (view == 0).all(0)
    coefficients = rng.uniform(-1, 1, (len(view), len(_EXPONENTS)))
    for channel, change, drawn in zip(view, changes, coefficients, strict=True):
        if change.blur:
            from scipy.ndimage import gaussian_filter

            channel.copy_(torch.from_numpy(gaussian_filter(channel.numpy(), change.blur)))
        if change.bias_field:
            _multiply_by_field(channel, drawn * change.bias_field)
        if change.gamma != 1:
            _bend(channel, change.gamma)
        if change.contrast != 1:
            mean = channel.mean()
            channel.sub_(mean).mul_(change.contrast).add_(mean)
        if change.brightness != 1:
            channel.mul_(change.brightness)
        if change.noise:
            noise = rng.standard_normal(tuple(channel.shape), dtype=np.float32)
            channel.add_(torch.from_numpy(noise), alpha=change.noise)
    view.masked_fill_(is_outside, 0)


def bias_field(
    size: tuple[int, int, int], coefficients: NDArray[np.float64]
) -> NDArray[np.float32]:
    """The exponential of Σ c dⁱ hʲ wᵏ over i + j + k from 1 to 3, axes from -1 to 1.

    Shape:
        `coefficients` `(19,)`, ordered by i, then j, then k; gives `size`.

    Source: Van Leemput et al., "Automated model-based bias field correction of MR images of the
        brain", 1999: the polynomial of degree 3.
    """
    powers = [
        np.linspace(-1, 1, length)[None, :] ** np.arange(_DEGREE + 1)[:, None] for length in size
    ]
    table = np.zeros((_DEGREE + 1,) * 3)
    for exponents, value in zip(_EXPONENTS, coefficients, strict=True):
        table[exponents] = value
    field = np.einsum("ijk,id,jh,kw->dhw", table, *powers, optimize=True)
    return np.exp(field).astype(np.float32)


def _multiply_by_field(channel: Tensor, coefficients: NDArray[np.float64]) -> None:
    depth, height, width = channel.shape
    field = bias_field((depth, height, width), coefficients)
    least = channel.min()  # a coil brightens what is there, and black stays black
    channel.sub_(least).mul_(torch.from_numpy(field)).add_(least)


def _bend(channel: Tensor, gamma: float) -> None:
    """Values to a power between the least and the greatest; mean and spread stay as they were."""
    least, greatest = channel.aminmax()
    if not greatest > least:
        return
    deviation, mean = torch.std_mean(channel)
    channel.sub_(least).div_(greatest - least).pow_(gamma)
    after_deviation, after_mean = torch.std_mean(channel)
    channel.sub_(after_mean).mul_(deviation / after_deviation.clamp(min=1e-8)).add_(mean)
