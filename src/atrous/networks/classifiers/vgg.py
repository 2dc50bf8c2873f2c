"""VGG-11, 13, 16 and 19, with batch normalisation and without.

Source: Simonyan and Zisserman, "Very Deep Convolutional Networks for Large-Scale Image
    Recognition", ICLR 2015.
"""

from collections import OrderedDict
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name everybody reads

from atrous.blocks.conv import batch_norm
from atrous.blocks.nd import MAX_POOL
from atrous.blocks.resize import PoolToSize
from atrous.blocks.vgg import VGGBlock
from atrous.errors import ShapeError
from atrous.networks.classifiers.classifier import Classifier, Head
from atrous.networks.encoder import StagedEncoder
from atrous.types import SpatialDims

WIDTHS = (64, 128, 256, 512, 512)
"""Channels of each block; a pool that halves the size follows each."""

DEPTHS: Final[Mapping[str, tuple[int, ...]]] = MappingProxyType(
    {
        "vgg11": (1, 1, 2, 2, 2),
        "vgg13": (2, 2, 2, 2, 2),
        "vgg16": (2, 2, 3, 3, 3),
        "vgg19": (2, 2, 4, 4, 4),
    }
)
"""Convolutions of each block."""

OUTPUT_STRIDES = (8, 16, 32)


class EveryPositionMaxPool(nn.Module):
    """The max-pool 2x2 at every position instead of every second: what is left without its stride.

    The window's further positions lie `dilation` apart, and outside of the map they do not count,
    so that every second value is exactly that of the pool with stride 2.

    Shape:
        `(B, C, *S)` to the same.
    """

    def __init__(self, *, dilation: int, spatial_dims: SpatialDims = 2) -> None:
        super().__init__()
        self.pool = MAX_POOL[spatial_dims](2, stride=1, dilation=dilation)
        self.pads = (0, dilation) * spatial_dims

    def forward(self, x: Tensor) -> Tensor:
        return self.pool(F.pad(x, self.pads, value=float("-inf")))


class VGGHead(Head):
    """A grid of 7 x 7 means, two wide linear layers and the one to classes.

    Volumes are averaged over their whole depth and then to the same 7 x 7, so that a head trained
    on images fits them; 7 x 7 x 7 would make the first layer alone 719 million parameters.

    Shape:
        `(B, in_channels, *S)` to `(B, num_classes)`.
    """

    def __init__(
        self, in_channels: int, num_classes: int, *, spatial_dims: SpatialDims = 2
    ) -> None:
        super().__init__()
        self.pool = PoolToSize((1, 7, 7)[-spatial_dims:])
        self.flatten = nn.Flatten()
        self.linear1 = nn.Linear(in_channels * 7 * 7, 4096)
        self.act1 = nn.ReLU(inplace=True)
        self.dropout1 = nn.Dropout(0.5)
        self.linear2 = nn.Linear(4096, 4096)
        self.act2 = nn.ReLU(inplace=True)
        self.dropout2 = nn.Dropout(0.5)
        self.linear = nn.Linear(4096, num_classes)


def vgg_encoder(
    depth: str,
    *,
    has_norm: bool,
    in_channels: int = 3,
    output_stride: int = 32,
    spatial_dims: SpatialDims = 2,
) -> StagedEncoder:
    """The five blocks of a VGG, each with its pool, at reductions 2, 4, 8, 16, 32.

    Args:
        depth: A key of `DEPTHS`.
        has_norm: Whether batch normalisation follows each convolution.
        in_channels: Channels of the image.
        output_stride: The last reduction. At 8 and 16 the pools that would go beyond lose their
            stride, and what follows them is dilated instead, with the same weights.
        spatial_dims: 2 for images, 3 for volumes.

    Raises:
        ShapeError: If `output_stride` is not 8, 16 or 32.
    """
    if output_stride not in OUTPUT_STRIDES:
        raise ShapeError(f"VGG's output stride is 8, 16 or 32, but got {output_stride}.")
    stages, reductions = [], []
    reduction, dilation, channels = 1, 1, in_channels
    for width, num_convs in zip(WIDTHS, DEPTHS[depth], strict=True):
        block = VGGBlock(
            channels,
            width,
            num_convs=num_convs,
            dilation=dilation,
            norm=batch_norm if has_norm else None,
            spatial_dims=spatial_dims,
        )
        pool: nn.Module
        if reduction < output_stride:
            pool = MAX_POOL[spatial_dims](2, stride=2)
            reduction *= 2
        else:
            pool = EveryPositionMaxPool(dilation=dilation, spatial_dims=spatial_dims)
            dilation *= 2
        stages.append(nn.Sequential(OrderedDict(block=block, pool=pool)))
        reductions.append(reduction)
        channels = width
    return StagedEncoder(
        stages,
        out_channels=WIDTHS,
        reductions=reductions,
        in_channels=in_channels,
        spatial_dims=spatial_dims,
    )


