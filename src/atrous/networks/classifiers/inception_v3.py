"""Inception v3.

Source: Szegedy et al., "Rethinking the Inception Architecture for Computer Vision", CVPR 2016.
"""

from collections import OrderedDict
from functools import partial

from torch import nn

from atrous.blocks.conv import ConvNormAct, ValidConvNormAct, batch_norm
from atrous.blocks.inception_v3 import (
    InceptionA,
    InceptionB,
    InceptionC,
    InceptionD,
    InceptionE,
)
from atrous.blocks.nd import ADAPTIVE_AVG_POOL, AVG_POOL, MAX_POOL
from atrous.networks.classifiers.classifier import AuxiliaryClassifier, Classifier, Head, LinearHead
from atrous.networks.encoder import StagedEncoder, refuse_volumes
from atrous.types import SpatialDims

MINIMUM_SIZE = 75
"""Convolutions without padding use up the border: a smaller image leaves nothing at the end."""

AUXILIARY_AFTER = "6e"

_norm = partial(batch_norm, eps=1e-3)
_conv = partial(ConvNormAct, norm=_norm)
_valid = partial(ValidConvNormAct, norm=_norm)


class AuxiliaryHead(Head):
    """A head on the 17 x 17 map: pooled to 5 x 5, convolved to one position, then linear.

    Shape:
        `(B, in_channels, H, W)`, 17 or more along both axes, to `(B, num_classes)`.
    """

    def __init__(self, in_channels: int, num_classes: int) -> None:
        super().__init__()
        self.shrink = AVG_POOL[2](5, stride=3)
        self.conv1 = _conv(in_channels, 128, 1)
        self.conv2 = _valid(128, 768, 5)
        self.pool = ADAPTIVE_AVG_POOL[2](1)
        self.flatten = nn.Flatten()
        self.linear = nn.Linear(768, num_classes)


def inception_v3_encoder(*, in_channels: int = 3, spatial_dims: SpatialDims = 2) -> StagedEncoder:
    """The stem and modules A to E, at reductions 2, 4, 8, 16, 32.

    The stem and the modules that halve the size have no padding, so a map of an image of 299 is not
    150, 75, 38, 19, 10 positions wide but 147, 71, 35, 17, 8, around the image's centre.

    Raises:
        ShapeError: If `spatial_dims` is 3.
    """
    refuse_volumes("Inception v3", spatial_dims)
    stages: list[OrderedDict[str, nn.Module]] = [
        OrderedDict(
            conv1=_valid(in_channels, 32, 3, stride=2),
            conv2=_valid(32, 32, 3),
            conv3=_conv(32, 64, 3),
        ),
        OrderedDict(
            pool=MAX_POOL[2](3, stride=2),
            conv4=_conv(64, 80, 1),
            conv5=_valid(80, 192, 3),
        ),
        OrderedDict(
            {
                "pool": MAX_POOL[2](3, stride=2),
                "5b": InceptionA(192, pool_channels=32, norm=_norm),
                "5c": InceptionA(256, pool_channels=64, norm=_norm),
                "5d": InceptionA(288, pool_channels=64, norm=_norm),
            }
        ),
        OrderedDict(
            {
                "6a": InceptionB(288, norm=_norm),
                "6b": InceptionC(768, width=128, norm=_norm),
                "6c": InceptionC(768, width=160, norm=_norm),
                "6d": InceptionC(768, width=160, norm=_norm),
                "6e": InceptionC(768, width=192, norm=_norm),
            }
        ),
        OrderedDict(
            {
                "7a": InceptionD(768, norm=_norm),
                "7b": InceptionE(1280, norm=_norm),
                "7c": InceptionE(2048, norm=_norm),
            }
        ),
    ]
    return StagedEncoder(
        [nn.Sequential(stage) for stage in stages],
        out_channels=(64, 192, 288, 768, 2048),
        reductions=(2, 4, 8, 16, 32),
        in_channels=in_channels,
        minimum_size=MINIMUM_SIZE,
    )


def inception_v3(
    *,
    num_classes: int = 1000,
    in_channels: int = 3,
    has_auxiliary: bool = False,
    spatial_dims: SpatialDims = 2,
) -> Classifier:
    """Inception v3: 23,834,568 parameters, or 27,161,264 with the auxiliary head.

    Args:
        num_classes: Length of the logits.
        in_channels: Channels of the image.
        has_auxiliary: Whether to build the head that helps in training; see
            `AuxiliaryClassifier.forward_with_auxiliary`.
        spatial_dims: 2; the network is for images only.

    Raises:
        ShapeError: If `spatial_dims` is 3.
    """
    encoder = inception_v3_encoder(in_channels=in_channels, spatial_dims=spatial_dims)
    head = LinearHead(encoder.out_channels[-1], num_classes, dropout=0.5)
    if not has_auxiliary:
        return Classifier(encoder, head)
    return AuxiliaryClassifier(encoder, head, {AUXILIARY_AFTER: AuxiliaryHead(768, num_classes)})
