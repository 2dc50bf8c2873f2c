"""Pyramid pooling over fixed grids: what the parts of an image hold, beside each position."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from atrous.blocks.conv import ConvNormAct, Norm, batch_norm
from atrous.blocks.resize import pool_to_size, resize_linear
from atrous.errors import ShapeError
from atrous.types import SpatialDims


class PyramidPoolingModule(nn.Module):
    """The map, and its averages over grids of a few cells, convolved and resized, all side by side.

    ```
    x ──┬──────────────────────────────────────────────────────┬── concat
        ├─ average to 1x1 cells ── 1x1 ── norm ── act ── resize ┤
        ├─ average to 2x2 cells ── 1x1 ── norm ── act ── resize ┤
        └─ …                                                    ┘
    ```

    With M channels in and P a branch: MP weights a branch. It sees the whole map, whatever its
    size. `PyramidPooling` has fractions of the map's size in place of fixed grids. While it learns
    with a grid of one cell, a batch must hold more than one image: no spread can be taken of one
    value.

    Args:
        in_channels: Channels M of the map.
        branch_channels: Channels P of each branch.
        grids: Cells along every axis, one a branch.
        align_corners: How the branches are resized, see `resize_linear`.
        norm: Builds the normalisation of each branch.
        spatial_dims: 2 for images, 3 for volumes.

    Attributes:
        out_channels: Channels of the concat.

    Shape:
        `(B, in_channels, *S)` to `(B, in_channels + len(grids) * branch_channels, *S)`.

    Raises:
        ShapeError: If a grid has no cells.

    Source: Zhao et al., "Pyramid Scene Parsing Network", CVPR 2017.
    """

    def __init__(
        self,
        in_channels: int,
        branch_channels: int,
        *,
        grids: Sequence[int] = (1, 2, 3, 6),
        align_corners: bool = False,
        norm: Norm = batch_norm,
        spatial_dims: SpatialDims = 2,
    ) -> None:
        super().__init__()
        if min(grids, default=1) < 1:
            raise ShapeError(f"Grid pooling got grids of {list(grids)} cells; expected at least 1.")
        self.branches = nn.ModuleList(
            ConvNormAct(in_channels, branch_channels, 1, norm=norm, spatial_dims=spatial_dims)
            for _ in grids
        )
        self.grids = tuple(grids)
        self.align_corners = align_corners
        self.spatial_dims: SpatialDims = spatial_dims
        self.out_channels = in_channels + len(self.grids) * branch_channels

    def forward(self, x: Tensor) -> Tensor:
        size = tuple(x.shape[2:])
        maps = [x]
        for cells, branch in zip(self.grids, self.branches, strict=True):
            pooled = branch(pool_to_size(x, (cells,) * self.spatial_dims))
            maps.append(resize_linear(pooled, size, align_corners=self.align_corners))
        return torch.cat(maps, dim=1)
