"""Inception v2 and v3: the modules A to E, whose large kernels are factorised into small ones."""

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor, nn

from atrous.blocks.conv import (
    Activation,
    ConvNormAct,
    LineConvNormAct,
    Norm,
    ValidConvNormAct,
    batch_norm,
    relu,
)
from atrous.blocks.nd import MAX_POOL
from atrous.blocks.pool import average_pool
from atrous.errors import ShapeError
from atrous.types import SpatialDims

_LONG = 7  # of the lines that modules C and D factorise a square kernel into


class _Branches(nn.Module):
    """Branches on one input, concatenated in the order that they were given."""

    def __init__(self, branches: Sequence[nn.Module], *, out_channels: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)
        self.out_channels = out_channels

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([branch(x) for branch in self.branches], dim=1)


class InceptionA(_Branches):
    """Inception with two 3x3 convolutions in the place of one 5x5, and a 5x5 of few channels.

    ```
          ┌─ 1x1, 64 ────────────────────────────┐
          ├─ 1x1, 48 ── 5x5, 64 ─────────────────┤
    x ────┤                                      ├── concat
          ├─ 1x1, 64 ── 3x3, 96 ── 3x3, 96 ──────┤
          └─ average 3x3, stride 1 ── 1x1, P ────┘
    ```

    With M channels in and P = `pool_channels`: 176M + PM + 215,040 weights. It sees 5x5.

    Args:
        in_channels: Channels in.
        pool_channels: Channels P of the pooled branch.
        norm: Builds the normalisation after each convolution.
        act: Builds the activation after each convolution.
        spatial_dims: 2 for images, 3 for volumes.

    Shape:
        `(B, in_channels, *S)` to `(B, 224 + pool_channels, *S)`.

    Source: Szegedy et al., "Rethinking the Inception Architecture for Computer Vision", CVPR 2016.
    """

    def __init__(
        self,
        in_channels: int,
        *,
        pool_channels: int,
        norm: Norm = batch_norm,
        act: Activation = relu,
        spatial_dims: SpatialDims = 2,
    ) -> None:
        unit = partial(ConvNormAct, norm=norm, act=act, spatial_dims=spatial_dims)
        super().__init__(
            [
                unit(in_channels, 64, 1),
                nn.Sequential(unit(in_channels, 48, 1), unit(48, 64, 5)),
                nn.Sequential(unit(in_channels, 64, 1), unit(64, 96, 3), unit(96, 96, 3)),
                nn.Sequential(_average(spatial_dims), unit(in_channels, pool_channels, 1)),
            ],
            out_channels=224 + pool_channels,
        )


class InceptionB(_Branches):
    """Inception that halves the size: two convolutional branches and a max-pool, no padding.

    ```
          ┌─ 3x3 stride 2, 384 ────────────────────────┐
    x ────┼─ 1x1, 64 ── 3x3, 96 ── 3x3 stride 2, 96 ───┼── concat
          └─ max-pool 3x3, stride 2 ───────────────────┘
    ```

    With M channels in: 3,520M + 138,240 weights. It sees 5x5.

    Args:
        in_channels: Channels in.
        norm: Builds the normalisation after each convolution.
        act: Builds the activation after each convolution.
        spatial_dims: 2 for images, 3 for volumes.

    Shape:
        `(B, in_channels, *S)` to `(B, 480 + in_channels, *(floor((S - 3) / 2) + 1))`.

    Source: Szegedy et al., "Rethinking the Inception Architecture for Computer Vision", CVPR 2016.
    """

    def __init__(
        self,
        in_channels: int,
        *,
        norm: Norm = batch_norm,
        act: Activation = relu,
        spatial_dims: SpatialDims = 2,
    ) -> None:
        unit = partial(ConvNormAct, norm=norm, act=act, spatial_dims=spatial_dims)
        halve = partial(ValidConvNormAct, stride=2, norm=norm, act=act, spatial_dims=spatial_dims)
        super().__init__(
            [
                halve(in_channels, 384, 3),
                nn.Sequential(unit(in_channels, 64, 1), unit(64, 96, 3), halve(96, 96, 3)),
                MAX_POOL[spatial_dims](3, stride=2),
            ],
            out_channels=480 + in_channels,
        )


class InceptionC(_Branches):
    """Inception whose 7x7 convolutions are a 1x7 and a 7x1 one after the other.

    ```
          ┌─ 1x1, 192 ────────────────────────────────────────────────┐
          ├─ 1x1, c ── 1x7, c ── 7x1, 192 ────────────────────────────┤
    x ────┤                                                           ├── concat
          ├─ 1x1, c ── 7x1, c ── 1x7, c ── 7x1, c ── 1x7, 192 ────────┤
          └─ average 3x3, stride 1 ── 1x1, 192 ───────────────────────┘
    ```

    With M channels in and c = `width`: 384M + 2cM + 28c² + 2,688c weights. It sees 13x13.

    Args:
        in_channels: Channels in.
        width: Channels c inside the factorised branches.
        norm: Builds the normalisation after each convolution.
        act: Builds the activation after each convolution.
        spatial_dims: 2; a pair of lines makes up a square, not a cube.

    Shape:
        `(B, in_channels, H, W)` to `(B, 768, H, W)`.

    Raises:
        ShapeError: If `spatial_dims` is 3.

    Source: Szegedy et al., "Rethinking the Inception Architecture for Computer Vision", CVPR 2016.
    """

    def __init__(
        self,
        in_channels: int,
        *,
        width: int,
        norm: Norm = batch_norm,
        act: Activation = relu,
        spatial_dims: SpatialDims = 2,
    ) -> None:
        _refuse_volumes("C", spatial_dims)
        unit = partial(ConvNormAct, norm=norm, act=act)
        line = partial(LineConvNormAct, norm=norm, act=act)
        row, column = (1, _LONG), (_LONG, 1)
        super().__init__(
            [
                unit(in_channels, 192, 1),
                nn.Sequential(
                    unit(in_channels, width, 1), line(width, width, row), line(width, 192, column)
                ),
                nn.Sequential(
                    unit(in_channels, width, 1),
                    line(width, width, column),
                    line(width, width, row),
                    line(width, width, column),
                    line(width, 192, row),
                ),
                nn.Sequential(_average(2), unit(in_channels, 192, 1)),
            ],
            out_channels=768,
        )


