"""ESPNet's block: reduce, split, transform, merge."""

from collections.abc import Sequence
from itertools import accumulate

import torch
from torch import Tensor, nn

from atrous.blocks.conv import Activation, Norm, batch_norm, prelu
from atrous.blocks.nd import CONV, same_padding
from atrous.errors import ShapeError
from atrous.types import SpatialDims

DILATIONS = (1, 2, 4, 8, 16)
"""ESPNet's branches: powers of two, so that K of them see 2^K + 1 positions along an axis."""


def hierarchical_feature_fusion(maps: Sequence[Tensor]) -> list[Tensor]:
    """Running sums of feature maps, ordered by dilation, so that no branch shows its grid.

    A convolution of dilation d samples every d-th position only; the sum with its neighbours of
    smaller dilation fills the holes, at no parameters.

    Shape:
        K maps `(B, C, *S)` to K maps of the same shape: `[a, b, c]` to `[a, a + b, a + b + c]`.

    Source: Mehta et al., "ESPNet", ECCV 2018.
    """
    return list(accumulate(maps, torch.add))


class DilatedPyramid(nn.Module):
    """Parallel 3x3 convolutions of growing dilation, fused: the split, transform, merge of ESP.

    ```
          ┌─ 3x3, dilation 1 ──────────────────────┐
          ├─ 3x3, dilation 2 ──┬───────────────────┤
    x ────┼─ 3x3, dilation 4 ──┴─(+)─┬─────────────┼── concat
          ├─ 3x3, dilation 8 ────────┴─(+)─┬───────┤
          └─ 3x3, dilation 16 ─────────────┴─(+)───┘
    ```

    The branch of dilation 1 takes no part in the sums and gets the channels that are left when
    `out_channels` is not a multiple of K. There is no normalisation or activation inside.

    Shape:
        `(B, in_channels, *S)` to `(B, out_channels, *S)`.

    Source: Mehta et al., "ESPNet", ECCV 2018; which branches are summed, from the authors' code.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        dilations: Sequence[int] = DILATIONS,
        spatial_dims: SpatialDims = 2,
    ) -> None:
        super().__init__()
        num_rest = len(dilations) - 1
        width = out_channels // len(dilations)
        self.branches = nn.ModuleList(
            CONV[spatial_dims](
                in_channels,
                width if index else out_channels - num_rest * width,
                3,
                padding=same_padding(3, dilation),
                dilation=dilation,
                bias=False,
            )
            for index, dilation in enumerate(dilations)
        )

    def forward(self, x: Tensor) -> Tensor:
        first, *rest = (branch(x) for branch in self.branches)
        return torch.cat([first, *hierarchical_feature_fusion(rest)], dim=1)


class ESPBlock(nn.Module):
    """Efficient spatial pyramid: a 1x1 reduction, a dilated pyramid, and the input added.

    ```
    x ── 1x1, C_out/K ── dilated pyramid ──(+)── norm ── act
    └──────────────────────────────────────┘
    ```

    With M channels in, N out, K branches and n = floor(N/K): Mn + 9n(N - (K-1)n) + 9(K-1)n²
    weights, against 9MN of a standard 3x3 convolution; its field is that of the widest branch,
    `2 max(dilations) + 1`: 33 for ESPNet's five.

    Args:
        in_channels: Channels in.
        out_channels: Channels out, at least K.
        dilations: One per branch, ascending, so K is their number.
        is_residual: Add the input to the merged map; needs `in_channels == out_channels`.
        norm: Builds the normalisation after the merge.
        act: Builds the activation after that.
        spatial_dims: 2 for images, 3 for volumes.

    Shape:
        `(B, in_channels, *S)` to `(B, out_channels, *S)`.

    Raises:
        ShapeError: If the channel counts do not allow it.

    Source: Mehta et al., "ESPNet", ECCV 2018.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        dilations: Sequence[int] = DILATIONS,
        is_residual: bool = True,
        norm: Norm = batch_norm,
        act: Activation = prelu,
        spatial_dims: SpatialDims = 2,
    ) -> None:
        super().__init__()
        if is_residual and in_channels != out_channels:
            raise ShapeError(
                f"A residual ESPBlock adds its input to its output, but got in_channels="
                f"{in_channels} and out_channels={out_channels}; make them equal or pass "
                f"is_residual=False."
            )
        width = _branch_width(out_channels, dilations)
        self.reduce = CONV[spatial_dims](in_channels, width, 1, bias=False)
        self.pyramid = DilatedPyramid(
            width, out_channels, dilations=dilations, spatial_dims=spatial_dims
        )
        self.norm = norm(out_channels, spatial_dims=spatial_dims)
        self.act = act(out_channels)
        self.is_residual = is_residual

    def forward(self, x: Tensor) -> Tensor:
        merged = self.pyramid(self.reduce(x))
        return self.act(self.norm(merged + x if self.is_residual else merged))


class StridedESPBlock(nn.Module):
    """ESP that halves the spatial size: its reduction is a 3x3 convolution of stride 2.

    ```
    x ── 3x3 stride 2, C_out/K ── dilated pyramid ── norm ── act
    ```

    Shape:
        `(B, in_channels, *S)` to `(B, out_channels, *ceil(S / 2))`.

    Raises:
        ShapeError: If there are fewer channels out than branches.

    Source: Mehta et al., "ESPNet", ECCV 2018.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        dilations: Sequence[int] = DILATIONS,
        norm: Norm = batch_norm,
        act: Activation = prelu,
        spatial_dims: SpatialDims = 2,
    ) -> None:
        super().__init__()
        width = _branch_width(out_channels, dilations)
        self.reduce = CONV[spatial_dims](
            in_channels, width, 3, stride=2, padding=same_padding(3), bias=False
        )
        self.pyramid = DilatedPyramid(
            width, out_channels, dilations=dilations, spatial_dims=spatial_dims
        )
        self.norm = norm(out_channels, spatial_dims=spatial_dims)
        self.act = act(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.norm(self.pyramid(self.reduce(x))))


def _branch_width(out_channels: int, dilations: Sequence[int]) -> int:
    width = out_channels // len(dilations) if dilations else 0
    if width == 0:
        raise ShapeError(
            f"An ESP block with dilations {tuple(dilations)} splits its {out_channels} channels "
            f"over {len(dilations)} branches, at least one each; give out_channels >= branches."
        )
    return width
