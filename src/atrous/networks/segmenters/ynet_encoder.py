"""Y-Net's stages and the encoder made of them.

Source: Mehta et al., "Y-Net", MICCAI 2018; wiring and constants from the authors' code.
"""

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Final

import torch
from torch import Tensor, nn

from atrous.blocks.conv import ConvNormAct, NormAct, batch_norm
from atrous.blocks.esp.medical import WideESPBlock
from atrous.blocks.residual import ResidualBlock
from atrous.errors import UnknownNameError
from atrous.networks.encoder import CheckedEncoder
from atrous.types import SpatialDims

# The authors' momentum of 0.95, by torch's meaning, would keep little but the last batch's
# statistics; it has no effect on a trained network, and torch's own is used to train one.
ynet_norm = partial(batch_norm, eps=1e-3)


def _esp(channels: int, *, spatial_dims: SpatialDims) -> nn.Module:
    return WideESPBlock(channels, norm=ynet_norm, spatial_dims=spatial_dims)


def _residual(channels: int, *, spatial_dims: SpatialDims) -> nn.Module:
    return ResidualBlock(channels, channels, norm=ynet_norm, spatial_dims=spatial_dims)


BLOCKS: Final[Mapping[str, Callable[..., nn.Module]]] = MappingProxyType(
    {"esp": _esp, "residual": _residual}
)
"""Of how many channels a block is, to the block; the authors' C1 and D1."""


class YNetStage(nn.Module):
    """A 3x3 convolution that halves the size, blocks, and what the first gave beside the last.

    Args:
        in_channels: Channels in.
        channels: Channels of the convolution and the blocks.
        block: A key of `BLOCKS`.
        repeats: How many blocks.
        spatial_dims: 2 for images, 3 for volumes.

    Shape:
        `(B, in_channels, *S)` to `(B, 2 * channels, *ceil(S / 2))`.
    """

    def __init__(
        self,
        in_channels: int,
        channels: int,
        *,
        block: str,
        repeats: int,
        spatial_dims: SpatialDims,
    ) -> None:
        super().__init__()
        self.down = ConvNormAct(
            in_channels, channels, 3, stride=2, norm=ynet_norm, spatial_dims=spatial_dims
        )
        self.blocks = nn.Sequential(
            *(BLOCKS[block](channels, spatial_dims=spatial_dims) for _ in range(repeats))
        )
        self.join = NormAct(2 * channels, norm=ynet_norm, spatial_dims=spatial_dims)

    def forward(self, x: Tensor) -> Tensor:
        down = self.down(x)
        return self.join(torch.cat([down, self.blocks(down)], dim=1))


class YNetEncoder(CheckedEncoder):
    """A 7x7 stem and two stages, at reductions 2, 4, 8.

    Args:
        block: Of which blocks the stages are made.
        in_channels: Channels of the image.
        spatial_dims: 2 for images, 3 for volumes.

    Shape:
        `(B, in_channels, *S)` to a list of maps `(B, out_channels[i], *ceil(S / reductions[i]))`.

    Raises:
        UnknownNameError: If there is no such block.
    """

    def __init__(
        self, *, block: str = "esp", in_channels: int = 3, spatial_dims: SpatialDims = 2
    ) -> None:
        if block not in BLOCKS:
            raise UnknownNameError("block of Y-Net", block, BLOCKS)
        super().__init__(
            out_channels=(16, 256, 512),
            reductions=(2, 4, 8),
            in_channels=in_channels,
            spatial_dims=spatial_dims,
        )
        stage = partial(YNetStage, block=block, spatial_dims=spatial_dims)
        self.stem = ConvNormAct(
            in_channels, 16, 7, stride=2, norm=ynet_norm, spatial_dims=spatial_dims
        )
        self.stage2 = stage(16, 128, repeats=2)
        self.stage3 = stage(256, 256, repeats=5)

    def forward(self, x: Tensor) -> list[Tensor]:
        self.check_input(x)
        map1 = self.stem(x)
        map2 = self.stage2(map1)
        return [map1, map2, self.stage3(map2)]
