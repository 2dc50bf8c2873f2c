"""EfficientNet-Lite 0 to 4: inverted residuals alone, scaled in width and depth together.

They are the EfficientNets without squeeze-and-excitation and with ReLU6 for swish, so that phones
and 8 bits can run them; stem and head are not scaled.

Source: Tan and Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks",
    ICML 2019; Liu, "Higher accuracy on vision models with EfficientNet-Lite", TensorFlow's blog,
    2020.
"""

from collections.abc import Mapping
from functools import partial
from math import ceil
from types import MappingProxyType
from typing import Final, NamedTuple

from torch import nn

from atrous.blocks.conv import ConvNormAct, batch_norm, relu6
from atrous.blocks.inverted_residual import InvertedResidualBlock
from atrous.blocks.same_padding import SamePad
from atrous.networks.classifiers.classifier import Classifier, LinearHead
from atrous.networks.encoder import StagedEncoder
from atrous.types import SpatialDims

STEM_WIDTH: Final = 32
HEAD_WIDTH: Final = 1280
DROPOUT: Final = 0.2


class Group(NamedTuple):
    """Blocks of one kind, of which the first may take a step of two."""

    kernel_size: int
    stride: int
    expansion: int
    width: int
    repeats: int


GROUPS: Final = (
    Group(3, 1, 1, 16, 1),
    Group(3, 2, 6, 24, 2),
    Group(5, 2, 6, 40, 2),
    Group(3, 2, 6, 80, 3),
    Group(5, 1, 6, 112, 3),
    Group(5, 2, 6, 192, 4),
    Group(3, 1, 6, 320, 1),
)
"""Of EfficientNet-B0, which Lite 0 is scaled from."""
STAGES: Final = ((0,), (1,), (2,), (3, 4), (5, 6))
"""Groups at each reduction; the stem belongs to the first."""

SCALES: Final[Mapping[str, tuple[float, float]]] = MappingProxyType(
    {"0": (1.0, 1.0), "1": (1.0, 1.1), "2": (1.1, 1.2), "3": (1.2, 1.4), "4": (1.4, 1.8)}
)
"""Factors of widths and of repeats; the first and the last group are repeated as they are."""

_norm = partial(batch_norm, eps=1e-3)


def efficientnet_lite_encoder(
    scale: str, *, in_channels: int = 3, spatial_dims: SpatialDims = 2
) -> StagedEncoder:
    """Stem and inverted residuals, at reductions 2, 4, 8, 16, 32.

    Args:
        scale: A key of `SCALES`.
        in_channels: Channels of the image.
        spatial_dims: 2 for images, 3 for volumes.
    """
    width_factor, depth_factor = SCALES[scale]
    stages: list[nn.Module] = []
    out_channels: list[int] = []
    channels = STEM_WIDTH
    for groups in STAGES:
        blocks: list[nn.Module] = []
        if not stages:
            blocks += [SamePad(3, stride=2), _stem(in_channels, spatial_dims)]
        for index in groups:
            group = GROUPS[index]
            is_end = index in (0, len(GROUPS) - 1)
            repeats = group.repeats if is_end else ceil(depth_factor * group.repeats)
            width = rounded_width(width_factor * group.width)
            for number in range(repeats):
                blocks.append(
                    InvertedResidualBlock(
                        channels,
                        width,
                        group.kernel_size,
                        stride=group.stride if number == 0 else 1,
                        expansion=group.expansion,
                        norm=_norm,
                        spatial_dims=spatial_dims,
                    )
                )
                channels = width
        stages.append(nn.Sequential(*blocks))
        out_channels.append(channels)
    return StagedEncoder(
        stages,
        out_channels=out_channels,
        reductions=(2, 4, 8, 16, 32),
        in_channels=in_channels,
        spatial_dims=spatial_dims,
    )


def rounded_width(width: float) -> int:
    """The nearest multiple of 8, but none that is smaller by more than a tenth.

    Example:
        >>> rounded_width(1.1 * 16), rounded_width(1.1 * 40), rounded_width(1.4 * 24)
        (16, 48, 32)
    """
    nearest = max(8, int(width + 4) // 8 * 8)
    return nearest if nearest >= 0.9 * width else nearest + 8


def _stem(in_channels: int, spatial_dims: SpatialDims) -> ConvNormAct:
    return ConvNormAct(
        in_channels,
        STEM_WIDTH,
        3,
        stride=2,
        padding=0,
        norm=_norm,
        act=relu6,
        spatial_dims=spatial_dims,
    )


def _efficientnet_lite(
    scale: str, *, num_classes: int, in_channels: int, spatial_dims: SpatialDims
) -> Classifier:
    encoder = efficientnet_lite_encoder(scale, in_channels=in_channels, spatial_dims=spatial_dims)
    before = ConvNormAct(
        encoder.out_channels[-1], HEAD_WIDTH, 1, norm=_norm, act=relu6, spatial_dims=spatial_dims
    )
    head = LinearHead(
        HEAD_WIDTH, num_classes, dropout=DROPOUT, before=before, spatial_dims=spatial_dims
    )
    return Classifier(encoder, head)


def efficientnet_lite0(
    *, num_classes: int = 1000, in_channels: int = 3, spatial_dims: SpatialDims = 2
) -> Classifier:
    """EfficientNet-Lite 0: 4,652,008 parameters at the defaults."""
    return _efficientnet_lite(
        "0", num_classes=num_classes, in_channels=in_channels, spatial_dims=spatial_dims
    )


def efficientnet_lite1(
    *, num_classes: int = 1000, in_channels: int = 3, spatial_dims: SpatialDims = 2
) -> Classifier:
    """EfficientNet-Lite 1: 5,416,680 parameters at the defaults."""
    return _efficientnet_lite(
        "1", num_classes=num_classes, in_channels=in_channels, spatial_dims=spatial_dims
    )


def efficientnet_lite2(
    *, num_classes: int = 1000, in_channels: int = 3, spatial_dims: SpatialDims = 2
) -> Classifier:
    """EfficientNet-Lite 2: 6,092,072 parameters at the defaults."""
    return _efficientnet_lite(
        "2", num_classes=num_classes, in_channels=in_channels, spatial_dims=spatial_dims
    )


def efficientnet_lite3(
    *, num_classes: int = 1000, in_channels: int = 3, spatial_dims: SpatialDims = 2
) -> Classifier:
    """EfficientNet-Lite 3: 8,197,096 parameters at the defaults."""
    return _efficientnet_lite(
        "3", num_classes=num_classes, in_channels=in_channels, spatial_dims=spatial_dims
    )


def efficientnet_lite4(
    *, num_classes: int = 1000, in_channels: int = 3, spatial_dims: SpatialDims = 2
) -> Classifier:
    """EfficientNet-Lite 4: 13,006,568 parameters at the defaults."""
    return _efficientnet_lite(
        "4", num_classes=num_classes, in_channels=in_channels, spatial_dims=spatial_dims
    )
