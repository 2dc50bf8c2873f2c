"""Atrous spatial pyramid pooling: one map seen through several dilations at once."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from atrous.blocks.conv import ConvNormAct, Norm, batch_norm
from atrous.blocks.nd import ADAPTIVE_AVG_POOL, CONV, same_padding
from atrous.types import SpatialDims


class SeparableConvNormAct(nn.Sequential):
    """A 3x3 convolution within channels, a 1x1 across them, then one normalisation and activation.

    ```
    x ── 3x3 depth-wise ── 1x1 ── norm ── act
    ```

    With M channels in and N out: 9M + MN weights.

    Args:
        in_channels: Channels M in.
        out_channels: Channels N out.
        dilation: Distance of neighbouring taps of the depth-wise convolution.
        norm: Builds the normalisation.
        spatial_dims: 2 for images, 3 for volumes.

    Shape:
        `(B, in_channels, *S)` to `(B, out_channels, *S)`.

    Source: Chen et al., "Encoder-Decoder with Atrous Separable Convolution for Semantic Image
        Segmentation", ECCV 2018.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        dilation: int = 1,
        norm: Norm = batch_norm,
        spatial_dims: SpatialDims = 2,
    ) -> None:
        super().__init__()
        self.depthwise = CONV[spatial_dims](
            in_channels,
            in_channels,
            3,
            padding=same_padding(3, dilation),
            dilation=dilation,
            groups=in_channels,
            bias=False,
        )
        self.pointwise = ConvNormAct(
            in_channels, out_channels, 1, norm=norm, spatial_dims=spatial_dims
        )


class AtrousPyramidPooling(nn.Module):
    """A 1x1, dilated 3x3 convolutions and the mean of the whole map, side by side and merged.

    ```
    x ──┬─ 1x1 ── norm ── act ──────────────────────┬── concat ── 1x1 ── norm ── act ── dropout
        ├─ 3x3, dilation 12 ── norm ── act ─────────┤
        ├─ 3x3, dilation 24 ── norm ── act ─────────┤
        ├─ 3x3, dilation 36 ── norm ── act ─────────┤
        └─ mean ── 1x1 ── norm ── act ── everywhere ┘
    ```

    With M channels in, N out and K dilations: (9K + 2)MN + (K + 2)N² weights. It sees the
    whole map. While it learns, a batch must hold more than one image: the mean's branch has one
    value an image and channel, and no spread can be taken of one value.

    Args:
        in_channels: Channels M of the map.
        out_channels: Channels N of each branch, and out.
        dilations: One a branch.
        is_separable: Whether the 3x3 convolutions are depth-wise separable.
        dropout: Share of values set to zero in training.
        norm: Builds each normalisation.
        spatial_dims: 2 for images, 3 for volumes.

    Shape:
        `(B, in_channels, *S)` to `(B, out_channels, *S)`.

    Source: Chen et al., "Rethinking Atrous Convolution for Semantic Image Segmentation", 2017.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int = 256,
        *,
        dilations: Sequence[int] = (12, 24, 36),
        is_separable: bool = False,
        dropout: float = 0.5,
        norm: Norm = batch_norm,
        spatial_dims: SpatialDims = 2,
    ) -> None:
        super().__init__()

        def point(channels: int) -> nn.Module:
            return ConvNormAct(channels, out_channels, 1, norm=norm, spatial_dims=spatial_dims)

        def dilated(dilation: int) -> nn.Module:
            if is_separable:
                return SeparableConvNormAct(
                    in_channels,
                    out_channels,
                    dilation=dilation,
                    norm=norm,
                    spatial_dims=spatial_dims,
                )
            return ConvNormAct(
                in_channels,
                out_channels,
                3,
                dilation=dilation,
                norm=norm,
                spatial_dims=spatial_dims,
            )

        self.branches = nn.ModuleList([point(in_channels), *map(dilated, dilations)])
        self.pool = ADAPTIVE_AVG_POOL[spatial_dims](1)
        self.mean = point(in_channels)
        self.merge = point((len(dilations) + 2) * out_channels)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        maps = [branch(x) for branch in self.branches]
        mean = self.mean(self.pool(x))
        maps.append(mean.expand_as(maps[0]))
        return self.dropout(self.merge(torch.cat(maps, dim=1)))
