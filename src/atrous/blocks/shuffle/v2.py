"""ShuffleNet v2's blocks: split, transform one half, concatenate, shuffle."""

from functools import partial

import torch
from torch import Tensor, nn

from atrous.blocks.conv import Activation, ConvNormAct, Norm, batch_norm, identity, relu
from atrous.blocks.separable import DepthwiseSeparableBlock
from atrous.blocks.shuffle.channel_shuffle import channel_shuffle
from atrous.errors import ShapeError
from atrous.types import SpatialDims


class ShuffleV2Block(nn.Module):
    """ShuffleNet v2: one half of the channels passes, the other is transformed, then both mix.

    ```
    x ── split ── first half ──────────────────────────────────────────────────── concat ── shuffle
              └── second half ── 1x1 ── norm, act ── 3x3 depth-wise ── norm ─┐      │
                                             ┌───────────────────────────────┘      │
                                             └─ 1x1 ── norm, act ───────────────────┘
    ```

    With N channels and n = N/2: 2n² + 9n weights, against 9N² of a standard 3x3 convolution. It
    sees 3x3.

    Args:
        channels: Channels N in and out, an even number.
        norm: Builds the normalisation after each convolution.
        act: Builds each activation.
        spatial_dims: 2 for images, 3 for volumes.

    Shape:
        `(B, channels, *S)` to the same.

    Raises:
        ShapeError: If the channels are odd.

    Source: Ma et al., "ShuffleNet V2: Practical Guidelines for Efficient CNN Architecture Design",
        ECCV 2018.
    """

    def __init__(
        self,
        channels: int,
        *,
        norm: Norm = batch_norm,
        act: Activation = relu,
        spatial_dims: SpatialDims = 2,
    ) -> None:
        super().__init__()
        width = _half(channels)
        self.transform = _shuffle_v2_transform(
            width, width, stride=1, norm=norm, act=act, spatial_dims=spatial_dims
        )

    def forward(self, x: Tensor) -> Tensor:
        kept, changed = x.chunk(2, dim=1)
        return channel_shuffle(torch.cat([kept, self.transform(changed)], dim=1), 2)


class StridedShuffleV2Block(nn.Module):
    """ShuffleNet v2 that halves the size: no split, both branches see all channels.

    ```
          ┌─ 3x3 depth-wise, stride 2 ── norm ── 1x1, N/2 ── norm, act ────────┐
    x ────┤                                                                    ├─ concat ── shuffle
          └─ 1x1, N/2 ── norm, act ── 3x3 depth-wise, stride 2 ── norm ─┐      │
                                        ┌───────────────────────────────┘      │
                                        └─ 1x1, N/2 ── norm, act ──────────────┘
    ```

    With M channels in, N out and n = N/2: 9M + Mn + Mn + 9n + n² weights; it sees 3x3.

    Args:
        in_channels: Channels M in.
        out_channels: Channels N out, an even number.
        norm: Builds the normalisation after each convolution.
        act: Builds each activation.
        spatial_dims: 2 for images, 3 for volumes.

    Shape:
        `(B, in_channels, *S)` to `(B, out_channels, *ceil(S / 2))`.

    Raises:
        ShapeError: If `out_channels` is odd.

    Source: Ma et al., "ShuffleNet V2: Practical Guidelines for Efficient CNN Architecture Design",
        ECCV 2018.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        norm: Norm = batch_norm,
        act: Activation = relu,
        spatial_dims: SpatialDims = 2,
    ) -> None:
        super().__init__()
        width = _half(out_channels)
        self.shortcut = DepthwiseSeparableBlock(
            in_channels,
            width,
            stride=2,
            norm=norm,
            depthwise_act=identity,
            act=act,
            spatial_dims=spatial_dims,
        )
        self.transform = _shuffle_v2_transform(
            in_channels, width, stride=2, norm=norm, act=act, spatial_dims=spatial_dims
        )

    def forward(self, x: Tensor) -> Tensor:
        return channel_shuffle(torch.cat([self.shortcut(x), self.transform(x)], dim=1), 2)


def _half(channels: int) -> int:
    if channels < 2 or channels % 2:
        raise ShapeError(
            f"ShuffleNet v2 works on halves, but got {channels} channels; give an even number."
        )
    return channels // 2


def _shuffle_v2_transform(
    in_channels: int,
    width: int,
    *,
    stride: int,
    norm: Norm,
    act: Activation,
    spatial_dims: SpatialDims,
) -> nn.Sequential:
    unit = partial(ConvNormAct, norm=norm, spatial_dims=spatial_dims)
    return nn.Sequential(
        unit(in_channels, width, 1, act=act),
        unit(width, width, 3, stride=stride, groups=width, act=identity),
        unit(width, width, 1, act=act),
    )
