"""ShuffleNet v1's blocks: 1x1 convolutions within groups of channels, and a shuffle between."""

import torch
from torch import Tensor, nn

from atrous.blocks.conv import Activation, ConvNormAct, Norm, batch_norm, identity, relu
from atrous.blocks.pool import average_pool
from atrous.blocks.shuffle.channel_shuffle import channel_shuffle
from atrous.errors import ShapeError
from atrous.types import SpatialDims

BOTTLENECK = 4
"""How many times narrower than its output the inside of a block is."""


class ShuffleV1Block(nn.Module):
    """ShuffleNet v1: grouped 1x1 convolutions around a depth-wise 3x3, added to the input.

    ```
    x ── 1x1 in g groups, N/4 ── norm ── act ── shuffle ── 3x3 depth-wise ── norm ─┐
    │                                          ┌───────────────────────────────────┘
    │                                          └─ 1x1 in g groups, N ── norm ──(+)── act
    └──────────────────────────────────────────────────────────────────────────┘
    ```

    With N channels and n = N/4: 2nN/g + 9n weights, against 9N² of a standard 3x3 convolution. It
    sees 3x3.

    Args:
        channels: Channels N in and out.
        groups: Groups g of each 1x1 convolution.
        norm: Builds the normalisation after each convolution.
        act: Builds the two activations.
        spatial_dims: 2 for images, 3 for volumes.

    Shape:
        `(B, channels, *S)` to the same.

    Raises:
        ShapeError: If the channels do not divide into the groups.

    Source: Zhang et al., "ShuffleNet: An Extremely Efficient Convolutional Neural Network for
        Mobile Devices", CVPR 2018.
    """

    def __init__(
        self,
        channels: int,
        *,
        groups: int,
        norm: Norm = batch_norm,
        act: Activation = relu,
        spatial_dims: SpatialDims = 2,
    ) -> None:
        super().__init__()
        self.transform = _ShuffleV1Transform(
            channels,
            channels // BOTTLENECK,
            channels,
            stride=1,
            first_groups=groups,
            groups=groups,
            norm=norm,
            act=act,
            spatial_dims=spatial_dims,
        )
        self.act = act(channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.transform(x) + x)


class StridedShuffleV1Block(nn.Module):
    """ShuffleNet v1 that halves the size: the average-pooled input is concatenated, not added.

    ```
    x ── 1x1 in g groups, N/4 ── norm ── act ── shuffle ── 3x3 depth-wise, stride 2 ── norm ─┐
    │                                    ┌───────────────────────────────────────────────────┘
    │                                    └─ 1x1 in g groups, N - M ── norm ── concat ── act
    └── average 3x3, stride 2 ─────────────────────────────────────────────────┘
    ```

    With M channels in, N out and n = N/4: nM/g + 9n + n(N - M)/g weights; it sees 3x3.

    Args:
        in_channels: Channels M in.
        out_channels: Channels N out, more than M.
        groups: Groups g of the second 1x1 convolution and of the shuffle.
        first_groups: Groups of the first 1x1 convolution; 1 where the input has few channels.
        norm: Builds the normalisation after each convolution.
        act: Builds the two activations.
        spatial_dims: 2 for images, 3 for volumes.

    Shape:
        `(B, in_channels, *S)` to `(B, out_channels, *ceil(S / 2))`.

    Raises:
        ShapeError: If the channels do not divide into the groups.

    Source: Zhang et al., "ShuffleNet: An Extremely Efficient Convolutional Neural Network for
        Mobile Devices", CVPR 2018.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        groups: int,
        first_groups: int,
        norm: Norm = batch_norm,
        act: Activation = relu,
        spatial_dims: SpatialDims = 2,
    ) -> None:
        super().__init__()
        if out_channels <= in_channels:
            raise ShapeError(
                f"A strided shuffle block passes its input on and adds channels to it, but got "
                f"in_channels={in_channels} and out_channels={out_channels}; "
                f"give more channels out than in."
            )
        self.pool = average_pool(stride=2, spatial_dims=spatial_dims)
        self.transform = _ShuffleV1Transform(
            in_channels,
            out_channels // BOTTLENECK,
            out_channels - in_channels,
            stride=2,
            first_groups=first_groups,
            groups=groups,
            norm=norm,
            act=act,
            spatial_dims=spatial_dims,
        )
        self.act = act(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.act(torch.cat([self.transform(x), self.pool(x)], dim=1))


class _ShuffleV1Transform(nn.Module):
    """What both v1 blocks do on the way: 1x1, shuffle, depth-wise 3x3, 1x1."""

    def __init__(
        self,
        in_channels: int,
        width: int,
        out_channels: int,
        *,
        stride: int,
        first_groups: int,
        groups: int,
        norm: Norm,
        act: Activation,
        spatial_dims: SpatialDims,
    ) -> None:
        super().__init__()
        counts = (
            ("in", in_channels, first_groups),
            ("inside (a quarter of its output)", width, first_groups),
            ("inside (a quarter of its output)", width, groups),
            ("new", out_channels, groups),
        )
        for what, channels, parts in counts:
            if parts < 1 or channels < 1 or channels % parts:
                raise ShapeError(
                    f"A shuffle block has {channels} channels {what}, which do not divide into "
                    f"{parts} groups; change the channels or the groups."
                )
        self.reduce = ConvNormAct(
            in_channels,
            width,
            1,
            groups=first_groups,
            norm=norm,
            act=act,
            spatial_dims=spatial_dims,
        )
        self.depthwise = ConvNormAct(
            width,
            width,
            3,
            stride=stride,
            groups=width,
            norm=norm,
            act=identity,
            spatial_dims=spatial_dims,
        )
        self.expand = ConvNormAct(
            width,
            out_channels,
            1,
            groups=groups,
            norm=norm,
            act=identity,
            spatial_dims=spatial_dims,
        )
        self.groups = groups

    def forward(self, x: Tensor) -> Tensor:
        return self.expand(self.depthwise(channel_shuffle(self.reduce(x), self.groups)))
