"""Augmentation for training: `augment` gives another view of a sample, image and mask together.

All random numbers come from the generator that is handed in, always equally many and in the same
order, so a sample's view depends on its seed alone and one setting does not disturb another.
"""

import math
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias, get_args

import numpy as np
import torch
from torch import Tensor

from atrous.data.augment.colour import ColourJitter, recolour
from atrous.data.augment.geometry import (
    Geometry,
    cut_and_resize,
    place_axis,
    place_image,
    place_mask,
    turned_canvas,
)
from atrous.data.augment.stain import StainChange, change_stain, draw_stain_change
from atrous.errors import DataError, ShapeError
from atrous.types import Colour, Size

Fit: TypeAlias = Literal["own", "inside", "cover", "stretch", "area"]

_BLUR_SIGMA: Final = (0.1, 2.0)
"""Pixels; as SimCLR draws it (Chen et al. 2020, appendix A)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Augmentation:
    """How far a view may differ from its sample; as constructed bare, it only flips.

    Example:
        >>> street = Augmentation(size=(256, 352), scale=(0.5, 2.0), brightness=0.3)
        >>> photo = Augmentation(size=(160, 160), fit="area", scale=(0.2, 1.0), aspect=4 / 3)
    """

    size: Size | None = None
    """`(H, W)` of every view; None keeps each image's own."""
    fit: Fit = "own"
    """What a scale of 1 is: `own`, a pixel is a pixel; `inside`, all of the image just fits in
    `size`; `cover`, the image just covers it; `stretch`, the image is resized to it whatever its
    aspect. With `area`, `scale` is the share of the image that is seen, and nothing is padded
    unless it is turned."""
    scale: tuple[float, float] = (1.0, 1.0)
    """Lowest and highest magnification, drawn log-uniformly; with `area` the share of the image's
    area, drawn uniformly."""
    aspect: float = 1.0
    """Widths over heights change by up to this factor, either way."""
    rotation: float = 0.0
    """Degrees, either way."""
    flip: float = 0.5
    """Probability of exchanging left and right."""
    vertical_flip: float = 0.0
    """Probability of exchanging top and bottom."""
    brightness: float = 0.0
    """Factor from 1 - this to 1 + this; so the next two."""
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0
    """Turns of the colour wheel, either way; at most a half."""
    grey: float = 0.0
    """Probability of losing all colour."""
    stain: float = 0.0
    """Factor of the amounts of haematoxylin and of eosin from 1 - this to 1 + this, see
    `change_stain`; before the other colours."""
    stain_shift: float = 0.0
    """Absorbance that is added to each dye or taken off, at most."""
    blur: float = 0.0
    """Probability of a Gaussian blur of 0.1 to 2 pixels."""
    noise: float = 0.0
    """Highest standard deviation of white noise, in units of white."""
    fill: Colour | None = None
    """Colour where there is no image; None for the mean of what is seen."""

    def __post_init__(self) -> None:
        probabilities = (self.flip, self.vertical_flip, self.grey, self.blur)
        amounts = (self.brightness, self.contrast, self.saturation, self.noise)
        stains = (self.stain, self.stain_shift)
        problems = {
            f"size {self.size}": self.size is not None
            and (len(self.size) != 2 or min(self.size) < 1),
            f"fit {self.fit!r}": self.fit not in get_args(Fit),
            f"fit {self.fit!r} without a size": self.fit != "own" and self.size is None,
            f"scale {self.scale}": not _is_range(self.scale),
            f"scale {self.scale} of the area": self.fit == "area" and max(self.scale) > 1,
            f"aspect {self.aspect}; expected 1 or more": not 1 <= self.aspect < math.inf,
            f"rotation {self.rotation}; expected 0 to 180": not 0 <= self.rotation <= 180,
            f"probabilities {probabilities}": not all(0 <= p <= 1 for p in probabilities),
            f"brightness, contrast, saturation, noise {amounts}; expected 0 to 1": not all(
                0 <= amount <= 1 for amount in amounts
            ),
            f"stain, stain_shift {stains}; expected 0 to 1": not all(0 <= s <= 1 for s in stains),
            f"hue {self.hue}; expected 0 to 0.5": not 0 <= self.hue <= 0.5,
            f"fill {self.fill}; expected red, green and blue from 0 to 255": self.fill is not None
            and (len(self.fill) != 3 or not all(0 <= level <= 255 for level in self.fill)),
        }
        for problem, is_so in problems.items():
            if is_so:
                raise DataError(f"Augmentation with {problem} is not possible; mend the recipe.")

    @property
    def has_colour(self) -> bool:
        """Whether anything is asked for that needs red, green and blue."""
        return any(
            (self.contrast, self.saturation, self.hue, self.grey, self.stain, self.stain_shift)
        )


def sample_rng(seed: int, *, epoch: int, index: int) -> np.random.Generator:
    """The generator of one sample in one epoch: the same whichever worker asks, and when.

    Example:
        >>> first, again = (sample_rng(0, epoch=3, index=7).random() for _ in range(2))
        >>> first == again
        True
    """
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(epoch, index)))


