"""ShuffleNet v2 of width 0.5, 1.0, 1.5 and 2.0.

Source: Ma et al., "ShuffleNet V2: Practical Guidelines for Efficient CNN Architecture Design",
    ECCV 2018.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from torch import nn

from atrous.blocks.conv import ConvNormAct
from atrous.blocks.nd import MAX_POOL
from atrous.blocks.shuffle.v2 import ShuffleV2Block, StridedShuffleV2Block
from atrous.networks.classifiers.classifier import Classifier, LinearHead
from atrous.networks.encoder import StagedEncoder
from atrous.types import SpatialDims

STEM_WIDTH = 24
REPEATS = (4, 8, 4)
"""Blocks of each stage, the first of which halves the size."""

WIDTHS: Final[Mapping[str, tuple[int, int, int, int]]] = MappingProxyType(
    {
        "x0_5": (48, 96, 192, 1024),
        "x1_0": (116, 232, 464, 1024),
        "x1_5": (176, 352, 704, 1024),
        "x2_0": (244, 488, 976, 2048),
    }
)
"""Channels of each stage, and of the convolution before the mean over all positions."""


def shufflenet_v2_encoder(
    width: str, *, in_channels: int = 3, spatial_dims: SpatialDims = 2
) -> StagedEncoder:
    """The stem, its pool and the three stages, at reductions 2, 4, 8, 16, 32.

    Args:
        width: A key of `WIDTHS`.
        in_channels: Channels of the image.
        spatial_dims: 2 for images, 3 for volumes.
    """
    widths = WIDTHS[width][:3]
    stages: list[nn.Module] = [
        ConvNormAct(in_channels, STEM_WIDTH, 3, stride=2, spatial_dims=spatial_dims),
        MAX_POOL[spatial_dims](3, stride=2, padding=1),
    ]
    channels = STEM_WIDTH
    for out_channels, repeats in zip(widths, REPEATS, strict=True):
        stages.append(
            nn.Sequential(
                StridedShuffleV2Block(channels, out_channels, spatial_dims=spatial_dims),
                *(
                    ShuffleV2Block(out_channels, spatial_dims=spatial_dims)
                    for _ in range(repeats - 1)
                ),
            )
        )
        channels = out_channels
    return StagedEncoder(
        stages,
        out_channels=(STEM_WIDTH, STEM_WIDTH, *widths),
        reductions=(2, 4, 8, 16, 32),
        in_channels=in_channels,
        spatial_dims=spatial_dims,
    )


def _shufflenet_v2(
    width: str, *, num_classes: int, in_channels: int, spatial_dims: SpatialDims
) -> Classifier:
    encoder = shufflenet_v2_encoder(width, in_channels=in_channels, spatial_dims=spatial_dims)
    *_, coarsest, expanded = WIDTHS[width]
    head = LinearHead(
        expanded,
        num_classes,
        before=ConvNormAct(coarsest, expanded, 1, spatial_dims=spatial_dims),
        spatial_dims=spatial_dims,
    )
    return Classifier(encoder, head)


def shufflenet_v2_x0_5(
    *, num_classes: int = 1000, in_channels: int = 3, spatial_dims: SpatialDims = 2
) -> Classifier:
    """ShuffleNet v2 of width 0.5: 1,366,792 parameters at the defaults."""
    return _shufflenet_v2(
        "x0_5", num_classes=num_classes, in_channels=in_channels, spatial_dims=spatial_dims
    )


def shufflenet_v2_x1_0(
    *, num_classes: int = 1000, in_channels: int = 3, spatial_dims: SpatialDims = 2
) -> Classifier:
    """ShuffleNet v2 of width 1.0: 2,278,604 parameters at the defaults."""
    return _shufflenet_v2(
        "x1_0", num_classes=num_classes, in_channels=in_channels, spatial_dims=spatial_dims
    )


def shufflenet_v2_x1_5(
    *, num_classes: int = 1000, in_channels: int = 3, spatial_dims: SpatialDims = 2
) -> Classifier:
    """ShuffleNet v2 of width 1.5: 3,503,624 parameters at the defaults."""
    return _shufflenet_v2(
        "x1_5", num_classes=num_classes, in_channels=in_channels, spatial_dims=spatial_dims
    )


def shufflenet_v2_x2_0(
    *, num_classes: int = 1000, in_channels: int = 3, spatial_dims: SpatialDims = 2
) -> Classifier:
    """ShuffleNet v2 of width 2.0: 7,393,996 parameters at the defaults."""
    return _shufflenet_v2(
        "x2_0", num_classes=num_classes, in_channels=in_channels, spatial_dims=spatial_dims
    )
