"""Fully convolutional networks, the first segmenters of this kind: FCN-32s, 16s and 8s.

Source: Long et al., "Fully Convolutional Networks for Semantic Segmentation", CVPR 2015. The
    authors pad the image by 100 pixels and crop the logits; here its lengths are padded to a
    multiple of the encoder's last reduction and the 7x7 convolution keeps its map's size.
"""

from torch import Tensor, nn

from atrous.blocks.conv import ConvBiasAct, ConvNormAct
from atrous.blocks.nd import CONV
from atrous.blocks.resize import BilinearUp, resize_linear
from atrous.errors import ShapeError
from atrous.networks.encoder import Encoder
from atrous.networks.encoders.for_segmentation import segmentation_encoder
from atrous.networks.segmenters.encoder_decoder import Vanilla
from atrous.networks.segmenters.joint import JointSegmenter, with_diagnosis
from atrous.networks.segmenters.segmenter import (
    Segmenter,
    auxiliary_head,
    check_classes,
    coarsest_of_each,
    initialise_decoder,
)
from atrous.types import Size, SpatialDims

FCN_WIDTH = 4096
"""Channels of the two convolutions that VGG's first two linear layers have become."""


class FCNDecoder(nn.Module):
    """Scores of the coarsest map, doubled once per skip, with the scores of finer maps added.

    ```
    coarsest ── 7x7 ── act ── dropout ── 1x1 ── act ── dropout ── 1x1 ── up 2x ──(+)── up 2x …
    finer map ── 1x1 ─────────────────────────────────────────────────────────────┘
    ```

    Args:
        encoder: For its channels and reductions.
        num_classes: Channels of all scores.
        num_skips: 0 for FCN-32s, 1 for 16s, 2 for 8s.
        width: Channels of the first two convolutions.
        spatial_dims: 2 for images, 3 for volumes.

    Raises:
        ShapeError: If the encoder has too few maps of different sizes.
    """

    def __init__(
        self,
        encoder: Encoder,
        *,
        num_classes: int,
        num_skips: int,
        width: int = FCN_WIDTH,
        spatial_dims: SpatialDims = 2,
    ) -> None:
        super().__init__()
        check_classes(num_classes)
        indices = coarsest_of_each(encoder.reductions)
        if num_skips >= len(indices):
            raise ShapeError(
                f"An FCN with {num_skips} skip connections needs maps of {num_skips + 1} sizes, "
                f"but got an encoder of reductions {encoder.reductions}; use another encoder, or a "
                f"larger output_stride."
            )
        channels = encoder.out_channels
        self.indices = tuple(reversed(indices[-1 - num_skips : -1]))
        self.score = nn.Sequential(
            ConvBiasAct(channels[-1], width, 7, spatial_dims=spatial_dims),
            nn.Dropout(0.5),
            ConvBiasAct(width, width, 1, spatial_dims=spatial_dims),
            nn.Dropout(0.5),
            CONV[spatial_dims](width, num_classes, 1),
        )
        self.skips = nn.ModuleList(
            CONV[spatial_dims](channels[index], num_classes, 1) for index in self.indices
        )
        self.ups = nn.ModuleList(
            BilinearUp(num_classes, spatial_dims=spatial_dims) for _ in self.indices
        )
        initialise_decoder(self, self.score[-1], *self.skips)

    def forward(self, maps: list[Tensor], size: Size) -> Tensor:  # noqa: ARG002 - as any decoder
        y = self.score(maps[-1])
        for up, skip, index in zip(self.ups, self.skips, self.indices, strict=True):
            finer = skip(maps[index])
            y = resize_linear(up(y), tuple(finer.shape[2:]), align_corners=False) + finer
        return y


def fcn_over(
    encoder: Encoder,
    *,
    num_classes: int,
    num_skips: int,
    width: int = FCN_WIDTH,
    has_auxiliary: bool = False,
    spatial_dims: SpatialDims = 2,
) -> Segmenter:
    """FCN-32s, 16s or 8s (0, 1 or 2 skips) over an encoder, whose last map is best at 32.

    Raises:
        ShapeError: If there are no classes, or too few maps of different sizes.
    """
    decoder = FCNDecoder(
        encoder,
        num_classes=num_classes,
        num_skips=num_skips,
        width=width,
        spatial_dims=spatial_dims,
    )
    auxiliary = auxiliary_head(
        encoder, num_classes=num_classes, has_auxiliary=has_auxiliary, spatial_dims=spatial_dims
    )
    return Segmenter(encoder, decoder, auxiliary=auxiliary, spatial_dims=spatial_dims)


