"""Augmentation of volumes: `augment_volume` cuts another view out of a volume and its mask.

As for images, all random numbers come from the generator that is handed in, always equally many
and in the same order, so a view depends on its seed alone: see `augment.sample_rng`.
"""

import math
from dataclasses import dataclass, replace
from typing import Final, Literal, TypeAlias, get_args

import numpy as np
import torch
from torch import Tensor

from atrous.data.augment.volume_geometry import VolumeGeometry, cut_image, cut_mask
from atrous.data.augment.volume_intensity import IntensityTransform, apply_intensity
from atrous.errors import DataError, ShapeError
from atrous.types import UNLABELLED, Size

_AXES: Final = 3

VolumeFit: TypeAlias = Literal["own", "stretch"]


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeAugmentation:
    """How far a view may differ from its volume; as constructed bare, it only flips.

    Example:
        >>> brain = VolumeAugmentation(size=(96, 96, 96), foreground=0.33, rotation=15, gamma=0.3)
    """

    size: Size | None = None
    """`(D, H, W)` of every view, in voxels; None keeps each volume's own."""
    fit: VolumeFit = "own"
    """What a scale of 1 is: `own`, a voxel is a voxel; `stretch`, the volume is resized to `size`
    whatever its aspect, and all of it is seen."""
    foreground: float = 0.0
    """Probability that a view is laid around a voxel of a class other than 0, each class that the
    volume has being as likely; else it lies anywhere."""
    scale: tuple[float, float] = (1.0, 1.0)
    """Lowest and highest magnification, drawn log-uniformly."""
    rotation: float = 0.0
    """Degrees, either way, about each of the three axes."""
    elastic: float = 0.0
    """Standard deviation in mm by which points are moved, five along each axis; what lies between
    is bent with them."""
    warp_probability: float = 1.0
    """That a view is magnified, turned and bent; else its voxels are copied, as sharp as they are.
    """
    flip: float = 0.5
    """Probability of mirroring, for each of `flip_axes`."""
    flip_axes: tuple[int, ...] = (0, 1, 2)
    """The axes that may be mirrored: 0 is D, 1 is H, 2 is W. Where classes are told apart by where
    they lie, such as anterior and posterior, their axis must not be."""
    brightness: float = 0.0
    """Factor from 1 - this to 1 + this, for each channel; so the next."""
    contrast: float = 0.0
    gamma: float = 0.0
    """Exponent from 1 / (1 + this) to 1 + this, of values between the view's least and greatest."""
    bias_field: float = 0.0
    """Greatest coefficient of the polynomial whose exponential the values are multiplied by."""
    noise: float = 0.0
    """Highest standard deviation of white noise, in units of what the network is fed."""
    blur: float = 0.0
    """Probability of a Gaussian blur of 0.5 to 1 voxels."""
    modality_dropout: float = 0.0
    """Probability that a channel is 0 all over, for each; one is always left."""

    def __post_init__(self) -> None:
        low, high = self.scale
        probabilities = (
            self.foreground, self.warp_probability, self.flip, self.blur, self.modality_dropout,
        )  # fmt: skip
        amounts = (self.gamma, self.bias_field, self.noise, self.elastic)
        problems = {
            f"size {self.size}; expected three lengths": self.size is not None
            and (len(self.size) != _AXES or min(self.size) < 1),
            f"fit {self.fit!r}": self.fit not in get_args(VolumeFit),
            f"fit {self.fit!r} without a size": self.fit != "own" and self.size is None,
            f"scale {self.scale}": not 0 < low <= high < math.inf,
            f"rotation {self.rotation}; expected 0 to 180": not 0 <= self.rotation <= 180,
            f"probabilities {probabilities}": not all(0 <= p <= 1 for p in probabilities),
            f"flip axes {self.flip_axes}; expected some of 0, 1, 2": not set(self.flip_axes)
            <= set(range(_AXES)),
            f"brightness {self.brightness} and contrast {self.contrast}; expected 0 to 1": not (
                0 <= self.brightness <= 1 and 0 <= self.contrast <= 1
            ),
            f"gamma, bias field, noise, elastic {amounts}; expected 0 or more": not all(
                0 <= amount < math.inf for amount in amounts
            ),
        }
        for problem, is_so in problems.items():
            if is_so:
                raise DataError(f"Augmentation with {problem} is not possible; mend the recipe.")


def augment_volume(
    image: Tensor,
    mask: Tensor | None,
    augmentation: VolumeAugmentation,
    rng: np.random.Generator,
    *,
    spacing: tuple[float, ...] = (1.0, 1.0, 1.0),
) -> tuple[Tensor, Tensor | None]:
    """Another view of a volume. Neither result shares memory with what was given.

    Args:
        image: `(C, D, H, W)` float32, as the network is fed it: 0 is what lies outside.
        mask: `(D, H, W)` uint8 class indices, 255 where unlabelled; or None.
        augmentation: How far the view may differ.
        rng: Where all chance comes from; see `augment.sample_rng`.
        spacing: mm of a voxel along each axis, so that turning does not shear.

    Returns:
        image: `(C, *size)` float32, 0 where there is no volume.
        mask: `(*size)` uint8, 255 where there is none; None if none was given.

    Raises:
        ShapeError: If the image is no volume of floats, or the mask has another size.
    """
    _check(image, mask)
    size: Size = tuple(image.shape[1:])
    # One number for every decision, needed or not: what one setting is must not shift the rest.
    chance = rng.random(_NUM_CHANCES).tolist()
    by_channel = rng.random((len(image), _NUM_OF_CHANNEL))
    starts = _starts(size, mask, augmentation, chance[:5])
    geometry = _draw_geometry(size, augmentation, chance[5:], starts=starts, spacing=spacing)
    if augmentation.elastic and chance[5] < augmentation.warp_probability:
        # By chance of its own, so that all other draws stay what they are without it.
        points = rng.spawn(1)[0].standard_normal((_AXES, *(_BEND_POINTS,) * _AXES))
        geometry = replace(geometry, bend=augmentation.elastic * points)
    view = cut_image(image, geometry)
    apply_intensity(view, [_draw_values(augmentation, row.tolist()) for row in by_channel], rng)
    for channel in _dropped(by_channel[:, -1], augmentation.modality_dropout):
        view[channel] = 0
    return view, None if mask is None else cut_mask(mask, geometry)