def augment(
    image: Tensor, mask: Tensor | None, augmentation: Augmentation, rng: np.random.Generator
) -> tuple[Tensor, Tensor | None]:
    """Another view of a sample. Neither result shares memory with what was given.

    Args:
        image: `(C, H, W)` uint8, or float32 of any channels, in whatever order it lies in memory.
        mask: `(H, W)` of class indices, uint8 or int64; or None.
        augmentation: How far the view may differ.
        rng: Where all chance comes from; see `sample_rng`.

    Returns:
        image: `(C, *size)` of the type it had, contiguous.
        mask: `(*size)` of the type it had, 255 where there is no image; None if none was given.

    Raises:
        ShapeError: If the image is not 8-bit, or has not three channels where colours are to
            change, or the mask has another size.
    """
    _check(image, mask, augmentation)
    # One number for every decision, needed or not: what one setting is must not shift the rest.
    chance = rng.random(_NUM_CHANCES)
    geometry = _draw_geometry(tuple(image.shape[1:]), augmentation, chance[:7].tolist())
    recolouring = _draw_recolouring(augmentation, chance[7:].tolist())
    content = change_stain(cut_and_resize(image, geometry), _draw_stain(augmentation, rng))
    content = recolour(content, recolouring, rng)
    fill = None if augmentation.fill is None else torch.tensor(augmentation.fill)
    view = place_image(content, geometry, fill=fill)
    return view, None if mask is None else place_mask(mask, geometry)


_NUM_CHANCES: Final = 15


def _draw_geometry(size: Size, augmentation: Augmentation, chance: list[float]) -> Geometry:
    scale, aspect, turn, down, right, mirror, upside_down = chance
    view = augmentation.size or size
    angle = math.radians(augmentation.rotation * (2 * turn - 1))
    canvas = turned_canvas(view, angle)
    magnifications = _magnifications(size, view, augmentation, scale=scale, aspect=aspect)
    axes = tuple(
        place_axis(
            length,
            view=min(shown, laid),
            canvas=laid,
            magnification=magnification,
            position=position,
        )
        for length, shown, laid, magnification, position in zip(
            size, view, canvas, magnifications, (down, right), strict=True
        )
    )
    decisions = ((-2, upside_down < augmentation.vertical_flip), (-1, mirror < augmentation.flip))
    flips = tuple(axis for axis, is_flipped in decisions if is_flipped)
    return Geometry(axes=axes, canvas=canvas, size=view, angle=angle, flips=flips)


def _magnifications(
    size: Size, view: Size, augmentation: Augmentation, *, scale: float, aspect: float
) -> tuple[float, float]:
    """Output pixels per image pixel, down and right."""
    low, high = augmentation.scale
    stretch = augmentation.aspect ** (aspect - 0.5)  # square root of the ratio's change
    ratios = (view[0] / size[0], view[1] / size[1])
    if augmentation.fit == "area":
        share = low + scale * (high - low)
        magnification = math.sqrt(math.prod(ratios) / share)
        down, right = magnification / stretch, magnification * stretch
        # A window may not leave the image: it keeps its area's share as far as that allows.
        return max(down, ratios[0]), max(right, ratios[1])
    magnification = low * (high / low) ** scale
    down, right = {
        "own": (1.0, 1.0),
        "inside": (min(ratios),) * 2,
        "cover": (max(ratios),) * 2,
        "stretch": ratios,
    }[augmentation.fit]
    return down * magnification / stretch, right * magnification * stretch


def _draw_recolouring(augmentation: Augmentation, chance: list[float]) -> ColourJitter:
    brightness, contrast, saturation, hue, grey, is_blurred, sigma, noise = chance
    low, high = _BLUR_SIGMA

    def factor(amount: float, drawn: float) -> float:
        return 1 + amount * (2 * drawn - 1)

    return ColourJitter(
        brightness=factor(augmentation.brightness, brightness),
        contrast=factor(augmentation.contrast, contrast),
        saturation=0.0 if grey < augmentation.grey else factor(augmentation.saturation, saturation),
        hue=augmentation.hue * (2 * hue - 1),
        blur=low + sigma * (high - low) if is_blurred < augmentation.blur else 0.0,
        noise=augmentation.noise * noise,
    )


def _draw_stain(augmentation: Augmentation, rng: np.random.Generator) -> StainChange:
    if not augmentation.stain and not augmentation.stain_shift:
        return StainChange()
    return draw_stain_change(scale=augmentation.stain, shift=augmentation.stain_shift, rng=rng)


def _is_range(bounds: tuple[float, float]) -> bool:
    return len(bounds) == 2 and 0 < bounds[0] <= bounds[1] < math.inf


def _check(image: Tensor, mask: Tensor | None, augmentation: Augmentation) -> None:
    if image.ndim != 3 or image.dtype not in (torch.uint8, torch.float32) or 0 in image.shape:
        raise ShapeError(
            f"An image {tuple(image.shape)} of {image.dtype}; expected (C, H, W) uint8 or float32 "
            "with pixels in it; convert it."
        )
    if augmentation.has_colour and image.shape[0] != 3:
        raise ShapeError(
            f"The image has {image.shape[0]} channels, but contrast, saturation, hue, grey and "
            "stain need red, green and blue; set them to 0 or repeat the channel."
        )
    if mask is not None and mask.shape != image.shape[1:]:
        raise ShapeError(
            f"The mask is {tuple(mask.shape)}, the image {tuple(image.shape[1:])}; expected one "
            "size; mend the data."
        )
