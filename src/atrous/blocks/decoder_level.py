"""One level of a decoder: a coarse map brought to a finer size, joined by a skip, convolved."""

from typing import Literal, TypeAlias, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name everybody reads

from atrous.blocks.conv import ConvNormAct, Norm, batch_norm
from atrous.blocks.nd import CONV
from atrous.blocks.resize import is_free
from atrous.errors import ShapeError
from atrous.types import Size, SpatialDims

Join: TypeAlias = Literal["concat", "add"]
"""How a skip connection joins: beside the decoder's channels, or added to them after a 1x1."""


def repeat_to_size(x: Tensor, size: Size) -> Tensor:
    """The map at `size` positions, each with the value of the nearest before; itself if it fits.

    Shape:
        `(B, C, *S)` to `(B, C, *size)`.

    Example:
        >>> repeat_to_size(torch.tensor([[[[1.0, 2.0]]]]), (1, 4)).flatten().tolist()
        [1.0, 1.0, 2.0, 2.0]
    """
    if not is_free(x) and tuple(x.shape[2:]) == tuple(size):
        return x
    return F.interpolate(x, size=tuple(size), mode="nearest")


def _two_convs(
    in_channels: int, out_channels: int, *, norm: Norm, spatial_dims: SpatialDims
) -> nn.Sequential:
    return nn.Sequential(
        ConvNormAct(in_channels, out_channels, 3, norm=norm, spatial_dims=spatial_dims),
        ConvNormAct(out_channels, out_channels, 3, norm=norm, spatial_dims=spatial_dims),
    )


class DecoderLevel(nn.Module):
    """Two 3x3 convolutions over a map that has been brought to a finer size.

    ```
    y ── repeat to size ── 3x3 ── norm ── act ── 3x3 ── norm ── act
    ```

    With M channels in and N out: 9MN + 9N² weights.

    Args:
        in_channels: Channels M of the coarse map.
        out_channels: Channels N out.
        norm: Builds each normalisation.
        spatial_dims: 2 for images, 3 for volumes.

    Shape:
        `(B, in_channels, *S)` and a size to `(B, out_channels, *size)`.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        norm: Norm = batch_norm,
        spatial_dims: SpatialDims = 2,
    ) -> None:
        super().__init__()
        self.convs = _two_convs(in_channels, out_channels, norm=norm, spatial_dims=spatial_dims)

    def forward(self, y: Tensor, size: Size) -> Tensor:
        return self.convs(repeat_to_size(y, size))


class SkipLevel(nn.Module):
    """The same, after the encoder's map of that size has joined.

    ```
    y ── repeat to skip's size ── concat ── 3x3 ── norm ── act ── 3x3 ── norm ── act
    skip ───────────────────────────┘

    y ── repeat to skip's size ──(+)── 3x3 ── norm ── act ── 3x3 ── norm ── act
    skip ── 1x1 ──────────────────┘
    ```

    With M channels in, L of the skip and N out: 9(M + L)N + 9N² weights beside each other, and
    LM + 9MN + 9N² added up.

    Args:
        in_channels: Channels M of the coarse map.
        skip_channels: Channels L of the encoder's map.
        out_channels: Channels N out.
        join: `concat`, or `add` for the second form.
        norm: Builds each normalisation.
        spatial_dims: 2 for images, 3 for volumes.

    Shape:
        `(B, in_channels, *S)` and a skip `(B, skip_channels, *T)` to `(B, out_channels, *T)`.

    Raises:
        ShapeError: If there is no such join.

    Source: concat, Ronneberger et al., "U-Net: Convolutional Networks for Biomedical Image
        Segmentation", MICCAI 2015, there with transposed convolutions and without padding; the sum
        after a 1x1, Lin et al., "Feature Pyramid Networks for Object Detection", CVPR 2017.
    """

    def __init__(
        self,
        in_channels: int,
        skip_channels: int,
        out_channels: int,
        *,
        join: Join = "concat",
        norm: Norm = batch_norm,
        spatial_dims: SpatialDims = 2,
    ) -> None:
        super().__init__()
        if join not in get_args(Join):
            raise ShapeError(f"Got join={join!r}; a skip connection joins by 'concat' or 'add'.")
        if join == "add":
            self.lateral = CONV[spatial_dims](skip_channels, in_channels, 1)
        self.join: Join = join
        joined = in_channels + (skip_channels if join == "concat" else 0)
        self.convs = _two_convs(joined, out_channels, norm=norm, spatial_dims=spatial_dims)

    def forward(self, y: Tensor, skip: Tensor) -> Tensor:
        y = repeat_to_size(y, tuple(skip.shape[2:]))
        y = torch.cat([y, skip], dim=1) if self.join == "concat" else y + self.lateral(skip)
        return self.convs(y)
