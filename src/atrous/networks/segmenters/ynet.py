"""Y-Net: the tissues of a biopsy image and its diagnosis, from one encoder.

Source: Mehta et al., "Y-Net: Joint Segmentation and Classification for Diagnosis of Breast Biopsy
    Images", MICCAI 2018; wiring and constants from the authors' code.
"""

from fractions import Fraction
from functools import partial
from typing import Literal, TypeAlias

import torch
from torch import Tensor, nn

from atrous.blocks.conv import ConvNormAct
from atrous.blocks.nd import ADAPTIVE_AVG_POOL, CONV, same_padding
from atrous.blocks.pyramids.halving import PyramidPooling
from atrous.blocks.resize import crop_to_size, double_linear, pad_to_multiple
from atrous.errors import ShapeError, UnknownNameError
from atrous.networks.encoder import initialise
from atrous.networks.segmenters.ynet_encoder import BLOCKS, YNetEncoder, YNetStage, ynet_norm
from atrous.types import SpatialDims

DIVISOR = 8
"""Input lengths are padded inside to a multiple of this: the encoder halves three times."""

FRACTIONS = (Fraction(5, 6), Fraction(2, 3), Fraction(1, 2), Fraction(3, 8))
"""Pooled sizes at every level; the authors have them as lengths, for images of 384 x 384."""

Block: TypeAlias = Literal["esp", "residual"]
"""`esp` is the authors' C1, `residual` their D1."""


class YNetSegmenter(nn.Module):
    """Y-Net's left and middle: the encoder, and pyramid pooling before each doubling of the size.

    ```
    reduction 8   map3 ── pyramid pooling ── 1x1, 3x3, 1x1 ── up 2x
                                                               │
    reduction 4   map2 ───────────────────────────────────── concat ── pyramid pooling ── 3x3, 1x1
                                                                                              │
    reduction 2   map1 ── concat ─────────────────────────────────────────────────── up 2x ───┘
                            └─ pyramid pooling ── 3x3, 7x7 ── up 2x ── logits
    ```

    Args:
        encoder: Three maps, at reductions 2, 4, 8.
        num_classes: Channels of the logits, and of the decoder's maps.
        align_corners: How maps are resized. The authors trained with True, the only way that their
            framework had; run on a later one, their code does it with False.
        spatial_dims: 2 for images, 3 for volumes.

    Shape:
        `(B, in_channels, *S)` to logits `(B, num_classes, *S)`, for any S.

    Raises:
        ShapeError: If there are no classes.
    """

    def __init__(
        self,
        encoder: YNetEncoder,
        *,
        num_classes: int,
        align_corners: bool = True,
        spatial_dims: SpatialDims = 2,
    ) -> None:
        super().__init__()
        if num_classes < 1:
            raise ShapeError(f"A segmenter needs at least one class, but got {num_classes}.")
        unit = partial(ConvNormAct, norm=ynet_norm, spatial_dims=spatial_dims)
        pool = partial(
            PyramidPooling,
            fractions=FRACTIONS,
            align_corners=align_corners,
            norm=ynet_norm,
            spatial_dims=spatial_dims,
        )
        channels1, channels2, channels3 = encoder.out_channels
        self.encoder = encoder
        self.pool3 = pool(channels3, 128)
        self.merge3 = nn.Sequential(
            unit(self.pool3.out_channels, 128, 1),
            unit(128, num_classes, 3),
            unit(num_classes, num_classes, 1),
        )
        self.pool2 = pool(num_classes + channels2, 64)
        self.merge2 = nn.Sequential(
            unit(self.pool2.out_channels, num_classes, 3), unit(num_classes, num_classes, 1)
        )
        self.pool1 = pool(channels1 + num_classes, num_classes)
        self.merge1 = unit(self.pool1.out_channels, num_classes, 3)
        self.head = CONV[spatial_dims](
            num_classes, num_classes, 7, padding=same_padding(7), bias=False
        )
        self.align_corners = align_corners
        initialise(self)

    def decode(self, maps: list[Tensor]) -> Tensor:
        """Logits at twice the size of the finest map."""
        map1, map2, map3 = maps
        y = self._double(self.merge3(self.pool3(map3)))
        y = self._double(self.merge2(self.pool2(torch.cat([y, map2], dim=1))))
        y = self.merge1(self.pool1(torch.cat([map1, y], dim=1)))
        return self._double(self.head(y))

    def forward(self, x: Tensor) -> Tensor:
        maps = self.encoder(pad_to_multiple(x, DIVISOR))
        return crop_to_size(self.decode(maps), x.shape[2:])

    def _double(self, x: Tensor) -> Tensor:
        return double_linear(x, align_corners=self.align_corners)


