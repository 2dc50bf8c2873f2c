"""ShuffleNet v1 with 1, 2, 3, 4 or 8 groups.

Source: Zhang et al., "ShuffleNet: An Extremely Efficient Convolutional Neural Network for Mobile
    Devices", CVPR 2018.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from torch import nn

from atrous.blocks.conv import ConvNormAct
from atrous.blocks.nd import MAX_POOL
from atrous.blocks.shuffle.v1 import ShuffleV1Block, StridedShuffleV1Block
from atrous.networks.classifiers.classifier import Classifier, LinearHead
from atrous.networks.encoder import StagedEncoder
from atrous.types import SpatialDims

STEM_WIDTH = 24
REPEATS = (4, 8, 4)
"""Blocks of each stage, the first of which halves the size."""

WIDTHS: Final[Mapping[int, tuple[int, int, int]]] = MappingProxyType(
    {
        1: (144, 288, 576),
        2: (200, 400, 800),
        3: (240, 480, 960),
        4: (272, 544, 1088),
        8: (384, 768, 1536),
    }
)
"""Channels of each stage by the number of groups: more groups afford more channels."""


def shufflenet_v1_encoder(
    groups: int, *, in_channels: int = 3, spatial_dims: SpatialDims = 2
) -> StagedEncoder:
    """The stem, its pool and the three stages, at reductions 2, 4, 8, 16, 32.

    Args:
        groups: A key of `WIDTHS`.
        in_channels: Channels of the image.
        spatial_dims: 2 for images, 3 for volumes.
    """
    stages: list[nn.Module] = [
        ConvNormAct(in_channels, STEM_WIDTH, 3, stride=2, spatial_dims=spatial_dims),
        MAX_POOL[spatial_dims](3, stride=2, padding=1),
    ]
    channels = STEM_WIDTH
    for index, (width, repeats) in enumerate(zip(WIDTHS[groups], REPEATS, strict=True)):
        stages.append(
            nn.Sequential(
                StridedShuffleV1Block(
                    channels,
                    width,
                    groups=groups,
                    # The stem's 24 channels are too few to be split.
                    first_groups=groups if index else 1,
                    spatial_dims=spatial_dims,
                ),
                *(
                    ShuffleV1Block(width, groups=groups, spatial_dims=spatial_dims)
                    for _ in range(repeats - 1)
                ),
            )
        )
        channels = width
    return StagedEncoder(
        stages,
        out_channels=(STEM_WIDTH, STEM_WIDTH, *WIDTHS[groups]),
        reductions=(2, 4, 8, 16, 32),
        in_channels=in_channels,
        spatial_dims=spatial_dims,
    )


def _shufflenet_v1(
    groups: int, *, num_classes: int, in_channels: int, spatial_dims: SpatialDims
) -> Classifier:
    encoder = shufflenet_v1_encoder(groups, in_channels=in_channels, spatial_dims=spatial_dims)
    head = LinearHead(encoder.out_channels[-1], num_classes, spatial_dims=spatial_dims)
    return Classifier(encoder, head)


def shufflenet_v1_g1(
    *, num_classes: int = 1000, in_channels: int = 3, spatial_dims: SpatialDims = 2
) -> Classifier:
    """ShuffleNet v1 with one group: 1,531,936 parameters at the defaults."""
    return _shufflenet_v1(
        1, num_classes=num_classes, in_channels=in_channels, spatial_dims=spatial_dims
    )


def shufflenet_v1_g2(
    *, num_classes: int = 1000, in_channels: int = 3, spatial_dims: SpatialDims = 2
) -> Classifier:
    """ShuffleNet v1 with 2 groups: 1,733,848 parameters at the defaults."""
    return _shufflenet_v1(
        2, num_classes=num_classes, in_channels=in_channels, spatial_dims=spatial_dims
    )


def shufflenet_v1_g3(
    *, num_classes: int = 1000, in_channels: int = 3, spatial_dims: SpatialDims = 2
) -> Classifier:
    """ShuffleNet v1 with 3 groups: 1,865,728 parameters at the defaults."""
    return _shufflenet_v1(
        3, num_classes=num_classes, in_channels=in_channels, spatial_dims=spatial_dims
    )


def shufflenet_v1_g4(
    *, num_classes: int = 1000, in_channels: int = 3, spatial_dims: SpatialDims = 2
) -> Classifier:
    """ShuffleNet v1 with 4 groups: 1,968,344 parameters at the defaults."""
    return _shufflenet_v1(
        4, num_classes=num_classes, in_channels=in_channels, spatial_dims=spatial_dims
    )


def shufflenet_v1_g8(
    *, num_classes: int = 1000, in_channels: int = 3, spatial_dims: SpatialDims = 2
) -> Classifier:
    """ShuffleNet v1 with 8 groups: 2,434,768 parameters at the defaults."""
    return _shufflenet_v1(
        8, num_classes=num_classes, in_channels=in_channels, spatial_dims=spatial_dims
    )
