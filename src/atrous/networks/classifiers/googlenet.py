"""GoogLeNet (Inception v1), as published and as torchvision has it.

Source: Szegedy et al., "Going Deeper with Convolutions", CVPR 2015; where the response
    normalisations stand and their constants, from the published Caffe model.
"""

from collections import OrderedDict
from collections.abc import Mapping
from functools import partial
from types import MappingProxyType
from typing import Final, Literal

from torch import nn

from atrous.blocks.conv import ConvNormAct, Norm, batch_norm, conv_unit, relu
from atrous.blocks.inception import InceptionBlock, InceptionWidths
from atrous.blocks.local_response_norm import LocalResponseNorm
from atrous.blocks.nd import MAX_POOL
from atrous.blocks.resize import PoolToSize
from atrous.networks.classifiers.classifier import AuxiliaryClassifier, Classifier, Head, LinearHead
from atrous.networks.encoder import StagedEncoder
from atrous.types import SpatialDims

MODULES: Final[Mapping[str, InceptionWidths]] = MappingProxyType(
    {
        "3a": InceptionWidths(64, 96, 128, 16, 32, 32),
        "3b": InceptionWidths(128, 128, 192, 32, 96, 64),
        "4a": InceptionWidths(192, 96, 208, 16, 48, 64),
        "4b": InceptionWidths(160, 112, 224, 24, 64, 64),
        "4c": InceptionWidths(128, 128, 256, 24, 64, 64),
        "4d": InceptionWidths(112, 144, 288, 32, 64, 64),
        "4e": InceptionWidths(256, 160, 320, 32, 128, 128),
        "5a": InceptionWidths(256, 160, 320, 32, 128, 128),
        "5b": InceptionWidths(384, 192, 384, 48, 128, 128),
    }
)
"""Columns of the paper's table: 1x1, 3x3 reduce, 3x3, 5x5 reduce, 5x5, pool."""

STAGES = (("3a", "3b"), ("4a", "4b", "4c", "4d", "4e"), ("5a", "5b"))
"""The modules of each reduction; a max-pool that halves the size stands before each group."""

AUXILIARY_AFTER = ("4a", "4d")

_norm = partial(batch_norm, eps=1e-3)  # torchvision's setting, of its published weights


class AuxiliaryHead(Head):
    """A grid of 4 x 4 means, a 1x1 convolution, and two linear layers.

    Shape:
        `(B, in_channels, *S)` to `(B, num_classes)`.
    """

    def __init__(
        self, in_channels: int, num_classes: int, *, spatial_dims: SpatialDims = 2
    ) -> None:
        super().__init__()
        # A head of volumes is averaged over the depth, as VGG's.
        self.pool = PoolToSize((1, 4, 4)[-spatial_dims:])
        self.conv = ConvNormAct(in_channels, 128, 1, norm=_norm, spatial_dims=spatial_dims)
        self.flatten = nn.Flatten()
        self.linear1 = nn.Linear(128 * 4 * 4, 1024)
        self.act = nn.ReLU(inplace=True)
        self.dropout = nn.Dropout(0.7)
        self.linear = nn.Linear(1024, num_classes)


def googlenet_encoder(*, in_channels: int = 3, spatial_dims: SpatialDims = 2) -> StagedEncoder:
    """GoogLeNet as published: 5x5 branches, biases, response normalisation in the stem.

    Gives maps at reductions 2, 4, 8, 16, 32.
    """
    return _encoder(
        widest_kernel=5,
        last_pool=3,
        norm=None,
        in_channels=in_channels,
        spatial_dims=spatial_dims,
    )


def googlenet_torchvision_encoder(
    *, in_channels: int = 3, spatial_dims: SpatialDims = 2
) -> StagedEncoder:
    """GoogLeNet as torchvision has it: 3x3 for 5x5, batch normalisation, a last pool of 2x2.

    Gives maps at reductions 2, 4, 8, 16, 32.
    """
    return _encoder(
        widest_kernel=3,
        last_pool=2,
        norm=_norm,
        in_channels=in_channels,
        spatial_dims=spatial_dims,
    )


def _encoder(
    *,
    widest_kernel: Literal[3, 5],
    last_pool: int,
    norm: Norm | None,
    in_channels: int,
    spatial_dims: SpatialDims,
) -> StagedEncoder:
    unit = partial(conv_unit, norm=norm, act=relu, spatial_dims=spatial_dims)
    halve = partial(MAX_POOL[spatial_dims], stride=2, ceil_mode=True)
    # The published network has these where later ones have batch normalisation.
    respond1 = {} if norm else {"respond1": LocalResponseNorm(5, alpha=1e-4, beta=0.75)}
    respond2 = {} if norm else {"respond2": LocalResponseNorm(5, alpha=1e-4, beta=0.75)}
    stages: list[nn.Module] = [
        nn.Sequential(OrderedDict(conv1=unit(in_channels, 64, 7, stride=2))),
        nn.Sequential(
            OrderedDict(
                pool1=halve(3),
                **respond1,
                conv2=unit(64, 64, 1),
                conv3=unit(64, 192, 3),
                **respond2,
            )
        ),
    ]
    channels = 192
    out_channels = [64, channels]
    for index, names in enumerate(STAGES):
        blocks = OrderedDict[str, nn.Module](pool=halve(last_pool if index == 2 else 3))
        for name in names:
            blocks[name] = InceptionBlock(
                channels,
                MODULES[name],
                widest_kernel=widest_kernel,
                norm=norm,
                spatial_dims=spatial_dims,
            )
            channels = MODULES[name].out_channels
        stages.append(nn.Sequential(blocks))
        out_channels.append(channels)
    return StagedEncoder(
        stages,
        out_channels=out_channels,
        reductions=(2, 4, 8, 16, 32),
        in_channels=in_channels,
        spatial_dims=spatial_dims,
    )


def googlenet(
    *, num_classes: int = 1000, in_channels: int = 3, spatial_dims: SpatialDims = 2
) -> Classifier:
    """GoogLeNet as published, without its auxiliary heads: 6,998,552 parameters at the defaults."""
    encoder = googlenet_encoder(in_channels=in_channels, spatial_dims=spatial_dims)
    head = LinearHead(encoder.out_channels[-1], num_classes, dropout=0.4, spatial_dims=spatial_dims)
    return Classifier(encoder, head)


def googlenet_torchvision(
    *,
    num_classes: int = 1000,
    in_channels: int = 3,
    has_auxiliary: bool = False,
    spatial_dims: SpatialDims = 2,
) -> Classifier:
    """GoogLeNet as torchvision has it: 6,624,904 parameters, or 13,004,888 with auxiliary heads.

    Args:
        num_classes: Length of the logits.
        in_channels: Channels of the image.
        has_auxiliary: Whether to build the two heads that help in training; see
            `AuxiliaryClassifier.forward_with_auxiliary`.
        spatial_dims: 2 for images, 3 for volumes.
    """
    encoder = googlenet_torchvision_encoder(in_channels=in_channels, spatial_dims=spatial_dims)
    head = LinearHead(encoder.out_channels[-1], num_classes, dropout=0.2, spatial_dims=spatial_dims)
    if not has_auxiliary:
        return Classifier(encoder, head)
    auxiliary = {
        name: AuxiliaryHead(MODULES[name].out_channels, num_classes, spatial_dims=spatial_dims)
        for name in AUXILIARY_AFTER
    }
    return AuxiliaryClassifier(encoder, head, auxiliary)