def dilated_fcn_over(
    encoder: Encoder,
    *,
    num_classes: int,
    has_auxiliary: bool = False,
    spatial_dims: SpatialDims = 2,
) -> Vanilla:
    """Torchvision's FCN over an encoder: a 3x3 convolution to a quarter of the channels, then 1x1.

    Its encoder is dilated, so that the coarsest map stays at reduction 8; nothing is padded.
    """
    channels = encoder.out_channels[-1]
    width = max(1, channels // 4)
    before = nn.Sequential(
        ConvNormAct(channels, width, 3, spatial_dims=spatial_dims), nn.Dropout(0.1)
    )
    return Vanilla(
        encoder,
        num_classes=num_classes,
        before=before,
        channels=width,
        divisor=1,
        has_auxiliary=has_auxiliary,
        spatial_dims=spatial_dims,
    )


def fcn32s(
    *,
    encoder: str = "vgg16",
    num_classes: int = 21,
    in_channels: int = 3,
    output_stride: int = 32,
    width: int = FCN_WIDTH,
    num_labels: int | None = None,
    has_auxiliary: bool = False,
    spatial_dims: SpatialDims = 2,
) -> Segmenter | JointSegmenter:
    """FCN-32s over an encoder, without skip connections: 134,346,581 parameters at the defaults.

    Source: Long et al., "Fully Convolutional Networks for Semantic Segmentation", CVPR 2015.
    """
    built = segmentation_encoder(
        encoder, in_channels=in_channels, output_stride=output_stride, spatial_dims=spatial_dims
    )
    segmenter = fcn_over(
        built,
        num_classes=num_classes,
        num_skips=0,
        width=width,
        has_auxiliary=has_auxiliary,
        spatial_dims=spatial_dims,
    )
    return with_diagnosis(segmenter, num_labels)


def fcn16s(
    *,
    encoder: str = "vgg16",
    num_classes: int = 21,
    in_channels: int = 3,
    output_stride: int = 32,
    width: int = FCN_WIDTH,
    num_labels: int | None = None,
    has_auxiliary: bool = False,
    spatial_dims: SpatialDims = 2,
) -> Segmenter | JointSegmenter:
    """FCN-16s over an encoder, with one skip connection: 134,364,410 parameters at the defaults.

    Source: Long et al., "Fully Convolutional Networks for Semantic Segmentation", CVPR 2015.
    """
    built = segmentation_encoder(
        encoder, in_channels=in_channels, output_stride=output_stride, spatial_dims=spatial_dims
    )
    segmenter = fcn_over(
        built,
        num_classes=num_classes,
        num_skips=1,
        width=width,
        has_auxiliary=has_auxiliary,
        spatial_dims=spatial_dims,
    )
    return with_diagnosis(segmenter, num_labels)


def fcn8s(
    *,
    encoder: str = "vgg16",
    num_classes: int = 21,
    in_channels: int = 3,
    output_stride: int = 32,
    width: int = FCN_WIDTH,
    num_labels: int | None = None,
    has_auxiliary: bool = False,
    spatial_dims: SpatialDims = 2,
) -> Segmenter | JointSegmenter:
    """FCN-8s over an encoder, with two skip connections: 134,376,863 parameters at the defaults.

    Source: Long et al., "Fully Convolutional Networks for Semantic Segmentation", CVPR 2015.
    """
    built = segmentation_encoder(
        encoder, in_channels=in_channels, output_stride=output_stride, spatial_dims=spatial_dims
    )
    segmenter = fcn_over(
        built,
        num_classes=num_classes,
        num_skips=2,
        width=width,
        has_auxiliary=has_auxiliary,
        spatial_dims=spatial_dims,
    )
    return with_diagnosis(segmenter, num_labels)


def fcn(
    *,
    encoder: str = "resnet50",
    num_classes: int = 21,
    in_channels: int = 3,
    output_stride: int = 8,
    num_labels: int | None = None,
    has_auxiliary: bool = False,
    spatial_dims: SpatialDims = 2,
) -> Segmenter | JointSegmenter:
    """Torchvision's FCN over a dilated encoder: 32,957,013 parameters at the defaults."""
    built = segmentation_encoder(
        encoder, in_channels=in_channels, output_stride=output_stride, spatial_dims=spatial_dims
    )
    segmenter = dilated_fcn_over(
        built,
        num_classes=num_classes,
        has_auxiliary=has_auxiliary,
        spatial_dims=spatial_dims,
    )
    return with_diagnosis(segmenter, num_labels)
