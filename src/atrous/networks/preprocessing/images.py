"""What must happen to an image before a network sees it: facts, and the function that does it."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal, TypeAlias, get_args

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the name everybody reads

from atrous.blocks.resize import is_free
from atrous.errors import DataError, ShapeError
from atrous.types import Size

ChannelOrder: TypeAlias = Literal["RGB", "BGR"]
Step: TypeAlias = Literal["resize", "normalise", "scale"]
Interpolation: TypeAlias = Literal["bilinear", "bilinear_antialias"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Preprocessing:
    """From pixels in [0, 1] to a network's input.

    Example:
        >>> facts = Preprocessing(value_range=255.0, mean=(100.0,) * 3, std=(50.0,) * 3)
        >>> preprocess(torch.ones(1, 3, 1, 1), facts).flatten().tolist()
        [3.0999999046325684, 3.0999999046325684, 3.0999999046325684]
    """

    channel_order: ChannelOrder = "RGB"
    """Order of the channels that the network expects; the reader gives RGB."""
    value_range: float = 1.0
    """Value of white in the units of `mean` and `std`: 1 or 255."""
    mean: tuple[float, ...]
    """Per channel, in the network's channel order."""
    std: tuple[float, ...]
    """Per channel, in the network's channel order."""
    final_scale: float = 1.0
    """What the normalised values are multiplied by; 1/255 for the 2018 ESPNets."""
    size: Size | None = None
    """Spatial size of the network's input; None to keep the image's own."""
    shorter_side: int | None = None
    """Length the image's shorter side gets before the middle of `size` is cut out; None to resize
    to `size` whatever the aspect."""
    interpolation: Interpolation = "bilinear"
    """`bilinear` samples as OpenCV does, `bilinear_antialias` filters first, as Pillow does."""
    steps: tuple[Step, ...] = ("normalise", "resize", "scale")
    """In the order the weights were trained with."""

    def __post_init__(self) -> None:
        problems = {
            f"channel_order {self.channel_order!r}": self.channel_order
            not in get_args(ChannelOrder),
            f"interpolation {self.interpolation!r}": self.interpolation
            not in get_args(Interpolation),
            f"steps {self.steps}": sorted(self.steps) != sorted(get_args(Step)),
            f"{len(self.mean)} means but {len(self.std)} deviations": len(self.mean)
            != len(self.std),
            f"mean {self.mean}": not all(map(math.isfinite, self.mean)),
            f"std {self.std}": not all(0 < value < math.inf for value in self.std),
            f"value range {self.value_range}": not 0 < self.value_range < math.inf,
            f"final scale {self.final_scale}": not math.isfinite(self.final_scale)
            or self.final_scale == 0,
            f"shorter side {self.shorter_side} and size {self.size}": self.shorter_side is not None
            and (self.size is None or self.shorter_side < max(self.size)),
            f"size {self.size}": self.size is not None
            and (len(self.size) not in (2, 3) or not all(n > 0 for n in self.size)),
        }
        for problem, is_so in problems.items():
            if is_so:
                raise DataError(f"Preprocessing with {problem} is not possible; mend the card.")


def unit_pixels(pixels: Tensor) -> Tensor:
    """Pixels of 8 bits as floats in [0, 1]; floats as they are."""
    return pixels.float().div_(255) if pixels.dtype == torch.uint8 else pixels.float()


def preprocess(images: Tensor, facts: Preprocessing) -> Tensor:
    """The tensor that the network takes.

    Args:
        images: Pixels in [0, 1]; RGB where there are three channels.
        facts: The card's preprocessing.

    Shape:
        `(B, C, *S)` to `(B, C, *S)`, or `(B, C, *facts.size)`.

    Raises:
        ShapeError: If the images have other channels than the facts are for.
    """
    if images.shape[1] != len(facts.mean):
        raise ShapeError(
            f"The images have {images.shape[1]} channels, but the network's preprocessing is for "
            f"{len(facts.mean)}; convert them."
        )
    if facts.channel_order == "BGR" and images.shape[1] == 3:
        images = images.flip(1)
    for step in facts.steps:
        images = _STEPS[step](images, facts)
    return images


def _normalise(x: Tensor, facts: Preprocessing) -> Tensor:
    # Exact in float64, rounded once: (x * range - mean) / std is one multiplication and addition.
    std = torch.tensor(facts.std, dtype=torch.float64)
    shape = (-1, *(1 for _ in x.shape[2:]))
    factor = (facts.value_range / std).to(x).reshape(shape)
    offset = (-torch.tensor(facts.mean, dtype=torch.float64) / std).to(x).reshape(shape)
    return torch.addcmul(offset, x, factor)


def _scale(x: Tensor, facts: Preprocessing) -> Tensor:
    return x if facts.final_scale == 1 else x * facts.final_scale


def _resize(x: Tensor, facts: Preprocessing) -> Tensor:
    if facts.size is None:
        return x
    if not is_free(x) and facts.shorter_side is None and tuple(x.shape[2:]) == facts.size:
        return x
    mode = "trilinear" if x.ndim == 5 else "bilinear"
    antialias = facts.interpolation == "bilinear_antialias"
    if facts.shorter_side is None:
        size = facts.size
    else:
        shortest = min(x.shape[2:])
        size = tuple(facts.shorter_side * length // shortest for length in x.shape[2:])
    x = F.interpolate(x, size=size, mode=mode, align_corners=False, antialias=antialias)
    return _middle(x, facts.size)


def _middle(x: Tensor, size: Size) -> Tensor:
    """The central window of a size; the odd rest is halved as torchvision does."""
    window = [slice(None), slice(None)]
    for length, wanted in zip(x.shape[2:], size, strict=True):
        start = round((length - wanted) / 2)
        window.append(slice(start, start + wanted))
    return x[tuple(window)]


_STEPS: Final[Mapping[Step, Callable[[Tensor, Preprocessing], Tensor]]] = MappingProxyType(
    {"resize": _resize, "normalise": _normalise, "scale": _scale}
)
