"""Depth-wise separable convolution: space and channels one after the other."""

from torch import nn

from atrous.blocks.conv import Activation, ConvNormAct, Norm, batch_norm, relu
from atrous.types import SpatialDims


class DepthwiseSeparableBlock(nn.Sequential):
    """A k x k convolution within each channel, then a 1x1 convolution across channels.

    ```
    x ── k x k depth-wise ── norm ── act ── 1x1 ── norm ── act
    ```

    With M channels in and N out: k²M + MN weights against k²MN of a standard convolution, a share
    of 1/N + 1/k². Its field is k x k.

    Args:
        in_channels: Channels in, and of the depth-wise convolution.
        out_channels: Channels out.
        kernel_size: Odd length k of the depth-wise kernel along every axis.
        stride: Step of the depth-wise convolution.
        dilation: Distance of its neighbouring taps.
        norm: Builds the normalisation after each convolution.
        depthwise_act: Builds the activation between the two; `identity` in ShuffleNet v2.
        act: Builds the last activation.
        spatial_dims: 2 for images, 3 for volumes.

    Shape:
        `(B, in_channels, *S)` to `(B, out_channels, *ceil(S / stride))`.

    Source: Howard et al., "MobileNets: Efficient Convolutional Neural Networks for Mobile Vision
        Applications", 2017.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 3,
        *,
        stride: int = 1,
        dilation: int = 1,
        norm: Norm = batch_norm,
        depthwise_act: Activation = relu,
        act: Activation = relu,
        spatial_dims: SpatialDims = 2,
    ) -> None:
        super().__init__()
        self.depthwise = ConvNormAct(
            in_channels,
            in_channels,
            kernel_size,
            stride=stride,
            dilation=dilation,
            groups=in_channels,
            norm=norm,
            act=depthwise_act,
            spatial_dims=spatial_dims,
        )
        self.pointwise = ConvNormAct(
            in_channels, out_channels, 1, norm=norm, act=act, spatial_dims=spatial_dims
        )
