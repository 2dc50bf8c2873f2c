"""Average pooling that also takes what torch's 3D form refuses."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name everybody reads

from atrous.blocks.nd import AVG_POOL
from atrous.types import SpatialDims


def average_pool(*, stride: int, spatial_dims: SpatialDims) -> nn.Module:
    """The mean of 3 positions along each axis; zeros beyond the border count.

    Shape:
        `(B, C, *S)` to `(B, C, *ceil(S / stride))`, for any S.

    Example:
        >>> average_pool(stride=2, spatial_dims=3)(torch.ones(1, 1, 1, 2, 5)).shape
        torch.Size([1, 1, 1, 1, 3])
    """
    if spatial_dims == 3:
        return _AveragePool3d(stride)
    return AVG_POOL[2](3, stride=stride, padding=1)


class _AveragePool3d(nn.Module):
    """`nn.AvgPool3d`, for lengths below 3 and for bfloat16 too.

    torch's own compares the kernel with the map before it is padded, and has no bfloat16 on CPU.
    """

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        padded = F.pad(x, (1, 1, 1, 1, 1, 1))
        if x.dtype == torch.bfloat16:
            return F.avg_pool3d(padded.float(), 3, stride=self.stride).bfloat16()
        return F.avg_pool3d(padded, 3, stride=self.stride)
