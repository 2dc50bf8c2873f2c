"""What a sample's colours become: one 3x4 matrix for all of them, then blur and noise.

Brightness, contrast, saturation and hue are linear in the pixel, so they are multiplied together
first and the image is touched once. They are not clipped in between, as a chain of separate steps
would do; only the end is.
"""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the name everybody reads

Matrix = NDArray[np.float64]

_LUMA: Final = np.array([0.299, 0.587, 0.114])
# Rec. 601 from RGB to luma and two axes of chroma, in which hue is an angle.
_TO_YIQ: Final = np.array([_LUMA, [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]])
_FROM_YIQ: Final = np.linalg.inv(_TO_YIQ)


@dataclass(frozen=True, slots=True, kw_only=True)
class ColourJitter:
    """All that changes colours, drawn for one sample; the defaults change nothing."""

    brightness: float = 1.0
    """Factor."""
    contrast: float = 1.0
    """Factor of the distance from the image's mean grey."""
    saturation: float = 1.0
    """Factor of the distance from each pixel's grey; 0 gives a grey image."""
    hue: float = 0.0
    """Turns of the colour wheel."""
    blur: float = 0.0
    """Standard deviation of a Gaussian, in pixels of the output."""
    noise: float = 0.0
    """Standard deviation of white noise, in units of white."""

    @property
    def is_linear(self) -> bool:
        """Whether neither blur nor noise is wanted."""
        return not (self.blur or self.noise)


def recolour(image: Tensor, recolouring: ColourJitter, rng: np.random.Generator) -> Tensor:
    """The image `(C, H, W)` with other colours; of uint8 rounded and clipped once.

    Args:
        image: RGB; images of other channels only where brightness, blur and noise are asked for.
        recolouring: What to do.
        rng: Drawn from only if there is noise.
    """
    matrix = colour_matrix(recolouring)
    has_colour = matrix is not None or recolouring.contrast != 1 or recolouring.brightness != 1
    if not has_colour and recolouring.is_linear:
        return image
    pixels = image.to(torch.float32, copy=True)
    if has_colour:
        pixels = _transform(pixels, recolouring, matrix)
    if recolouring.blur:
        pixels = gaussian_blur(pixels, recolouring.blur)
    if recolouring.noise:
        noise = rng.standard_normal(pixels.shape, dtype=np.float32)
        white = 1 if image.is_floating_point() else 255
        pixels = pixels.add(torch.from_numpy(noise), alpha=white * recolouring.noise)
    if image.is_floating_point():
        return pixels
    return pixels.round_().clamp_(0, 255).to(torch.uint8)


def colour_matrix(recolouring: ColourJitter) -> Matrix | None:
    """`(3, 3)` of saturation and hue, which act within a pixel; None if they change nothing.

    Hue turns the two axes of chroma and keeps luma, so white and grey stay what they are.
    """
    if recolouring.saturation == 1 and recolouring.hue == 0:
        return None
    angle = 2 * math.pi * recolouring.hue
    cosine, sine = (
        recolouring.saturation * math.cos(angle),
        recolouring.saturation * math.sin(angle),
    )
    turn = np.array([[1, 0, 0], [0, cosine, sine], [0, -sine, cosine]])
    return _FROM_YIQ @ turn @ _TO_YIQ


def gaussian_blur(pixels: Tensor, sigma: float) -> Tensor:
    """`(C, H, W)` float, blurred along one axis and then the other; the border is repeated."""
    radius = math.ceil(3 * sigma)
    weights = [math.exp(-0.5 * (offset / sigma) ** 2) for offset in range(radius + 1)]
    total = 2 * sum(weights) - weights[0]
    pixels = F.pad(pixels[None], (radius,) * 4, mode="replicate")[0]
    for axis in (1, 2):
        # Adding shifted copies is many times faster on a CPU than convolutions of so few channels.
        length = pixels.shape[axis] - 2 * radius
        blurred = pixels.narrow(axis, radius, length) * (weights[0] / total)
        for offset in range(1, radius + 1):
            for start in (radius - offset, radius + offset):
                shifted = pixels.narrow(axis, start, length)
                blurred.add_(shifted, alpha=weights[offset] / total)
        pixels = blurred
    return pixels


def _transform(pixels: Tensor, recolouring: ColourJitter, matrix: Matrix | None) -> Tensor:
    """Brightness, then contrast, then saturation and hue, as one product and one sum."""
    offset = 0.0
    if recolouring.contrast != 1:
        means = pixels.mean(dim=(1, 2)).double().numpy()
        grey = recolouring.brightness * float(_LUMA @ means)
        offset = (1 - recolouring.contrast) * grey
    factor = recolouring.brightness * recolouring.contrast
    if matrix is None:
        pixels = pixels.mul_(factor)
    else:
        weights = torch.from_numpy(factor * matrix).to(pixels.dtype)
        pixels = torch.mm(weights, pixels.flatten(1)).reshape(pixels.shape)
    return pixels.add_(offset)  # grey, which saturation and hue would leave as it is
