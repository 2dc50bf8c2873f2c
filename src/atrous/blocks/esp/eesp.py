"""ESPNetv2's block: depth-wise dilated convolutions between grouped 1x1 convolutions."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from atrous.blocks.conv import Activation, ConvNormAct, Norm, NormAct, batch_norm, identity, prelu
from atrous.blocks.esp.esp import hierarchical_feature_fusion
from atrous.blocks.nd import CONV, same_padding
from atrous.blocks.pool import average_pool
from atrous.errors import ShapeError
from atrous.types import SpatialDims

EESP_DILATIONS = (1, 2, 3, 4)
"""ESPNetv2's branches: one more position of reach each, unlike ESPNet's powers of two."""


def dilations_within(widest_field: int, num_branches: int = 4) -> tuple[int, ...]:
    """Dilations 1, 2, 3, … for 3x3 kernels, where those that would see too far become 1 again.

    A coarse map has few positions: a branch that reaches beyond them would convolve padding.

    Args:
        widest_field: No branch sees more positions than this along an axis; at least 3.
        num_branches: How many dilations.

    Returns:
        Dilations in ascending order.

    Example:
        >>> [dilations_within(field) for field in (9, 7, 5)]
        [(1, 2, 3, 4), (1, 1, 2, 3), (1, 1, 1, 2)]

    Source: Mehta et al., "ESPNetv2", CVPR 2019; the rule from the authors' code.
    """
    wanted = range(1, num_branches + 1)
    return tuple(sorted(d if 2 * d + 1 <= widest_field else 1 for d in wanted))


class EESPBlock(nn.Module):
    """Extremely efficient spatial pyramid: group reduce, depth-wise transform, group merge, add.

    ```
                          ┌─ 3x3 depth-wise, dilation 1 ──┬─────────────────────┐
                          ├─ 3x3 depth-wise, dilation 2 ─(+)─┬──────────────────┤
    x ── 1x1, K groups ───┤                                  │                  ├── concat ─┐
    │    norm, act        ├─ 3x3 depth-wise, dilation 3 ────(+)─┬───────────────┤           │
    │                     └─ 3x3 depth-wise, dilation 4 ───────(+)──────────────┘           │
    │                          ┌────────────────────────────────────────────────────────────┘
    │                          └─ norm, act ── 1x1, K groups ── norm ──(+)── act
    └───────────────────────────────────────────────────────────────────┘
    ```

    With M channels in, N out, K branches and n = N/K: Mn/K + 9nK + N²/K weights, against 9MN of
    a standard 3x3 convolution; it sees `2 max(dilations) + 1`, 9 for ESPNetv2's four.

    Args:
        in_channels: Channels in, a multiple of K.
        out_channels: Channels out, a multiple of K²: split K ways, then grouped K ways.
        dilations: One per branch, ascending, so K is their number.
        is_residual: Add the input to the merged map; needs `in_channels == out_channels`.
        norm: Builds each normalisation.
        act: Builds each activation.
        spatial_dims: 2 for images, 3 for volumes.

    Shape:
        `(B, in_channels, *S)` to `(B, out_channels, *S)`.

    Raises:
        ShapeError: If the channel counts do not allow it.

    Source: Mehta et al., "ESPNetv2: A Light-weight, Power Efficient, and General Purpose
        Convolutional Neural Network", CVPR 2019.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        dilations: Sequence[int] = EESP_DILATIONS,
        is_residual: bool = True,
        norm: Norm = batch_norm,
        act: Activation = prelu,
        spatial_dims: SpatialDims = 2,
    ) -> None:
        super().__init__()
        if is_residual and in_channels != out_channels:
            raise ShapeError(
                f"A residual EESPBlock adds its input to its output, but got in_channels="
                f"{in_channels} and out_channels={out_channels}; make them equal or pass "
                f"is_residual=False."
            )
        self.transform = DepthwisePyramid(
            in_channels,
            out_channels,
            dilations=dilations,
            norm=norm,
            act=act,
            spatial_dims=spatial_dims,
        )
        self.act = act(out_channels)
        self.is_residual = is_residual

    def forward(self, x: Tensor) -> Tensor:
        merged = self.transform(x)
        return self.act(merged + x if self.is_residual else merged)


