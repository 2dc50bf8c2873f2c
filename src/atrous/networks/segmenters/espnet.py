"""ESPNet and ESPNet-C, its encoder with the lightest possible head.

Source: Mehta et al., "ESPNet: Efficient Spatial Pyramid of Dilated Convolutions for Semantic
    Segmentation", ECCV 2018; wiring and constants from the authors' code and checkpoints.
"""

from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name everybody reads

from atrous.blocks.conv import ConvNormAct, NormAct, batch_norm, prelu
from atrous.blocks.esp.esp import DILATIONS, ESPBlock, StridedESPBlock
from atrous.blocks.nd import CONV, CONV_TRANSPOSE, LINEAR_MODE
from atrous.blocks.pool import average_pool
from atrous.blocks.resize import crop_to_size, pad_to_multiple
from atrous.errors import ShapeError
from atrous.types import SpatialDims

DIVISOR = 8
"""Input lengths are padded inside to a multiple of this: the encoder halves three times."""

_norm = partial(batch_norm, eps=1e-3)  # the authors' setting; the default 1e-5 gives other logits


class ESPNetEncoder(nn.Module):
    """Three stages of ESP blocks, each of which also sees the image itself, average-pooled.

    Args:
        in_channels: Channels of the image.
        p: ESP blocks after the strided one at reduction 4.
        q: ESP blocks after the strided one at reduction 8.
        joins_image_in_skip: Whether the finest map returned is the one that the image has joined
            (as in the CamVid checkpoint) or the stem's alone (as in the Cityscapes checkpoints).
        spatial_dims: 2 for images, 3 for volumes.

    Attributes:
        out_channels: Channels of each returned map, finest first.
        reductions: How many input pixels one position of each map stands for, along an axis.

    Shape:
        `(B, in_channels, *S)` to a list of three maps `(B, out_channels[i], *S / reductions[i])`;
        every length of S must divide by 8.
    """

    def __init__(
        self,
        *,
        in_channels: int = 3,
        p: int = 2,
        q: int = 8,
        joins_image_in_skip: bool = True,
        spatial_dims: SpatialDims = 2,
    ) -> None:
        super().__init__()
        if p < 1 or q < 1:
            raise ShapeError(f"ESPNet needs at least one block per stage, but got p={p} and q={q}.")
        esp = partial(ESPBlock, norm=_norm, act=prelu, spatial_dims=spatial_dims)
        strided_esp = partial(StridedESPBlock, norm=_norm, act=prelu, spatial_dims=spatial_dims)
        norm_act = partial(NormAct, norm=_norm, act=prelu, spatial_dims=spatial_dims)
        joined1, joined2, joined3 = 16 + in_channels, 64 + 64 + in_channels, 128 + 128

        self.halve_image = average_pool(stride=2, spatial_dims=spatial_dims)
        self.stem = ConvNormAct(
            in_channels, 16, 3, stride=2, norm=_norm, act=prelu, spatial_dims=spatial_dims
        )
        self.join1 = norm_act(joined1)
        self.down2 = strided_esp(joined1, 64)
        self.stage2 = nn.Sequential(*(esp(64, 64) for _ in range(p)))
        self.join2 = norm_act(joined2)
        self.down3 = strided_esp(joined2, 128)
        self.stage3 = nn.Sequential(*(esp(128, 128) for _ in range(q)))
        self.join3 = norm_act(joined3)

        self.joins_image_in_skip = joins_image_in_skip
        self.out_channels = (joined1 if joins_image_in_skip else 16, joined2, joined3)
        self.reductions = (2, 4, 8)

    def forward(self, x: Tensor) -> list[Tensor]:
        half = self.halve_image(x)
        quarter = self.halve_image(half)
        stem = self.stem(x)
        map1 = self.join1(torch.cat([stem, half], dim=1))
        down2 = self.down2(map1)
        map2 = self.join2(torch.cat([self.stage2(down2), down2, quarter], dim=1))
        down3 = self.down3(map2)
        map3 = self.join3(torch.cat([down3, self.stage3(down3)], dim=1))
        return [map1 if self.joins_image_in_skip else stem, map2, map3]


