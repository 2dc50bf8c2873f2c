"""Pyramid pooling: what a map holds at several coarser resolutions, set beside it."""

from collections.abc import Sequence
from fractions import Fraction

import torch
from torch import Tensor, nn

from atrous.blocks.conv import Activation, ConvNormAct, Norm, batch_norm, prelu, relu
from atrous.blocks.nd import CONV, same_padding
from atrous.blocks.pool import average_pool
from atrous.blocks.resize import pool_to_size, resize_linear
from atrous.errors import ShapeError
from atrous.types import Size, SpatialDims


class PyramidPooling(nn.Module):
    """The map, and for each fraction its average over that fraction of its size, convolved.

    ```
    x ──┬──────────────────────────────────────────────────────────┬── concat
        ├─ average to 1/2 of the size ── conv, norm, act ── resize ┤
        └─ average to 3/8 of the size ── conv, norm, act ── resize ┘
    ```

    The pooled sizes are fractions, not lengths, so that the module fits any size. With C channels
    in, P of a branch and k-long kernels: kᵈCP weights a branch, in d dimensions.

    Args:
        in_channels: Channels of the map.
        branch_channels: Channels of each branch.
        fractions: Of the map's size, one a branch; each pooled length is rounded down, at least 1.
        kernel_size: Odd length of the branches' kernels along every axis.
        align_corners: How the branches are resized, see `resize_linear`.
        norm: Builds the normalisation of each branch.
        act: Builds the activation of each branch.
        spatial_dims: 2 for images, 3 for volumes.

    Attributes:
        out_channels: Channels of the concat.

    Shape:
        `(B, in_channels, *S)` to `(B, in_channels + len(fractions) * branch_channels, *S)`.

    Raises:
        ShapeError: If a fraction is not above 0.

    Source: Zhao et al., "Pyramid Scene Parsing Network", CVPR 2017, there with four fixed lengths;
        as fractions: Mehta et al., "3D-ESPNet", BrainLes 2018, from the authors' code.
    """

    def __init__(
        self,
        in_channels: int,
        branch_channels: int,
        *,
        fractions: Sequence[Fraction],
        kernel_size: int = 1,
        align_corners: bool = True,
        norm: Norm = batch_norm,
        act: Activation = relu,
        spatial_dims: SpatialDims = 2,
    ) -> None:
        super().__init__()
        if any(fraction <= 0 for fraction in fractions):
            raise ShapeError(
                f"Pyramid pooling got fractions {[str(f) for f in fractions]} of a map's size; "
                f"expected all above 0."
            )
        self.branches = nn.ModuleList(
            ConvNormAct(
                in_channels,
                branch_channels,
                kernel_size,
                norm=norm,
                act=act,
                spatial_dims=spatial_dims,
            )
            for _ in fractions
        )
        self.fractions = tuple(fractions)
        self.align_corners = align_corners
        self.out_channels = in_channels + len(fractions) * branch_channels

    def forward(self, x: Tensor) -> Tensor:
        size = tuple(x.shape[2:])
        maps = [x]
        for fraction, branch in zip(self.fractions, self.branches, strict=True):
            pooled = pool_to_size(x, _part(size, fraction))
            maps.append(resize_linear(branch(pooled), size, align_corners=self.align_corners))
        return torch.cat(maps, dim=1)


class HalvingPyramid(nn.Module):
    """The map and its repeated halves by averaging, each half convolved depth-wise; all joined.

    ```
    x ────────────┬──────────────────────────────────────┬── concat ── 1x1, norm, act
                  ├─ average /2 ──┬─ 3x3 depth-wise ─ resize ┤
                  └───────────────┼─ …                       │
                                  └─ average /2 ── …         ┘
    ```

    What is passed on from half to half is the average, not the convolution's output. With C
    channels and K halves: 9KC + (K + 1)C² weights.

    Args:
        channels: Channels in and out.
        num_halves: How often the map is halved.
        norm: Builds the normalisation of the joint map.
        act: Builds the activation of the joint map.
        spatial_dims: 2 for images, 3 for volumes.

    Shape:
        `(B, channels, *S)` to the same.

    Source: the authors' code of 2018 for ESPNetv2 (Mehta et al., CVPR 2019).
    """

    def __init__(
        self,
        channels: int,
        *,
        num_halves: int = 4,
        norm: Norm = batch_norm,
        act: Activation = prelu,
        spatial_dims: SpatialDims = 2,
    ) -> None:
        super().__init__()
        self.halve = average_pool(stride=2, spatial_dims=spatial_dims)
        self.branches = nn.ModuleList(
            CONV[spatial_dims](
                channels, channels, 3, padding=same_padding(3), groups=channels, bias=False
            )
            for _ in range(num_halves)
        )
        self.merge = ConvNormAct(
            (num_halves + 1) * channels, channels, 1, norm=norm, act=act, spatial_dims=spatial_dims
        )

    def forward(self, x: Tensor) -> Tensor:
        size = tuple(x.shape[2:])
        half, maps = x, [x]
        for branch in self.branches:
            half = self.halve(half)
            maps.append(resize_linear(branch(half), size, align_corners=True))
        return self.merge(torch.cat(maps, dim=1))


def _part(size: Size, fraction: Fraction) -> Size:
    return tuple(max(1, length * fraction.numerator // fraction.denominator) for length in size)
