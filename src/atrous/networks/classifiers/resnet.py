"""ResNet-18, 34, 50, 101 and 152.

Source: He et al., "Deep Residual Learning for Image Recognition", CVPR 2016.
"""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Final

from torch import nn

from atrous.blocks.conv import ConvNormAct
from atrous.blocks.nd import MAX_POOL
from atrous.blocks.residual import BOTTLENECK, BottleneckBlock, ResidualBlock
from atrous.errors import ShapeError
from atrous.networks.classifiers.classifier import Classifier, LinearHead
from atrous.networks.encoder import StagedEncoder
from atrous.types import SpatialDims

STEM_WIDTH = 64
WIDTHS = (64, 128, 256, 512)
"""Channels of the 3x3 convolutions of each stage."""

OUTPUT_STRIDES = (8, 16, 32)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResNetTable:
    """What tells one ResNet from another."""

    repeats: tuple[int, int, int, int]
    """Blocks of each stage."""
    has_bottleneck: bool
    """Whether the blocks are bottlenecks, four times wider outside than inside."""
    is_stride_on_1x1: bool = False
    """Where a bottleneck has its stride: on its first 1x1 (v1) or on its 3x3 (v1.5)."""


RESNETS: Final[Mapping[str, ResNetTable]] = MappingProxyType(
    {
        "resnet18": ResNetTable(repeats=(2, 2, 2, 2), has_bottleneck=False),
        "resnet34": ResNetTable(repeats=(3, 4, 6, 3), has_bottleneck=False),
        "resnet50": ResNetTable(repeats=(3, 4, 6, 3), has_bottleneck=True),
        "resnet50_v1": ResNetTable(
            repeats=(3, 4, 6, 3), has_bottleneck=True, is_stride_on_1x1=True
        ),
        "resnet101": ResNetTable(repeats=(3, 4, 23, 3), has_bottleneck=True),
        "resnet152": ResNetTable(repeats=(3, 8, 36, 3), has_bottleneck=True),
    }
)


def resnet_encoder(
    name: str,
    *,
    in_channels: int = 3,
    output_stride: int = 32,
    spatial_dims: SpatialDims = 2,
) -> StagedEncoder:
    """The stem and the four stages of a ResNet, at reductions 2, 4, 8, 16, 32.

    Args:
        name: A key of `RESNETS`.
        in_channels: Channels of the image.
        output_stride: The last reduction. At 8 and 16 the stages that would go beyond keep their
            size and are dilated instead, with the same weights: every second value of their maps
            is that of the strided network.
        spatial_dims: 2 for images, 3 for volumes.

    Raises:
        ShapeError: If `output_stride` is not 8, 16 or 32.
    """
    if output_stride not in OUTPUT_STRIDES:
        raise ShapeError(f"ResNet's output stride is 8, 16 or 32, but got {output_stride}.")
    table = RESNETS[name]
    expansion = BOTTLENECK if table.has_bottleneck else 1
    stages: list[nn.Module] = [
        ConvNormAct(in_channels, STEM_WIDTH, 7, stride=2, spatial_dims=spatial_dims)
    ]
    reductions, reduction, dilation, channels = [2], 4, 1, STEM_WIDTH
    for index, (width, repeats) in enumerate(zip(WIDTHS, table.repeats, strict=True)):
        halves = index > 0 and reduction < output_stride
        before, dilation = dilation, dilation * (2 if index > 0 and not halves else 1)
        reduction *= 2 if halves else 1
        blocks = _blocks(
            table,
            channels,
            width * expansion,
            repeats=repeats,
            stride=2 if halves else 1,
            input_dilation=before,
            dilation=dilation,
            spatial_dims=spatial_dims,
        )
        if index == 0:
            blocks = OrderedDict(pool=MAX_POOL[spatial_dims](3, stride=2, padding=1)) | blocks
        stages.append(nn.Sequential(blocks))
        reductions.append(reduction)
        channels = width * expansion
    return StagedEncoder(
        stages,
        out_channels=(STEM_WIDTH, *(width * expansion for width in WIDTHS)),
        reductions=reductions,
        in_channels=in_channels,
        spatial_dims=spatial_dims,
    )


def _blocks(
    table: ResNetTable,
    in_channels: int,
    out_channels: int,
    *,
    repeats: int,
    stride: int,
    input_dilation: int,
    dilation: int,
    spatial_dims: SpatialDims,
) -> OrderedDict[str, nn.Module]:
    block = (
        partial(BottleneckBlock, is_stride_on_1x1=table.is_stride_on_1x1)
        if table.has_bottleneck
        else ResidualBlock
    )
    return OrderedDict(
        (
            f"block{index}",
            block(
                out_channels if index else in_channels,
                out_channels,
                stride=1 if index else stride,
                input_dilation=dilation if index else input_dilation,
                dilation=dilation,
                spatial_dims=spatial_dims,
            ),
        )
        for index in range(repeats)
    )


def _resnet(
    name: str, *, num_classes: int, in_channels: int, spatial_dims: SpatialDims
) -> Classifier:
    encoder = resnet_encoder(name, in_channels=in_channels, spatial_dims=spatial_dims)
    head = LinearHead(encoder.out_channels[-1], num_classes, spatial_dims=spatial_dims)
    return Classifier(encoder, head)


def resnet18(
    *, num_classes: int = 1000, in_channels: int = 3, spatial_dims: SpatialDims = 2
) -> Classifier:
    """ResNet-18: 11,689,512 parameters at the defaults."""
    return _resnet(
        "resnet18", num_classes=num_classes, in_channels=in_channels, spatial_dims=spatial_dims
    )


def resnet34(
    *, num_classes: int = 1000, in_channels: int = 3, spatial_dims: SpatialDims = 2
) -> Classifier:
    """ResNet-34: 21,797,672 parameters at the defaults."""
    return _resnet(
        "resnet34", num_classes=num_classes, in_channels=in_channels, spatial_dims=spatial_dims
    )


def resnet50(
    *, num_classes: int = 1000, in_channels: int = 3, spatial_dims: SpatialDims = 2
) -> Classifier:
    """ResNet-50 with the stride on the 3x3 (v1.5): 25,557,032 parameters at the defaults."""
    return _resnet(
        "resnet50", num_classes=num_classes, in_channels=in_channels, spatial_dims=spatial_dims
    )


def resnet50_v1(
    *, num_classes: int = 1000, in_channels: int = 3, spatial_dims: SpatialDims = 2
) -> Classifier:
    """ResNet-50 with the stride on the 1x1, as first published: 25,557,032 parameters."""
    return _resnet(
        "resnet50_v1", num_classes=num_classes, in_channels=in_channels, spatial_dims=spatial_dims
    )


def resnet101(
    *, num_classes: int = 1000, in_channels: int = 3, spatial_dims: SpatialDims = 2
) -> Classifier:
    """ResNet-101 (v1.5): 44,549,160 parameters at the defaults."""
    return _resnet(
        "resnet101", num_classes=num_classes, in_channels=in_channels, spatial_dims=spatial_dims
    )


def resnet152(
    *, num_classes: int = 1000, in_channels: int = 3, spatial_dims: SpatialDims = 2
) -> Classifier:
    """ResNet-152 (v1.5): 60,192,808 parameters at the defaults."""
    return _resnet(
        "resnet152", num_classes=num_classes, in_channels=in_channels, spatial_dims=spatial_dims
    )
