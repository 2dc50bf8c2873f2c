"""ESP as the medical networks have it: with a wide reduction (Y-Net), or normalised (3D-ESPNet)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from atrous.blocks.conv import Activation, ConvNormAct, Norm, batch_norm, relu
from atrous.blocks.esp.esp import DilatedPyramid, hierarchical_feature_fusion
from atrous.blocks.nd import CONV, same_padding
from atrous.errors import ShapeError
from atrous.types import SpatialDims

WIDE_DILATIONS = (1, 2, 4, 8)
NORMED_DILATIONS = (1, 1, 2, 2)
"""Twice 1 and twice 2: on small volumes wider branches would mostly see padding."""


class WideESPBlock(nn.Module):
    """ESP whose reduction is a 3x3 convolution, so that it sees two positions more.

    ```
    x ── 3x3, C/K ── dilated pyramid ──(+)── norm ── act
    └──────────────────────────────────┘
    ```

    With C channels and K branches: 9C²/K + 9C²/K weights, against 9C² of a standard 3x3
    convolution; its field is `2 max(dilations) + 3`.

    Args:
        channels: Channels in and out, at least K.
        dilations: One per branch, ascending, so K is their number.
        norm: Builds the normalisation after the sum.
        act: Builds the activation after that.
        spatial_dims: 2 for images, 3 for volumes.

    Shape:
        `(B, channels, *S)` to the same.

    Raises:
        ShapeError: If there are fewer channels than branches.

    Source: Mehta et al., "Y-Net", MICCAI 2018, from the authors' code.
    """

    def __init__(
        self,
        channels: int,
        *,
        dilations: Sequence[int] = WIDE_DILATIONS,
        norm: Norm = batch_norm,
        act: Activation = relu,
        spatial_dims: SpatialDims = 2,
    ) -> None:
        super().__init__()
        width = _branch_width(channels, dilations)
        self.reduce = CONV[spatial_dims](channels, width, 3, padding=same_padding(3), bias=False)
        self.pyramid = DilatedPyramid(
            width, channels, dilations=dilations, spatial_dims=spatial_dims
        )
        self.norm = norm(channels, spatial_dims=spatial_dims)
        self.act = act(channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.norm(self.pyramid(self.reduce(x)) + x))


class NormedESPBlock(nn.Module):
    """ESP whose reduction is normalised and activated; with a stride, each branch takes it.

    ```
    x ── 1x1, N/K ── norm, act ── dilated pyramid, stride ── norm ──(+)── act
    └──────────────── where size and channels stay ─────────────────┘
    ```

    With M channels in, N out and K branches: MN/K + kᵈN²/K weights, of kernels kᵈ.

    Args:
        in_channels: Channels M in.
        out_channels: Channels N out, a multiple of K.
        stride: Step of the branches.
        dilations: One per branch, ascending, so K is their number.
        reduce_norm: Builds the normalisation of the reduction.
        norm: Builds the normalisation after the merge.
        act: Builds each activation.
        spatial_dims: 2 for images, 3 for volumes.

    Shape:
        `(B, in_channels, *S)` to `(B, out_channels, *ceil(S / stride))`.

    Raises:
        ShapeError: If the channels out do not divide by the branches.

    Source: Mehta et al., "3D-ESPNet with Pyramidal Refinement for Volumetric Brain Tumor Image
        Segmentation", BrainLes 2018, from the authors' code.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        stride: int = 1,
        dilations: Sequence[int] = NORMED_DILATIONS,
        reduce_norm: Norm = batch_norm,
        norm: Norm = batch_norm,
        act: Activation = relu,
        spatial_dims: SpatialDims = 3,
    ) -> None:
        super().__init__()
        if out_channels % len(dilations):
            raise ShapeError(
                f"A normed ESP block of {len(dilations)} branches got out_channels={out_channels}; "
                f"expected a multiple of {len(dilations)}."
            )
        width = _branch_width(out_channels, dilations)
        self.reduce = ConvNormAct(
            in_channels, width, 1, norm=reduce_norm, act=act, spatial_dims=spatial_dims
        )
        self.branches = nn.ModuleList(
            CONV[spatial_dims](
                width,
                width,
                3,
                stride=stride,
                padding=same_padding(3, dilation),
                dilation=dilation,
                bias=False,
            )
            for dilation in dilations
        )
        self.norm = norm(out_channels, spatial_dims=spatial_dims)
        self.act = act(out_channels)
        self.is_residual = stride == 1 and in_channels == out_channels

    def forward(self, x: Tensor) -> Tensor:
        reduced = self.reduce(x)
        first, *rest = (branch(reduced) for branch in self.branches)
        merged = self.norm(torch.cat([first, *hierarchical_feature_fusion(rest)], dim=1))
        return self.act(merged + x if self.is_residual else merged)


def _branch_width(channels: int, dilations: Sequence[int]) -> int:
    if not dilations or channels < len(dilations):
        raise ShapeError(
            f"An ESP block with dilations {tuple(dilations)} needs at least one channel per "
            f"branch, but has {channels}; give more channels or fewer dilations."
        )
    return channels // len(dilations)
