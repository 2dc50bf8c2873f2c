"""A transposed convolution that starts as bilinear interpolation and may learn a better one."""

import torch
from torch import Tensor, nn

from atrous.blocks.nd import CONV_TRANSPOSE
from atrous.types import SpatialDims


class BilinearUp(nn.Module):
    """The map at twice its size, by a transposed convolution 4x4 of stride 2.

    Away from the border it gives at first what linear interpolation with `align_corners=False`
    gives; beyond the border it takes zeros. With C channels: 16C² weights, in 3D 64C².

    Args:
        channels: Channels in and out.
        spatial_dims: 2 for images, 3 for volumes.

    Shape:
        `(B, channels, *S)` to `(B, channels, *2 S)`.

    Source: Long et al., "Fully Convolutional Networks for Semantic Segmentation", CVPR 2015.
    """

    def __init__(self, channels: int, *, spatial_dims: SpatialDims = 2) -> None:
        super().__init__()
        self.conv = CONV_TRANSPOSE[spatial_dims](
            channels, channels, 4, stride=2, padding=1, bias=False
        )
        line = torch.tensor([0.25, 0.75, 0.75, 0.25])
        kernel = line
        for _ in range(spatial_dims - 1):
            kernel = kernel.unsqueeze(-1) * line
        with torch.no_grad():
            self.conv.weight.zero_()
            for channel in range(channels):
                self.conv.weight[channel, channel] = kernel

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)