class StridedEESPBlock(nn.Module):
    """EESP that halves the size: its input is average-pooled beside it, and the image is added.

    ```
    x ──┬─ average 3x3, stride 2 ────────────────────── concat ──(+)── act
        └─ EESP, depth-wise stride 2, no last act ────────┘       │
    image, pooled ── 3x3 ── norm, act ── 1x1 ── norm ─────────────┘
    ```

    The image's branch reinforces what pooling has lost; a block built without `image_channels` has
    none. With M channels in, N out: the weights of an EESP from M to N - M, and with an image of I
    channels 9I² + IN more.

    Args:
        in_channels: Channels M in, a multiple of K.
        out_channels: Channels N out; N - M a multiple of K².
        dilations: One per branch, ascending, so K is their number.
        image_channels: Channels of the image that reinforces the output; None for none.
        norm: Builds each normalisation.
        act: Builds each activation.
        spatial_dims: 2 for images, 3 for volumes.

    Shape:
        `(B, in_channels, *S)`, and `(B, image_channels, *ceil(S / 2))` if it takes an image, to
        `(B, out_channels, *ceil(S / 2))`.

    Raises:
        ShapeError: If the channel counts do not allow it, or an image is missing or not expected.

    Source: Mehta et al., "ESPNetv2", CVPR 2019.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        dilations: Sequence[int] = EESP_DILATIONS,
        image_channels: int | None = None,
        norm: Norm = batch_norm,
        act: Activation = prelu,
        spatial_dims: SpatialDims = 2,
    ) -> None:
        super().__init__()
        if out_channels <= in_channels:
            raise ShapeError(
                f"A strided EESP block passes its input on and adds channels to it, but got "
                f"in_channels={in_channels} and out_channels={out_channels}; "
                f"give more channels out than in."
            )
        self.pool = average_pool(stride=2, spatial_dims=spatial_dims)
        self.transform = DepthwisePyramid(
            in_channels,
            out_channels - in_channels,
            stride=2,
            dilations=dilations,
            norm=norm,
            act=act,
            spatial_dims=spatial_dims,
        )
        self.reinforce = (
            None
            if image_channels is None
            else nn.Sequential(
                ConvNormAct(
                    image_channels, image_channels, 3, norm=norm, act=act, spatial_dims=spatial_dims
                ),
                ConvNormAct(
                    image_channels,
                    out_channels,
                    1,
                    norm=norm,
                    act=identity,
                    spatial_dims=spatial_dims,
                ),
            )
        )
        self.act = act(out_channels)

    def forward(self, x: Tensor, image: Tensor | None = None) -> Tensor:
        if (image is None) != (self.reinforce is None):
            raise ShapeError(
                "A strided EESP block takes an image exactly if it was built with image_channels; "
                f"this one was built {'without' if self.reinforce is None else 'with'} and got "
                f"{'none' if image is None else 'one'}."
            )
        y = torch.cat([self.pool(x), self.transform(x)], dim=1)
        if image is not None and self.reinforce is not None:
            y = y + self.reinforce(image)
        return self.act(y)


class DepthwisePyramid(nn.Module):
    """EESP without what follows its merge: the part that its plain and strided form share.

    Shape:
        `(B, in_channels, *S)` to `(B, out_channels, *ceil(S / stride))`.

    Raises:
        ShapeError: If the channel counts are no multiples of K and K².

    Source: Mehta et al., "ESPNetv2", CVPR 2019.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        stride: int = 1,
        dilations: Sequence[int] = EESP_DILATIONS,
        norm: Norm = batch_norm,
        act: Activation = prelu,
        spatial_dims: SpatialDims = 2,
    ) -> None:
        super().__init__()
        groups = len(dilations)
        if not groups or in_channels % groups or out_channels % groups**2 or out_channels < 1:
            raise ShapeError(
                f"An EESP block with dilations {tuple(dilations)} needs channels in that divide by "
                f"their number {groups} and channels out that divide by {groups**2}, but makes "
                f"{out_channels} of {in_channels}; change the channels or the dilations."
            )
        width = out_channels // groups
        self.reduce = ConvNormAct(
            in_channels, width, 1, groups=groups, norm=norm, act=act, spatial_dims=spatial_dims
        )
        self.branches = nn.ModuleList(
            CONV[spatial_dims](
                width,
                width,
                3,
                stride=stride,
                padding=same_padding(3, dilation),
                dilation=dilation,
                groups=width,
                bias=False,
            )
            for dilation in dilations
        )
        self.join = NormAct(out_channels, norm=norm, act=act, spatial_dims=spatial_dims)
        self.merge = ConvNormAct(
            out_channels,
            out_channels,
            1,
            groups=groups,
            norm=norm,
            act=identity,
            spatial_dims=spatial_dims,
        )

    def forward(self, x: Tensor) -> Tensor:
        reduced = self.reduce(x)
        fused = hierarchical_feature_fusion([branch(reduced) for branch in self.branches])
        return self.merge(self.join(torch.cat(fused, dim=1)))
