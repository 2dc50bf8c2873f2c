"""A convolution that keeps its bias, as networks from before batch normalisation have it."""

from torch import nn

from atrous.blocks.conv import Activation, ConvNormAct, Norm, relu
from atrous.blocks.nd import CONV, same_padding
from atrous.types import SpatialDims


class ConvBiasAct(nn.Sequential):
    """A convolution with bias, a normalisation if there is one, and the activation.

    An odd kernel is padded so that stride 1 keeps the spatial size.

    Args:
        in_channels: Channels in.
        out_channels: Channels out.
        kernel_size: Odd length of the kernel along every axis.
        stride: Step of the kernel, in positions of the input.
        dilation: Distance of neighbouring taps, in positions of the input.
        norm: Builds the normalisation of `out_channels`; None for none at all.
        act: Builds the activation of `out_channels`.
        spatial_dims: 2 for images, 3 for volumes.

    Shape:
        `(B, in_channels, *S)` to `(B, out_channels, *ceil(S / stride))`.

    Example:
        >>> [name for name, _ in ConvBiasAct(3, 16, 3).named_children()]
        ['conv', 'act']
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        *,
        stride: int = 1,
        dilation: int = 1,
        norm: Norm | None = None,
        act: Activation = relu,
        spatial_dims: SpatialDims = 2,
    ) -> None:
        super().__init__()
        self.conv = CONV[spatial_dims](
            in_channels,
            out_channels,
            kernel_size,
            stride=stride,
            padding=same_padding(kernel_size, dilation),
            dilation=dilation,
        )
        if norm is not None:
            self.norm = norm(out_channels, spatial_dims=spatial_dims)
        self.act = act(out_channels)


def conv_unit(
    in_channels: int,
    out_channels: int,
    kernel_size: int,
    *,
    stride: int = 1,
    norm: Norm | None,
    act: Activation,
    spatial_dims: SpatialDims,
) -> nn.Sequential:
    """A `ConvNormAct`, or with no `norm` a `ConvBiasAct`: a bias is there where it has an effect.

    Batch normalisation subtracts the mean and so any bias before it.
    """
    if norm is None:
        return ConvBiasAct(
            in_channels,
            out_channels,
            kernel_size,
            stride=stride,
            act=act,
            spatial_dims=spatial_dims,
        )
    return ConvNormAct(
        in_channels,
        out_channels,
        kernel_size,
        stride=stride,
        norm=norm,
        act=act,
        spatial_dims=spatial_dims,
    )
