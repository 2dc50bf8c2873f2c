"""Inception v1: four fields of view side by side."""

from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn

from atrous.blocks.conv import Activation, Norm, conv_unit, relu
from atrous.blocks.nd import MAX_POOL
from atrous.types import SpatialDims


@dataclass(frozen=True, slots=True)
class InceptionWidths:
    """Channels of an Inception block's convolutions, in the order of the paper's table."""

    point: int
    reduce3: int
    conv3: int
    reduce5: int
    conv5: int
    pool: int

    @property
    def out_channels(self) -> int:
        """Channels of the concatenation."""
        return self.point + self.conv3 + self.conv5 + self.pool


class InceptionBlock(nn.Module):
    """1x1, 3x3 and 5x5 convolutions and a max-pool in parallel, concatenated.

    ```
          ┌─ 1x1, point ──────────────────────────┐
          ├─ 1x1, reduce3 ── 3x3, conv3 ──────────┤
    x ────┤                                       ├── concat
          ├─ 1x1, reduce5 ── 5x5, conv5 ──────────┤
          └─ max-pool 3x3, stride 1 ── 1x1, pool ─┘
    ```

    With M channels in: M(point + reduce3 + reduce5 + pool) + 9 reduce3 conv3 + 25 reduce5 conv5
    weights. It sees 5x5.

    Args:
        in_channels: Channels in.
        widths: Channels of the convolutions.
        widest_kernel: 5 as in the paper. 3 is a slip that torchvision keeps, because its published
            weights were trained with it.
        norm: Builds the normalisation after each convolution; None, as in the paper, for
            convolutions with a bias and no normalisation.
        act: Builds the activation after each convolution.
        spatial_dims: 2 for images, 3 for volumes.

    Shape:
        `(B, in_channels, *S)` to `(B, widths.out_channels, *S)`.

    Source: Szegedy et al., "Going Deeper with Convolutions", CVPR 2015.
    """

    def __init__(
        self,
        in_channels: int,
        widths: InceptionWidths,
        *,
        widest_kernel: Literal[3, 5] = 5,
        norm: Norm | None = None,
        act: Activation = relu,
        spatial_dims: SpatialDims = 2,
    ) -> None:
        super().__init__()
        unit = partial(conv_unit, norm=norm, act=act, spatial_dims=spatial_dims)
        self.point = unit(in_channels, widths.point, 1)
        self.branch3 = nn.Sequential(
            unit(in_channels, widths.reduce3, 1), unit(widths.reduce3, widths.conv3, 3)
        )
        self.branch5 = nn.Sequential(
            unit(in_channels, widths.reduce5, 1), unit(widths.reduce5, widths.conv5, widest_kernel)
        )
        self.pool = nn.Sequential(
            MAX_POOL[spatial_dims](3, stride=1, padding=1), unit(in_channels, widths.pool, 1)
        )
        self.out_channels = widths.out_channels

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.point(x), self.branch3(x), self.branch5(x), self.pool(x)], dim=1)