class YNet(nn.Module):
    """Y-Net whole: the segmenter, and from its coarsest map a branch that names the image.

    ```
    image ── encoder ──┬── decoder ── mask logits
                       └── stage 4 ── stage 5 ── mean ── linear ── linear ── label logits
    ```

    Args:
        segmenter: Gives the masks, and the encoder to both.
        num_labels: Length of the image's logits.
        block: Of which blocks the branch's stages are made.
        spatial_dims: 2 for images, 3 for volumes.

    Shape:
        `(B, in_channels, *S)` to mask logits `(B, num_classes, *S)` and label logits
        `(B, num_labels)`, for any S.

    Raises:
        ShapeError: If there are no labels.
        UnknownNameError: If there is no such block.
    """

    def __init__(
        self,
        segmenter: YNetSegmenter,
        *,
        num_labels: int,
        block: str = "esp",
        spatial_dims: SpatialDims = 2,
    ) -> None:
        super().__init__()
        if num_labels < 1:
            raise ShapeError(f"Y-Net needs at least one label of images, but got {num_labels}.")
        if block not in BLOCKS:
            raise UnknownNameError("block of Y-Net", block, BLOCKS)
        stage = partial(YNetStage, block=block, repeats=2, spatial_dims=spatial_dims)
        branch = nn.Sequential()
        branch.add_module("stage4", stage(segmenter.encoder.out_channels[-1], 128))
        branch.add_module("stage5", stage(256, 64))
        branch.add_module("pool", ADAPTIVE_AVG_POOL[spatial_dims](1))
        branch.add_module("flatten", nn.Flatten())
        branch.add_module("reduce", nn.Linear(128, 64))
        branch.add_module("linear", nn.Linear(64, num_labels))  # no activation in between
        initialise(branch)
        self.segmenter = segmenter
        self.branch = branch

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        maps = self.segmenter.encoder(pad_to_multiple(x, DIVISOR))
        masks = crop_to_size(self.segmenter.decode(maps), x.shape[2:])
        return masks, self.branch(maps[-1])


def start_from_segmenter(network: YNet, segmenter: YNetSegmenter) -> None:
    """Copy a trained segmenter into a whole Y-Net, in place: the authors' stage 1 into stage 2.

    Raises:
        ShapeError: If the two are of other blocks, classes or channels, or resize otherwise.
    """
    if network.segmenter.align_corners != segmenter.align_corners:
        raise ShapeError(
            f"The segmenter was trained with align_corners={segmenter.align_corners}; build the "
            f"Y-Net that it goes into with the same."
        )
    try:
        network.segmenter.load_state_dict(segmenter.state_dict())
    except RuntimeError as error:
        detail = str(error).splitlines()[1].strip() if "\n" in str(error) else str(error)
        raise ShapeError(
            f"The segmenter's weights do not fit this Y-Net ({detail}); build it with the same "
            f"block, num_classes and in_channels."
        ) from error


def ynet_seg(
    *,
    num_classes: int = 8,
    in_channels: int = 3,
    block: Block = "esp",
    align_corners: bool = True,
    spatial_dims: SpatialDims = 2,
) -> YNetSegmenter:
    """Y-Net's segmenter alone: 2,755,488 parameters at the defaults, 7,624,608 of residual blocks.

    Source: Mehta et al., "Y-Net", MICCAI 2018.
    """
    encoder = YNetEncoder(block=block, in_channels=in_channels, spatial_dims=spatial_dims)
    return YNetSegmenter(
        encoder, num_classes=num_classes, align_corners=align_corners, spatial_dims=spatial_dims
    )


def ynet(
    *,
    num_classes: int = 8,
    num_labels: int = 5,
    in_channels: int = 3,
    block: Block = "esp",
    align_corners: bool = True,
    spatial_dims: SpatialDims = 2,
) -> YNet:
    """Y-Net: 3,687,589 parameters at the defaults, 9,110,437 of residual blocks.

    The authors count 3,913,381 for the first, with a dilated convolution in each block that their
    code builds and never uses.

    Source: Mehta et al., "Y-Net", MICCAI 2018.
    """
    segmenter = ynet_seg(
        num_classes=num_classes,
        in_channels=in_channels,
        block=block,
        align_corners=align_corners,
        spatial_dims=spatial_dims,
    )
    return YNet(segmenter, num_labels=num_labels, block=block, spatial_dims=spatial_dims)
