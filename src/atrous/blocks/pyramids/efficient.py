"""Efficient pyramid pooling: a depth-wise convolution at each of several sizes of a narrow map."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from atrous.blocks.conv import Activation, ConvNormAct, Norm, NormAct, batch_norm, prelu
from atrous.blocks.nd import CONV, same_padding
from atrous.blocks.resize import pool_to_size, resize_linear
from atrous.blocks.shuffle.channel_shuffle import channel_shuffle
from atrous.errors import ShapeError
from atrous.types import Size, SpatialDims

SCALES = (2.0, 1.5, 1.0, 0.5, 0.1)
"""Sizes that the map is seen at, relative to its own; the order is that of the weights."""

SHORTEST = 5
"""No map is made shorter than this along an axis, so that a 3x3 kernel finds more than padding."""


class EfficientPyramidPooling(nn.Module):
    """Reduce, see at K sizes, shuffle, merge within each channel, expand.

    ```
                    ┌─ up 2x ─── 3x3 depth-wise ── average back ─┐
                    ├─ up 1.5x ─ 3x3 depth-wise ── average back ─┤
    x ── 1x1, P ────┼─────────── 3x3 depth-wise ─────────────────┼── concat ── norm, act ──┐
         norm, act  ├─ to 0.5x ─ 3x3 depth-wise ── up again ─────┤                         │
                    └─ to 0.1x ─ 3x3 depth-wise ── up again ─────┘                         │
         ┌─────────────────────────────────────────────────────────────────────────────────┘
         └─ shuffle ── 3x3, P groups, norm, act ── 1x1 ── norm, act
    ```

    The shuffle puts the K views of one channel side by side, and each group of the 3x3 convolution
    merges them. With M channels in, N out: MP + 9KP + 9KP + PN weights.

    Args:
        in_channels: Channels in.
        out_channels: Channels out.
        width: Channels P of the narrow map.
        scales: Sizes relative to the map's; lengths are rounded up, at least 5.
        is_last: Whether the 1x1 convolution gives logits: with bias, and nothing after it.
        norm: Builds each normalisation.
        act: Builds each activation.
        spatial_dims: 2 for images, 3 for volumes.

    Shape:
        `(B, in_channels, *S)` to `(B, out_channels, *S)`.

    Raises:
        ShapeError: If a width or scale is not above 0.

    Source: the authors' code for ESPNetv2 and DiCENet (Mehta et al., CVPR 2019 and PAMI 2020).
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        width: int,
        scales: Sequence[float] = SCALES,
        is_last: bool = False,
        norm: Norm = batch_norm,
        act: Activation = prelu,
        spatial_dims: SpatialDims = 2,
    ) -> None:
        super().__init__()
        if width < 1 or not scales or min(scales) <= 0:
            raise ShapeError(
                f"Efficient pyramid pooling got a width of {width} and scales {tuple(scales)}; "
                f"expected a width of at least 1 and scales above 0."
            )
        joined = len(scales) * width
        self.reduce = ConvNormAct(
            in_channels, width, 1, norm=norm, act=act, spatial_dims=spatial_dims
        )
        self.branches = nn.ModuleList(
            CONV[spatial_dims](width, width, 3, padding=same_padding(3), groups=width, bias=False)
            for _ in scales
        )
        self.join = NormAct(joined, norm=norm, act=act, spatial_dims=spatial_dims)
        self.merge = ConvNormAct(
            joined, width, 3, groups=width, norm=norm, act=act, spatial_dims=spatial_dims
        )
        self.expand = CONV[spatial_dims](width, out_channels, 1, bias=is_last)
        self.finish = (
            nn.Identity()
            if is_last
            else NormAct(out_channels, norm=norm, act=act, spatial_dims=spatial_dims)
        )
        self.scales = tuple(scales)

    def forward(self, x: Tensor) -> Tensor:
        x = self.reduce(x)
        views = [
            _view(x, scale, branch)
            for scale, branch in zip(self.scales, self.branches, strict=True)
        ]
        joined = channel_shuffle(self.join(torch.cat(views, dim=1)), len(views))
        return self.finish(self.expand(self.merge(joined)))


def _view(x: Tensor, scale: float, branch: nn.Module) -> Tensor:
    """The map as the branch sees it at another size, brought back to its own."""
    if scale == 1:
        return branch(x)
    size = tuple(x.shape[2:])
    scaled: Size = tuple(max(SHORTEST, math.ceil(length * scale)) for length in size)
    # By the scale, not by the sizes: on a map shorter than 5 the small view is the larger one.
    if scale < 1:
        return resize_linear(branch(pool_to_size(x, scaled)), size, align_corners=True)
    return pool_to_size(branch(resize_linear(x, scaled, align_corners=True)), size)
