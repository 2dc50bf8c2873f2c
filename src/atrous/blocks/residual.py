"""ResNet's blocks: convolutions that learn what to add to their input."""

from torch import Tensor, nn

from atrous.blocks.conv import Activation, ConvNormAct, Norm, batch_norm, identity, relu
from atrous.types import SpatialDims

BOTTLENECK = 4
"""How many times narrower than its output the inside of a bottleneck is."""


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions added to their input.

    ```
    x ── 3x3, stride ── norm ── act ── 3x3 ── norm ──(+)── act
    └─────── 1x1, stride ── norm, or nothing ────────┘
    ```

    With M channels in and N out: 9MN + 9N² weights, and MN more where the shortcut is a
    convolution: that is where stride or channels change. It sees 5x5.

    Args:
        in_channels: Channels in.
        out_channels: Channels out.
        stride: Step of the first convolution and of the shortcut.
        input_dilation: Dilation of the convolution that works on the input's grid.
        dilation: Dilation of the one that works on the output's grid. The two differ only where a
            stride has been taken out of a network.
        norm: Builds the normalisation after each convolution.
        act: Builds each activation.
        spatial_dims: 2 for images, 3 for volumes.

    Shape:
        `(B, in_channels, *S)` to `(B, out_channels, *ceil(S / stride))`.

    Source: He et al., "Deep Residual Learning for Image Recognition", CVPR 2016.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        stride: int = 1,
        input_dilation: int = 1,
        dilation: int = 1,
        norm: Norm = batch_norm,
        act: Activation = relu,
        spatial_dims: SpatialDims = 2,
    ) -> None:
        super().__init__()
        self.conv1 = ConvNormAct(
            in_channels,
            out_channels,
            3,
            stride=stride,
            dilation=input_dilation,
            norm=norm,
            act=act,
            spatial_dims=spatial_dims,
        )
        self.conv2 = ConvNormAct(
            out_channels,
            out_channels,
            3,
            dilation=dilation,
            norm=norm,
            act=identity,
            spatial_dims=spatial_dims,
        )
        self.shortcut = _shortcut(
            in_channels, out_channels, stride=stride, norm=norm, spatial_dims=spatial_dims
        )
        self.act = act(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv2(self.conv1(x))
        y += self.shortcut(x)  # in place: nothing else holds y, and a new map costs time
        return self.act(y)


class BottleneckBlock(nn.Module):
    """A 3x3 convolution between two 1x1 that narrow and widen, added to the input.

    ```
    x ── 1x1, N/4 ── norm ── act ── 3x3, stride ── norm ── act ── 1x1, N ── norm ──(+)── act
    └────────────────────── 1x1, stride ── norm, or nothing ───────────────────────┘
    ```

    With M channels in, N out and n = N/4: Mn + 9n² + nN weights, and MN more where the shortcut
    is a convolution. At equal width C that is (17/16)C² against 9C² of one standard 3x3
    convolution, and it sees the same 3x3.

    Args:
        in_channels: Channels in.
        out_channels: Channels out.
        stride: Step of the block.
        is_stride_on_1x1: Whether the first 1x1 convolution takes the stride, as first published
            (v1), or the 3x3, which loses no position (v1.5).
        input_dilation: Dilation of the 3x3 convolution if it works on the input's grid (v1.5).
        dilation: Dilation of the 3x3 convolution if it works on the output's grid (v1).
        norm: Builds the normalisation after each convolution.
        act: Builds each activation.
        spatial_dims: 2 for images, 3 for volumes.

    Shape:
        `(B, in_channels, *S)` to `(B, out_channels, *ceil(S / stride))`.

    Source: He et al., "Deep Residual Learning for Image Recognition", CVPR 2016.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        stride: int = 1,
        is_stride_on_1x1: bool = False,
        input_dilation: int = 1,
        dilation: int = 1,
        norm: Norm = batch_norm,
        act: Activation = relu,
        spatial_dims: SpatialDims = 2,
    ) -> None:
        super().__init__()
        width = out_channels // BOTTLENECK
        self.reduce = ConvNormAct(
            in_channels,
            width,
            1,
            stride=stride if is_stride_on_1x1 else 1,
            norm=norm,
            act=act,
            spatial_dims=spatial_dims,
        )
        self.conv = ConvNormAct(
            width,
            width,
            3,
            stride=1 if is_stride_on_1x1 else stride,
            dilation=dilation if is_stride_on_1x1 else input_dilation,
            norm=norm,
            act=act,
            spatial_dims=spatial_dims,
        )
        self.expand = ConvNormAct(
            width, out_channels, 1, norm=norm, act=identity, spatial_dims=spatial_dims
        )
        self.shortcut = _shortcut(
            in_channels, out_channels, stride=stride, norm=norm, spatial_dims=spatial_dims
        )
        self.act = act(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        y = self.expand(self.conv(self.reduce(x)))
        y += self.shortcut(x)  # in place: nothing else holds y, and a new map costs time
        return self.act(y)


def _shortcut(
    in_channels: int, out_channels: int, *, stride: int, norm: Norm, spatial_dims: SpatialDims
) -> nn.Module:
    if stride == 1 and in_channels == out_channels:
        return nn.Identity()
    return ConvNormAct(
        in_channels,
        out_channels,
        1,
        stride=stride,
        norm=norm,
        act=identity,
        spatial_dims=spatial_dims,
    )
