"""A context module: dilated convolutions in a row that widen the view at full resolution."""

from torch import Tensor, nn

from atrous.blocks.conv import ConvNormAct
from atrous.types import SpatialDims

CONTEXT_DILATIONS = (1, 2, 4, 8, 16)


class ContextModule(nn.Module):
    """3x3 convolutions of growing dilation in a row, each joined by the first and by the input.

    Shape:
        `(B, channels, *S)` to the same.

    Source: Mehta et al., "Learning to Segment Breast Biopsy Whole Slide Images", WACV 2018; after
        Yu and Koltun, "Multi-Scale Context Aggregation by Dilated Convolutions", ICLR 2016.
    """

    def __init__(self, channels: int, *, spatial_dims: SpatialDims = 2) -> None:
        super().__init__()
        self.convs = nn.ModuleList(
            ConvNormAct(channels, channels, 3, dilation=dilation, spatial_dims=spatial_dims)
            for dilation in CONTEXT_DILATIONS
        )
        self.merge = ConvNormAct(channels, channels, 3, spatial_dims=spatial_dims)

    def forward(self, x: Tensor) -> Tensor:
        head, *rest = self.convs
        first = head(x)
        y, total = first, first + x
        for conv in rest:
            y = conv(y) + first + x
            total = total + y
        return self.merge(total.relu())
