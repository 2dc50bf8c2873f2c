"""Convolution units of other shapes than the usual: without padding, and with a line as kernel."""

from torch import nn

from atrous.blocks.conv import Activation, Norm, batch_norm, relu
from atrous.blocks.nd import CONV
from atrous.types import SpatialDims


class ValidConvNormAct(nn.Sequential):
    """A `ConvNormAct` without padding: only where the whole kernel lies inside the map.

    Shape:
        `(B, in_channels, *S)` to `(B, out_channels, *(floor((S - kernel_size) / stride) + 1))`.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        *,
        stride: int = 1,
        norm: Norm = batch_norm,
        act: Activation = relu,
        spatial_dims: SpatialDims = 2,
    ) -> None:
        super().__init__()
        self.conv = CONV[spatial_dims](
            in_channels, out_channels, kernel_size, stride=stride, bias=False
        )
        self.norm = norm(out_channels, spatial_dims=spatial_dims)
        self.act = act(out_channels)


class LineConvNormAct(nn.Sequential):
    """A `ConvNormAct` for images whose kernel is a line: 1 x n or n x 1.

    Args:
        in_channels: Channels in.
        out_channels: Channels out.
        kernel_size: Odd lengths along H and W, such as `(1, 7)`.
        norm: Builds the normalisation of `out_channels`.
        act: Builds the activation of `out_channels`.

    Shape:
        `(B, in_channels, H, W)` to `(B, out_channels, H, W)`.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: tuple[int, int],
        *,
        norm: Norm = batch_norm,
        act: Activation = relu,
    ) -> None:
        super().__init__()
        height, width = kernel_size
        self.conv = nn.Conv2d(
            in_channels, out_channels, kernel_size, padding=(height // 2, width // 2), bias=False
        )
        self.norm = norm(out_channels, spatial_dims=2)
        self.act = act(out_channels)
