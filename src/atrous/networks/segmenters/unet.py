"""The three steps, and the U-Net that the third becomes, over an encoder by name."""

from atrous.blocks.decoder_level import Join
from atrous.networks.encoders.for_segmentation import segmentation_encoder
from atrous.networks.segmenters.encoder_decoder import (
    DECODER_WIDTH,
    EncoderDecoder,
    SkipEncoderDecoder,
    Vanilla,
)
from atrous.networks.segmenters.joint import JointSegmenter, with_diagnosis
from atrous.networks.segmenters.segmenter import Segmenter
from atrous.types import SpatialDims


def vanilla(
    *,
    encoder: str = "resnet18",
    num_classes: int = 21,
    in_channels: int = 3,
    output_stride: int = 32,
    num_labels: int | None = None,
    has_auxiliary: bool = False,
    spatial_dims: SpatialDims = 2,
) -> Segmenter | JointSegmenter:
    """Step 1 over an encoder, see `Vanilla`: 11,187,285 parameters at the defaults."""
    built = segmentation_encoder(
        encoder, in_channels=in_channels, output_stride=output_stride, spatial_dims=spatial_dims
    )
    segmenter = Vanilla(
        built,
        num_classes=num_classes,
        has_auxiliary=has_auxiliary,
        spatial_dims=spatial_dims,
    )
    return with_diagnosis(segmenter, num_labels)


def encoder_decoder(
    *,
    encoder: str = "resnet18",
    num_classes: int = 21,
    in_channels: int = 3,
    output_stride: int = 32,
    width: int = DECODER_WIDTH,
    num_labels: int | None = None,
    has_auxiliary: bool = False,
    spatial_dims: SpatialDims = 2,
) -> Segmenter | JointSegmenter:
    """Step 2 over an encoder, see `EncoderDecoder`: 13,538,533 parameters at the defaults."""
    built = segmentation_encoder(
        encoder, in_channels=in_channels, output_stride=output_stride, spatial_dims=spatial_dims
    )
    segmenter = EncoderDecoder(
        built,
        num_classes=num_classes,
        width=width,
        has_auxiliary=has_auxiliary,
        spatial_dims=spatial_dims,
    )
    return with_diagnosis(segmenter, num_labels)


def skip_encoder_decoder(
    *,
    encoder: str = "resnet18",
    num_classes: int = 21,
    in_channels: int = 3,
    output_stride: int = 32,
    join: Join = "add",
    width: int = DECODER_WIDTH,
    num_labels: int | None = None,
    has_auxiliary: bool = False,
    spatial_dims: SpatialDims = 2,
) -> Segmenter | JointSegmenter:
    """Step 3 over an encoder, see `SkipEncoderDecoder`: 13,715,621 parameters at the defaults."""
    built = segmentation_encoder(
        encoder, in_channels=in_channels, output_stride=output_stride, spatial_dims=spatial_dims
    )
    segmenter = SkipEncoderDecoder(
        built,
        num_classes=num_classes,
        join=join,
        width=width,
        has_auxiliary=has_auxiliary,
        spatial_dims=spatial_dims,
    )
    return with_diagnosis(segmenter, num_labels)


def unet(
    *,
    encoder: str = "resnet34",
    num_classes: int = 21,
    in_channels: int = 3,
    output_stride: int = 32,
    width: int = DECODER_WIDTH,
    num_labels: int | None = None,
    has_auxiliary: bool = False,
    spatial_dims: SpatialDims = 2,
) -> Segmenter | JointSegmenter:
    """A U-Net over an encoder: 24,439,269 parameters at the defaults.

    Source: Ronneberger et al., "U-Net", MICCAI 2015; over an encoder, as practice has it.
    """
    built = segmentation_encoder(
        encoder, in_channels=in_channels, output_stride=output_stride, spatial_dims=spatial_dims
    )
    segmenter = SkipEncoderDecoder(
        built,
        num_classes=num_classes,
        join="concat",
        width=width,
        has_auxiliary=has_auxiliary,
        spatial_dims=spatial_dims,
    )
    return with_diagnosis(segmenter, num_labels)