class ESPNetC(nn.Module):
    """The encoder, a 1x1 convolution to classes, and linear up-sampling by 8.

    Shape:
        `(B, in_channels, *S)` to logits `(B, num_classes, *S)`, for any S.
    """

    def __init__(
        self, encoder: ESPNetEncoder, *, num_classes: int, spatial_dims: SpatialDims = 2
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = CONV[spatial_dims](encoder.out_channels[-1], num_classes, 1, bias=False)
        self.mode = LINEAR_MODE[spatial_dims]

    def coarse_logits(self, x: Tensor) -> Tensor:
        """Logits before up-sampling, `(B, num_classes, *S / 8)`, for S that divides by 8."""
        return self.head(self.encoder(x)[-1])

    def forward(self, x: Tensor) -> Tensor:
        padded = pad_to_multiple(x, DIVISOR)
        logits = F.interpolate(
            self.coarse_logits(padded),
            size=padded.shape[2:],
            mode=self.mode,
            align_corners=True,  # the framework of 2018 knew no other; the weights expect it
        )
        return crop_to_size(logits, x.shape[2:])


class ESPNet(nn.Module):
    """The encoder and a light decoder that reduces, up-samples and merges, level by level.

    ```
    reduction 8   map3 ── 1x1, C ── norm ── transposed 2x2
                                                 │
    reduction 4   map2 ── 1x1, C ───────────── concat ── norm, act ── ESP ── transposed 2x2
                                                                                  │
    reduction 2   map1 ─────────────────────────────────── concat ────────── norm, act
                                                             │
                                                      3x3, norm, act ── transposed 2x2 ── logits
    ```

    C is the number of classes. The authors have no network of fewer than 5: there C is 5 up to the
    last layer.

    Shape:
        `(B, in_channels, *S)` to logits `(B, num_classes, *S)`, for any S.
    """

    def __init__(
        self, encoder: ESPNetEncoder, *, num_classes: int, spatial_dims: SpatialDims = 2
    ) -> None:
        super().__init__()
        conv = partial(CONV[spatial_dims], kernel_size=1, bias=False)
        double = partial(CONV_TRANSPOSE[spatial_dims], kernel_size=2, stride=2, bias=False)
        norm_act = partial(NormAct, norm=_norm, act=prelu, spatial_dims=spatial_dims)
        channels1, channels2, channels3 = encoder.out_channels
        # The decoder is as wide as there are classes; an ESP block needs a channel a branch.
        width = max(num_classes, len(DILATIONS))

        self.encoder = encoder
        self.reduce3 = conv(channels3, width)
        self.norm3 = _norm(width, spatial_dims=spatial_dims)
        self.up3 = double(width, width)
        self.reduce2 = conv(channels2, width)
        self.join2 = norm_act(2 * width)
        self.merge2 = ESPBlock(
            2 * width,
            width,
            is_residual=False,
            norm=_norm,
            act=prelu,
            spatial_dims=spatial_dims,
        )
        self.up2 = double(width, width)
        self.act2 = norm_act(width)
        self.merge1 = ConvNormAct(
            width + channels1,
            width,
            3,
            norm=_norm,
            act=prelu,
            spatial_dims=spatial_dims,
        )
        self.up1 = double(width, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        map1, map2, map3 = self.encoder(pad_to_multiple(x, DIVISOR))
        y = self.up3(self.norm3(self.reduce3(map3)))
        y = self.merge2(self.join2(torch.cat([self.reduce2(map2), y], dim=1)))
        y = self.act2(self.up2(y))
        y = self.up1(self.merge1(torch.cat([y, map1], dim=1)))
        return crop_to_size(y, x.shape[2:])


def espnet_c(
    *,
    num_classes: int = 20,
    in_channels: int = 3,
    p: int = 2,
    q: int = 8,
    spatial_dims: SpatialDims = 2,
) -> ESPNetC:
    """ESPNet-C: 349,449 parameters at the defaults.

    Source: Mehta et al., "ESPNet", ECCV 2018.
    """
    encoder = ESPNetEncoder(in_channels=in_channels, p=p, q=q, spatial_dims=spatial_dims)
    return ESPNetC(encoder, num_classes=num_classes, spatial_dims=spatial_dims)


def espnet(
    *,
    num_classes: int = 20,
    in_channels: int = 3,
    p: int = 2,
    q: int = 8,
    joins_image_in_skip: bool = True,
    spatial_dims: SpatialDims = 2,
) -> ESPNet:
    """ESPNet: 365,109 parameters at the defaults; 364,569 without the image in its finest skip.

    Source: Mehta et al., "ESPNet", ECCV 2018; the two forms of the decoder, from the checkpoints.
    """
    encoder = ESPNetEncoder(
        in_channels=in_channels,
        p=p,
        q=q,
        joins_image_in_skip=joins_image_in_skip,
        spatial_dims=spatial_dims,
    )
    return ESPNet(encoder, num_classes=num_classes, spatial_dims=spatial_dims)