class InceptionD(_Branches):
    """Inception that halves the size behind a factorised 7x7 convolution, no padding.

    ```
          ┌─ 1x1, 192 ── 3x3 stride 2, 320 ─────────────────────────────┐
    x ────┼─ 1x1, 192 ── 1x7, 192 ── 7x1, 192 ── 3x3 stride 2, 192 ─────┼── concat
          └─ max-pool 3x3, stride 2 ────────────────────────────────────┘
    ```

    With M channels in: 384M + 1,400,832 weights. It sees 9x9.

    Args:
        in_channels: Channels in.
        norm: Builds the normalisation after each convolution.
        act: Builds the activation after each convolution.
        spatial_dims: 2; a pair of lines makes up a square, not a cube.

    Shape:
        `(B, in_channels, H, W)` to `(B, 512 + in_channels, *(floor((S - 3) / 2) + 1))`.

    Raises:
        ShapeError: If `spatial_dims` is 3.

    Source: Szegedy et al., "Rethinking the Inception Architecture for Computer Vision", CVPR 2016.
    """

    def __init__(
        self,
        in_channels: int,
        *,
        norm: Norm = batch_norm,
        act: Activation = relu,
        spatial_dims: SpatialDims = 2,
    ) -> None:
        _refuse_volumes("D", spatial_dims)
        unit = partial(ConvNormAct, norm=norm, act=act)
        halve = partial(ValidConvNormAct, stride=2, norm=norm, act=act)
        line = partial(LineConvNormAct, norm=norm, act=act)
        super().__init__(
            [
                nn.Sequential(unit(in_channels, 192, 1), halve(192, 320, 3)),
                nn.Sequential(
                    unit(in_channels, 192, 1),
                    line(192, 192, (1, _LONG)),
                    line(192, 192, (_LONG, 1)),
                    halve(192, 192, 3),
                ),
                MAX_POOL[2](3, stride=2),
            ],
            out_channels=512 + in_channels,
        )


class InceptionE(_Branches):
    """Inception for the coarsest maps: 3x3 convolutions as a 1x3 and a 3x1 side by side.

    ```
          ┌─ 1x1, 320 ───────────────────────────────────────────┐
          │                        ┌─ 1x3, 384 ─┐                │
          ├─ 1x1, 384 ─────────────┴─ 3x1, 384 ─┴────────────────┤
    x ────┤                                                      ├── concat
          │                        ┌─ 1x3, 384 ─┐                │
          ├─ 1x1, 448 ── 3x3, 384 ─┴─ 3x1, 384 ─┴────────────────┤
          └─ average 3x3, stride 1 ── 1x1, 192 ──────────────────┘
    ```

    With M channels in: 1,344M + 3,317,760 weights. It sees 5x5.

    Args:
        in_channels: Channels in.
        norm: Builds the normalisation after each convolution.
        act: Builds the activation after each convolution.
        spatial_dims: 2; a pair of lines makes up a square, not a cube.

    Shape:
        `(B, in_channels, H, W)` to `(B, 2048, H, W)`.

    Raises:
        ShapeError: If `spatial_dims` is 3.

    Source: Szegedy et al., "Rethinking the Inception Architecture for Computer Vision", CVPR 2016.
    """

    def __init__(
        self,
        in_channels: int,
        *,
        norm: Norm = batch_norm,
        act: Activation = relu,
        spatial_dims: SpatialDims = 2,
    ) -> None:
        _refuse_volumes("E", spatial_dims)
        unit = partial(ConvNormAct, norm=norm, act=act)
        line = partial(LineConvNormAct, norm=norm, act=act)

        def cross() -> nn.Module:
            return _Branches([line(384, 384, (1, 3)), line(384, 384, (3, 1))], out_channels=768)

        super().__init__(
            [
                unit(in_channels, 320, 1),
                nn.Sequential(unit(in_channels, 384, 1), cross()),
                nn.Sequential(unit(in_channels, 448, 1), unit(448, 384, 3), cross()),
                nn.Sequential(_average(2), unit(in_channels, 192, 1)),
            ],
            out_channels=2048,
        )


def _average(spatial_dims: SpatialDims) -> nn.Module:
    return average_pool(stride=1, spatial_dims=spatial_dims)


def _refuse_volumes(module: str, spatial_dims: SpatialDims) -> None:
    if spatial_dims != 2:
        raise ShapeError(
            f"Inception module {module} factorises squares into lines, so it is for images only, "
            f"but got spatial_dims={spatial_dims}; use 2, or another block for volumes."
        )
