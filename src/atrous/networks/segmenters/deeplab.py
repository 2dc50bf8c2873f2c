"""DeepLabv3 and v3+: a dilated encoder, and several dilations side by side after it.

Source: Chen et al., "Rethinking Atrous Convolution for Semantic Image Segmentation", 2017, and
    "Encoder-Decoder with Atrous Separable Convolution for Semantic Image Segmentation", ECCV 2018.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from atrous.blocks.conv import ConvNormAct
from atrous.blocks.nd import CONV
from atrous.blocks.pyramids.aspp import AtrousPyramidPooling, SeparableConvNormAct
from atrous.blocks.resize import resize_linear
from atrous.networks.encoder import Encoder
from atrous.networks.encoders.for_segmentation import segmentation_encoder
from atrous.networks.segmenters.encoder_decoder import Vanilla
from atrous.networks.segmenters.joint import JointSegmenter, with_diagnosis
from atrous.networks.segmenters.segmenter import (
    Segmenter,
    auxiliary_head,
    check_classes,
    initialise_decoder,
    map_at,
)
from atrous.types import Size, SpatialDims

WIDTH = 256
"""Channels of the decoder."""

LOW_WIDTH = 48
"""Channels that v3+ brings the fine map to, so that it does not outweigh the coarse one."""

LOW_REDUCTION = 4
"""Where v3+ takes its fine map."""

REACHES = (96, 192, 288)
"""Distances of neighbouring taps in input pixels, whatever the reduction: 12, 24, 36 at 8."""


def dilations_at(reduction: int) -> tuple[int, ...]:
    """Dilations that reach equally far in the image from a map at any reduction, at least 1.

    Example:
        >>> dilations_at(8), dilations_at(16)
        ((12, 24, 36), (6, 12, 18))
    """
    return tuple(max(1, reach // reduction) for reach in REACHES)


def deeplabv3_over(
    encoder: Encoder,
    *,
    num_classes: int,
    dilations: Sequence[int] | None = None,
    has_auxiliary: bool = False,
    spatial_dims: SpatialDims = 2,
) -> Vanilla:
    """DeepLabv3 over an encoder, as torchvision has it; nothing is padded.

    Args:
        encoder: Best one whose last map stays at reduction 8 or 16.
        num_classes: Channels of the logits.
        dilations: Of the pyramid's branches; None for those of the encoder's last reduction.
        has_auxiliary: Whether there is a further head on the last map but one.
        spatial_dims: 2 for images, 3 for volumes.

    Raises:
        ShapeError: If there are no classes.
    """
    chosen = dilations_at(encoder.reductions[-1]) if dilations is None else dilations
    before = nn.Sequential(
        AtrousPyramidPooling(
            encoder.out_channels[-1], WIDTH, dilations=chosen, spatial_dims=spatial_dims
        ),
        ConvNormAct(WIDTH, WIDTH, 3, spatial_dims=spatial_dims),
    )
    return Vanilla(
        encoder,
        num_classes=num_classes,
        before=before,
        channels=WIDTH,
        divisor=1,
        has_auxiliary=has_auxiliary,
        spatial_dims=spatial_dims,
    )


class DeepLabv3PlusDecoder(nn.Module):
    """The pyramid's map brought to that of a fine map, set beside it, and convolved.

    ```
    coarsest ── pyramid, separable ── separable 3x3 ── resize ── concat ── separable 3x3 ── 1x1
    map 4 ── 1x1, 48 ── norm ── act ───────────────────────────────┘
    ```

    Args:
        encoder: For its channels and reductions.
        num_classes: Channels of the logits.
        dilations: Of the pyramid's branches; None for those of the encoder's last reduction.
        align_corners: How maps are resized, see `resize_linear`.
        spatial_dims: 2 for images, 3 for volumes.

    Raises:
        ShapeError: If there are no classes.
    """

    def __init__(
        self,
        encoder: Encoder,
        *,
        num_classes: int,
        dilations: Sequence[int] | None = None,
        align_corners: bool = False,
        spatial_dims: SpatialDims = 2,
    ) -> None:
        super().__init__()
        check_classes(num_classes)
        self.low = map_at(encoder.reductions, LOW_REDUCTION)
        chosen = dilations_at(encoder.reductions[-1]) if dilations is None else dilations
        self.high = nn.Sequential(
            AtrousPyramidPooling(
                encoder.out_channels[-1],
                WIDTH,
                dilations=chosen,
                is_separable=True,
                spatial_dims=spatial_dims,
            ),
            SeparableConvNormAct(WIDTH, WIDTH, spatial_dims=spatial_dims),
        )
        self.reduce = ConvNormAct(
            encoder.out_channels[self.low], LOW_WIDTH, 1, spatial_dims=spatial_dims
        )
        self.merge = SeparableConvNormAct(WIDTH + LOW_WIDTH, WIDTH, spatial_dims=spatial_dims)
        self.head = CONV[spatial_dims](WIDTH, num_classes, 1)
        initialise_decoder(self, self.head)
        self.align_corners = align_corners

    def forward(self, maps: list[Tensor], size: Size) -> Tensor:  # noqa: ARG002 - as any decoder
        low = self.reduce(maps[self.low])
        high = resize_linear(
            self.high(maps[-1]), tuple(low.shape[2:]), align_corners=self.align_corners
        )
        return self.head(self.merge(torch.cat([high, low], dim=1)))


def deeplabv3plus_over(
    encoder: Encoder,
    *,
    num_classes: int,
    dilations: Sequence[int] | None = None,
    has_auxiliary: bool = False,
    align_corners: bool = False,
    spatial_dims: SpatialDims = 2,
) -> Segmenter:
    """DeepLabv3+ over an encoder, best one whose last map stays at reduction 16; see the decoder.

    The paper has two 3x3 convolutions after the concat, the common form that this is has one.
    """
    decoder = DeepLabv3PlusDecoder(
        encoder,
        num_classes=num_classes,
        dilations=dilations,
        align_corners=align_corners,
        spatial_dims=spatial_dims,
    )
    auxiliary = auxiliary_head(
        encoder, num_classes=num_classes, has_auxiliary=has_auxiliary, spatial_dims=spatial_dims
    )
    return Segmenter(
        encoder,
        decoder,
        auxiliary=auxiliary,
        align_corners=align_corners,
        spatial_dims=spatial_dims,
    )


def deeplabv3(
    *,
    encoder: str = "resnet50",
    num_classes: int = 21,
    in_channels: int = 3,
    output_stride: int = 8,
    num_labels: int | None = None,
    has_auxiliary: bool = False,
    spatial_dims: SpatialDims = 2,
) -> Segmenter | JointSegmenter:
    """DeepLabv3 over a dilated encoder: 39,638,869 parameters at the defaults.

    Source: Chen et al., "Rethinking Atrous Convolution", 2017; details as in torchvision.
    """
    built = segmentation_encoder(
        encoder, in_channels=in_channels, output_stride=output_stride, spatial_dims=spatial_dims
    )
    segmenter = deeplabv3_over(
        built,
        num_classes=num_classes,
        has_auxiliary=has_auxiliary,
        spatial_dims=spatial_dims,
    )
    return with_diagnosis(segmenter, num_labels)


def deeplabv3plus(
    *,
    encoder: str = "resnet50",
    num_classes: int = 21,
    in_channels: int = 3,
    output_stride: int = 16,
    align_corners: bool = False,
    num_labels: int | None = None,
    has_auxiliary: bool = False,
    spatial_dims: SpatialDims = 2,
) -> Segmenter | JointSegmenter:
    """DeepLabv3+ over a dilated encoder: 26,682,725 parameters at the defaults.

    Source: Chen et al., "Encoder-Decoder with Atrous Separable Convolution", ECCV 2018.
    """
    built = segmentation_encoder(
        encoder, in_channels=in_channels, output_stride=output_stride, spatial_dims=spatial_dims
    )
    segmenter = deeplabv3plus_over(
        built,
        num_classes=num_classes,
        align_corners=align_corners,
        has_auxiliary=has_auxiliary,
        spatial_dims=spatial_dims,
    )
    return with_diagnosis(segmenter, num_labels)