def _vgg(
    depth: str, *, has_norm: bool, num_classes: int, in_channels: int, spatial_dims: SpatialDims
) -> Classifier:
    encoder = vgg_encoder(
        depth, has_norm=has_norm, in_channels=in_channels, spatial_dims=spatial_dims
    )
    return Classifier(encoder, VGGHead(WIDTHS[-1], num_classes, spatial_dims=spatial_dims))


def vgg11(
    *, num_classes: int = 1000, in_channels: int = 3, spatial_dims: SpatialDims = 2
) -> Classifier:
    """VGG-11: 132,863,336 parameters at the defaults."""
    return _vgg(
        "vgg11",
        has_norm=False,
        num_classes=num_classes,
        in_channels=in_channels,
        spatial_dims=spatial_dims,
    )


def vgg11_bn(
    *, num_classes: int = 1000, in_channels: int = 3, spatial_dims: SpatialDims = 2
) -> Classifier:
    """VGG-11 with batch normalisation: 132,868,840 parameters at the defaults."""
    return _vgg(
        "vgg11",
        has_norm=True,
        num_classes=num_classes,
        in_channels=in_channels,
        spatial_dims=spatial_dims,
    )


def vgg13(
    *, num_classes: int = 1000, in_channels: int = 3, spatial_dims: SpatialDims = 2
) -> Classifier:
    """VGG-13: 133,047,848 parameters at the defaults."""
    return _vgg(
        "vgg13",
        has_norm=False,
        num_classes=num_classes,
        in_channels=in_channels,
        spatial_dims=spatial_dims,
    )


def vgg13_bn(
    *, num_classes: int = 1000, in_channels: int = 3, spatial_dims: SpatialDims = 2
) -> Classifier:
    """VGG-13 with batch normalisation: 133,053,736 parameters at the defaults."""
    return _vgg(
        "vgg13",
        has_norm=True,
        num_classes=num_classes,
        in_channels=in_channels,
        spatial_dims=spatial_dims,
    )


def vgg16(
    *, num_classes: int = 1000, in_channels: int = 3, spatial_dims: SpatialDims = 2
) -> Classifier:
    """VGG-16: 138,357,544 parameters at the defaults."""
    return _vgg(
        "vgg16",
        has_norm=False,
        num_classes=num_classes,
        in_channels=in_channels,
        spatial_dims=spatial_dims,
    )


def vgg16_bn(
    *, num_classes: int = 1000, in_channels: int = 3, spatial_dims: SpatialDims = 2
) -> Classifier:
    """VGG-16 with batch normalisation: 138,365,992 parameters at the defaults."""
    return _vgg(
        "vgg16",
        has_norm=True,
        num_classes=num_classes,
        in_channels=in_channels,
        spatial_dims=spatial_dims,
    )


def vgg19(
    *, num_classes: int = 1000, in_channels: int = 3, spatial_dims: SpatialDims = 2
) -> Classifier:
    """VGG-19: 143,667,240 parameters at the defaults."""
    return _vgg(
        "vgg19",
        has_norm=False,
        num_classes=num_classes,
        in_channels=in_channels,
        spatial_dims=spatial_dims,
    )


def vgg19_bn(
    *, num_classes: int = 1000, in_channels: int = 3, spatial_dims: SpatialDims = 2
) -> Classifier:
    """VGG-19 with batch normalisation: 143,678,248 parameters at the defaults."""
    return _vgg(
        "vgg19",
        has_norm=True,
        num_classes=num_classes,
        in_channels=in_channels,
        spatial_dims=spatial_dims,
    )
