"""Inverted residuals: narrow between blocks, wide inside, where each channel is convolved alone."""

from torch import Tensor, nn

from atrous.blocks.conv import Activation, ConvNormAct, Norm, batch_norm, identity, relu6
from atrous.blocks.same_padding import SamePad
from atrous.types import SpatialDims


class InvertedResidualBlock(nn.Module):
    """Expand by 1x1, convolve each channel, reduce by 1x1; add the input where shapes allow it.

    ```
    x ─┬─ 1x1 ── norm ── act ── k x k depth-wise ── norm ── act ── 1x1 ── norm ─ + ── y
       └───────────────────────── if the shape stays ────────────────────────────┘
    ```

    With M channels in, N out and an expansion of t: tM² + k²tM + tMN weights. Nothing follows
    the last normalisation: an activation of few channels would lose what it sets to zero.

    Args:
        in_channels: Channels in.
        out_channels: Channels out.
        kernel_size: Odd length k of the depth-wise kernel along every axis.
        stride: Step of the depth-wise convolution; above 1 it is padded as `SamePad` does.
        expansion: Channels inside for each one that comes in; 1 leaves the first convolution out.
        norm: Builds the normalisation after each convolution.
        act: Builds the two activations.
        spatial_dims: 2 for images, 3 for volumes.

    Shape:
        `(B, in_channels, *S)` to `(B, out_channels, *ceil(S / stride))`.

    Source: Sandler et al., "MobileNetV2: Inverted Residuals and Linear Bottlenecks", CVPR 2018.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 3,
        *,
        stride: int = 1,
        expansion: int = 6,
        norm: Norm = batch_norm,
        act: Activation = relu6,
        spatial_dims: SpatialDims = 2,
    ) -> None:
        super().__init__()
        wide = in_channels * expansion
        self.has_skip = stride == 1 and in_channels == out_channels
        self.expand: nn.Module = nn.Identity()
        if expansion != 1:
            self.expand = ConvNormAct(
                in_channels, wide, 1, norm=norm, act=act, spatial_dims=spatial_dims
            )
        # At a stride of 1 both ends get the same, which is the convolution's own padding.
        self.pad = SamePad(kernel_size, stride=stride) if stride > 1 else nn.Identity()
        self.depthwise = ConvNormAct(
            wide,
            wide,
            kernel_size,
            stride=stride,
            groups=wide,
            padding=0 if stride > 1 else None,
            norm=norm,
            act=act,
            spatial_dims=spatial_dims,
        )
        self.reduce = ConvNormAct(
            wide, out_channels, 1, norm=norm, act=identity, spatial_dims=spatial_dims
        )

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.reduce(self.depthwise(self.pad(self.expand(x))))
        return x + y if self.has_skip else y