_NUM_CHANCES: Final = 13
_NUM_OF_CHANNEL: Final = 8
_BEND_POINTS: Final = 5


def _starts(
    size: Size, mask: Tensor | None, augmentation: VolumeAugmentation, chance: list[float]
) -> tuple[int, ...]:
    """The voxel of the volume where the view begins, along each axis."""
    wanted, kind, *positions = chance
    view = augmentation.size or size
    # Where the volume is longer the view stays inside, where it is shorter it holds all of it.
    spare = [length - shown for length, shown in zip(size, view, strict=True)]
    inside = tuple(
        min(0, more) + math.floor(position * (abs(more) + 1))
        for more, position in zip(spare, positions, strict=True)
    )
    if mask is None or wanted >= augmentation.foreground:
        return inside
    centre = _foreground_voxel(mask, kind, positions[0])
    if centre is None:
        return inside
    return tuple(
        min(max(at - shown // 2, min(0, more)), max(0, more))
        for at, shown, more in zip(centre, view, spare, strict=True)
    )


def _foreground_voxel(mask: Tensor, kind: float, which: float) -> tuple[int, ...] | None:
    labels = mask.numpy()
    counts = np.bincount(labels.ravel(), minlength=UNLABELLED + 1)
    classes = np.flatnonzero(counts[1:UNLABELLED]) + 1
    if not len(classes):
        return None
    chosen = classes[math.floor(kind * len(classes))]
    places = np.flatnonzero(labels == chosen)
    place = places[math.floor(which * len(places))]
    return tuple(int(index) for index in np.unravel_index(place, labels.shape))


def _draw_geometry(
    size: Size,
    augmentation: VolumeAugmentation,
    chance: list[float],
    *,
    starts: tuple[float, ...],
    spacing: tuple[float, ...],
) -> VolumeGeometry:
    warped, scale, *rest = chance
    turns, mirrors = rest[:_AXES], rest[_AXES:]
    low, high = augmentation.scale
    is_warped = warped < augmentation.warp_probability
    view = augmentation.size or size
    drawn = low * (high / low) ** scale if is_warped else 1.0
    magnification: tuple[float, ...] = (drawn,) * _AXES
    if augmentation.fit == "stretch":
        starts = tuple((length - shown) / 2 for length, shown in zip(size, view, strict=True))
        magnification = tuple(
            factor * shown / length
            for factor, shown, length in zip(magnification, view, size, strict=True)
        )
    return VolumeGeometry(
        starts=starts,
        size=view,
        flips=tuple(
            axis in augmentation.flip_axes and mirror < augmentation.flip
            for axis, mirror in enumerate(mirrors)
        ),
        angles=tuple(
            math.radians(augmentation.rotation * (2 * turn - 1)) if is_warped else 0.0
            for turn in turns
        ),
        magnification=magnification,
        spacing=spacing,
    )


def _draw_values(augmentation: VolumeAugmentation, chance: list[float]) -> IntensityTransform:
    brightness, contrast, gamma, bias, noise, is_blurred, sigma, _ = chance
    return IntensityTransform(
        brightness=1 + augmentation.brightness * (2 * brightness - 1),
        contrast=1 + augmentation.contrast * (2 * contrast - 1),
        gamma=(1 + augmentation.gamma) ** (2 * gamma - 1),
        bias_field=augmentation.bias_field * bias,
        noise=augmentation.noise * noise,
        blur=0.5 + 0.5 * sigma if is_blurred < augmentation.blur else 0.0,
    )


def _dropped(chance: np.ndarray, probability: float) -> list[int]:
    """Channels that are left out; the luckiest stays if all were."""
    dropped = [channel for channel, drawn in enumerate(chance) if drawn < probability]
    if len(dropped) == len(chance):
        dropped.remove(int(chance.argmax()))
    return dropped


def _check(image: Tensor, mask: Tensor | None) -> None:
    if image.ndim != _AXES + 1 or image.dtype != torch.float32 or 0 in image.shape:
        raise ShapeError(
            f"A volume {tuple(image.shape)} of {image.dtype}; expected (C, D, H, W) float32 with "
            "voxels in it; convert it."
        )
    if mask is not None and (mask.shape != image.shape[1:] or mask.dtype != torch.uint8):
        raise ShapeError(
            f"The mask is {tuple(mask.shape)} of {mask.dtype}, the volume {tuple(image.shape[1:])}"
            "; expected one size and uint8; mend the data."
        )
