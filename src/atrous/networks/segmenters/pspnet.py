"""PSPNet: what the parts of the image hold, at four grids, beside every position.

Source: Zhao et al., "Pyramid Scene Parsing Network", CVPR 2017.
"""

from torch import nn

from atrous.blocks.conv import ConvNormAct
from atrous.blocks.pyramids.ppm import PyramidPoolingModule
from atrous.networks.encoder import Encoder
from atrous.networks.encoders.for_segmentation import segmentation_encoder
from atrous.networks.segmenters.encoder_decoder import Vanilla
from atrous.networks.segmenters.joint import JointSegmenter, with_diagnosis
from atrous.networks.segmenters.segmenter import Segmenter
from atrous.types import SpatialDims

GRIDS = (1, 2, 3, 6)


def pspnet_over(
    encoder: Encoder,
    *,
    num_classes: int,
    has_auxiliary: bool = False,
    align_corners: bool = False,
    spatial_dims: SpatialDims = 2,
) -> Vanilla:
    """PSPNet over an encoder, best one whose last map stays at reduction 8.

    The pyramid's branches have a quarter of the map's channels each, and so has what they are
    merged to; the paper's encoder has 2048, so 512.

    Raises:
        ShapeError: If there are no classes.
    """
    channels = encoder.out_channels[-1]
    width = max(1, channels // len(GRIDS))
    pooling = PyramidPoolingModule(
        channels, width, grids=GRIDS, align_corners=align_corners, spatial_dims=spatial_dims
    )
    before = nn.Sequential(
        pooling,
        ConvNormAct(pooling.out_channels, width, 3, spatial_dims=spatial_dims),
        nn.Dropout(0.1),
    )
    return Vanilla(
        encoder,
        num_classes=num_classes,
        before=before,
        channels=width,
        has_auxiliary=has_auxiliary,
        align_corners=align_corners,
        spatial_dims=spatial_dims,
    )


def pspnet(
    *,
    encoder: str = "resnet50",
    num_classes: int = 21,
    in_channels: int = 3,
    output_stride: int = 8,
    align_corners: bool = False,
    num_labels: int | None = None,
    has_auxiliary: bool = False,
    spatial_dims: SpatialDims = 2,
) -> Segmenter | JointSegmenter:
    """PSPNet over a dilated encoder: 46,592,597 parameters at the defaults.

    Source: Zhao et al., "Pyramid Scene Parsing Network", CVPR 2017.
    """
    built = segmentation_encoder(
        encoder, in_channels=in_channels, output_stride=output_stride, spatial_dims=spatial_dims
    )
    segmenter = pspnet_over(
        built,
        num_classes=num_classes,
        align_corners=align_corners,
        has_auxiliary=has_auxiliary,
        spatial_dims=spatial_dims,
    )
    return with_diagnosis(segmenter, num_labels)
