"""Convolution units: a convolution with the normalisation and activation that follow it."""

from collections.abc import Callable
from typing import Protocol, TypeAlias

from torch import nn

from atrous.blocks.nd import BATCH_NORM, CONV, same_padding
from atrous.types import SpatialDims


class Norm(Protocol):
    """Build the normalisation of a given number of channels, such as `batch_norm`."""

    def __call__(self, channels: int, *, spatial_dims: SpatialDims) -> nn.Module: ...


Activation: TypeAlias = Callable[[int], nn.Module]
"""Build the activation of a given number of channels, such as `relu` or `prelu`."""


def batch_norm(channels: int, *, spatial_dims: SpatialDims, eps: float = 1e-5) -> nn.Module:
    """Batch normalisation; fix another `eps` with `functools.partial`."""
    return BATCH_NORM[spatial_dims](channels, eps=eps)


def relu(channels: int) -> nn.Module:  # noqa: ARG001 - one signature for all activations
    """ReLU in place."""
    return nn.ReLU(inplace=True)


def relu6(channels: int) -> nn.Module:  # noqa: ARG001 - one signature for all activations
    """ReLU of at most 6, in place, which few bits can hold.

    Source: Howard et al., "MobileNets: Efficient Convolutional Neural Networks for Mobile Vision
        Applications", 2017.
    """
    return nn.ReLU6(inplace=True)


def prelu(channels: int) -> nn.Module:
    """ReLU with one learned slope per channel for negative values, 0.25 at first.

    Source: He et al., "Delving Deep into Rectifiers", ICCV 2015.
    """
    return nn.PReLU(channels)


def identity(channels: int) -> nn.Module:  # noqa: ARG001 - one signature for all activations
    """No normalisation or activation at all."""
    return nn.Identity()


class ConvNormAct(nn.Sequential):
    """A convolution without bias, its normalisation and its activation: `act(norm(conv(x)))`.

    An odd kernel is padded so that stride 1 keeps the spatial size.

    Args:
        in_channels: Channels in; a multiple of `groups`.
        out_channels: Channels out; a multiple of `groups`.
        kernel_size: Odd length of the kernel along every axis.
        stride: Step of the kernel, in positions of the input.
        dilation: Distance of neighbouring taps, in positions of the input.
        groups: Groups of channels that do not see each other.
        padding: Zeros at both ends of every axis; as above if not given.
        norm: Builds the normalisation of `out_channels`.
        act: Builds the activation of `out_channels`; `identity` for none.
        spatial_dims: 2 for images, 3 for volumes.

    Shape:
        `(B, in_channels, *S)` to `(B, out_channels, *ceil(S / stride))`.

    Example:
        >>> unit = ConvNormAct(3, 16, 3, stride=2)
        >>> [name for name, _ in unit.named_children()]
        ['conv', 'norm', 'act']
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        *,
        stride: int = 1,
        dilation: int = 1,
        groups: int = 1,
        padding: int | None = None,
        norm: Norm = batch_norm,
        act: Activation = relu,
        spatial_dims: SpatialDims = 2,
    ) -> None:
        super().__init__()
        self.conv = CONV[spatial_dims](
            in_channels,
            out_channels,
            kernel_size,
            stride=stride,
            padding=same_padding(kernel_size, dilation) if padding is None else padding,
            dilation=dilation,
            groups=groups,
            bias=False,
        )
        self.norm = norm(out_channels, spatial_dims=spatial_dims)
        self.act = act(out_channels)


class NormAct(nn.Sequential):
    """Normalisation and activation of a map that no single convolution made, such as a concat.

    Shape:
        `(B, channels, *S)` to the same.
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
        self.norm = norm(channels, spatial_dims=spatial_dims)
        self.act = act(channels)


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
