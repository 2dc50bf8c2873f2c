"""The encoder contract: an image to feature maps, finest first, that say what they are."""

from collections.abc import Iterable, Sequence
from typing import Protocol

import torch
from torch import Tensor, nn

from atrous.blocks.resize import is_free
from atrous.errors import ShapeError
from atrous.types import SpatialDims


class Encoder(Protocol):
    """What a decoder or a head needs to know of the network before it; always an `nn.Module`.

    Attributes:
        out_channels: Channels of each map, finest first.
        reductions: Distance of neighbouring positions of each map, in input pixels along an axis.

    Shape:
        `(B, in_channels, *S)` to a list of maps `(B, out_channels[i], *S_i)`, where S_i is
        S / reductions[i] rounded up or down, or a few less where convolutions do without padding.
    """

    @property
    def out_channels(self) -> tuple[int, ...]: ...

    @property
    def reductions(self) -> tuple[int, ...]: ...

    def __call__(self, x: Tensor) -> list[Tensor]: ...


class CheckedEncoder(nn.Module):
    """An encoder that knows its contract and refuses what no stage of it could make sense of.

    Args:
        out_channels: Channels of each map, finest first.
        reductions: Of each map; never falling.
        in_channels: Channels of the image.
        minimum_size: Least length of an image along any axis; None for the last reduction.
        divisor: Of the lengths that the encoder surely takes; 1 if it takes any. A segmenter pads
            to a multiple of it.
        spatial_dims: 2 for images, 3 for volumes.
    """

    def __init__(
        self,
        *,
        out_channels: Sequence[int],
        reductions: Sequence[int],
        in_channels: int,
        minimum_size: int | None = None,
        divisor: int = 1,
        spatial_dims: SpatialDims = 2,
    ) -> None:
        super().__init__()
        self.divisor = divisor
        self.out_channels = tuple(out_channels)
        self.reductions = tuple(reductions)
        self.in_channels = in_channels
        self.minimum_size = self.reductions[-1] if minimum_size is None else minimum_size
        self.spatial_dims: SpatialDims = spatial_dims

    def check_input(self, x: Tensor) -> None:
        """Stop at an input that does not fit, before a layer fails with less to say.

        Raises:
            ShapeError: If the axes, the channels or the size are not what the encoder takes.
        """
        axes = "(B, C, H, W)" if self.spatial_dims == 2 else "(B, C, D, H, W)"
        if x.dim() != self.spatial_dims + 2:
            raise ShapeError(
                f"Got an input of shape {tuple(x.shape)}, expected {axes}; give it these axes, or "
                f"build the network with another spatial_dims than {self.spatial_dims}."
            )
        if x.shape[1] != self.in_channels:
            raise ShapeError(
                f"Got an input of {x.shape[1]} channels, expected {self.in_channels} in {axes}; "
                f"build the network with in_channels={x.shape[1]}, or convert the input."
            )
        if not is_free(x) and min(x.shape[2:]) < self.minimum_size:
            raise ShapeError(
                f"Got an input of size {tuple(x.shape[2:])}, expected at least {self.minimum_size} "
                f"along every axis, or the coarsest map would be empty; enlarge or pad the input."
            )

    def coarsest(self, x: Tensor) -> Tensor:
        """The last map alone, for a head that needs no other."""
        return self(x)[-1]


class StagedEncoder(CheckedEncoder):
    """An encoder that is a chain of stages; what leaves each stage is a feature map.

    Args:
        stages: Modules in order, each fed with the output of the one before.
        out_channels: Channels that leave each stage.
        reductions: Of each stage's map; never falling.
        in_channels: Channels of the image.
        minimum_size: Least length of an image along any axis; None for the last reduction.
        spatial_dims: 2 for images, 3 for volumes.

    Shape:
        `(B, in_channels, *S)` to a list of maps, see `Encoder`.
    """

    def __init__(
        self,
        stages: Iterable[nn.Module],
        *,
        out_channels: Sequence[int],
        reductions: Sequence[int],
        in_channels: int,
        minimum_size: int | None = None,
        spatial_dims: SpatialDims = 2,
    ) -> None:
        super().__init__(
            out_channels=out_channels,
            reductions=reductions,
            in_channels=in_channels,
            minimum_size=minimum_size,
            spatial_dims=spatial_dims,
        )
        self.stages = nn.ModuleList(stages)

    def forward(self, x: Tensor) -> list[Tensor]:
        self.check_input(x)
        maps = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return maps

    def coarsest(self, x: Tensor) -> Tensor:
        """The last map alone; the others are let go, which saves memory and so time."""
        self.check_input(x)
        for stage in self.stages:
            x = stage(x)
        return x


def refuse_volumes(network: str, spatial_dims: SpatialDims) -> None:
    """Stop a network that exists for images only.

    Raises:
        ShapeError: If `spatial_dims` is not 2.
    """
    if spatial_dims != 2:
        raise ShapeError(
            f"{network} is for images only, but got spatial_dims={spatial_dims}; use 2, or another "
            f"network, such as resnet18, for volumes."
        )


def initialise(module: nn.Module) -> None:
    """Random weights to train from: normal, as wide as keeps the gradients' variance under ReLU.

    Convolutions get a variance of 2 / (fan-out), linear layers a standard deviation of 0.01;
    biases are zero. Normalisations stay as they are built, the identity.

    Source: He et al., "Delving Deep into Rectifiers", ICCV 2015.
    """
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.Conv3d):
            torch.nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
        elif isinstance(layer, nn.Linear):
            torch.nn.init.normal_(layer.weight, std=0.01)
        else:
            continue
        if layer.bias is not None:
            torch.nn.init.zeros_(layer.bias)
