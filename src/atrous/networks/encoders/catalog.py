"""Every encoder by name: our own, and those of timm and torchvision under the same contract."""

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Final

from atrous.errors import ShapeError, UnknownNameError
from atrous.networks.classifiers.efficientnet_lite import efficientnet_lite_encoder
from atrous.networks.classifiers.espnetv2 import ESPNetv2Encoder
from atrous.networks.classifiers.googlenet import googlenet_encoder, googlenet_torchvision_encoder
from atrous.networks.classifiers.inception_v3 import inception_v3_encoder
from atrous.networks.classifiers.resnet import resnet_encoder
from atrous.networks.classifiers.shufflenet_v1 import shufflenet_v1_encoder
from atrous.networks.classifiers.shufflenet_v2 import shufflenet_v2_encoder
from atrous.networks.classifiers.vgg import vgg_encoder
from atrous.networks.encoder import Encoder
from atrous.networks.encoders.timm import timm_encoder
from atrous.networks.encoders.torchvision import torchvision_encoder
from atrous.types import SpatialDims

STRIDED: Final[Mapping[str, Callable[..., Encoder]]] = MappingProxyType(
    {
        "googlenet": googlenet_encoder,
        "googlenet_torchvision": googlenet_torchvision_encoder,
        "inception_v3": inception_v3_encoder,
        "shufflenet_v1_g1": partial(shufflenet_v1_encoder, 1),
        "shufflenet_v1_g2": partial(shufflenet_v1_encoder, 2),
        "shufflenet_v1_g3": partial(shufflenet_v1_encoder, 3),
        "shufflenet_v1_g4": partial(shufflenet_v1_encoder, 4),
        "shufflenet_v1_g8": partial(shufflenet_v1_encoder, 8),
        "shufflenet_v2_x0_5": partial(shufflenet_v2_encoder, "x0_5"),
        "shufflenet_v2_x1_0": partial(shufflenet_v2_encoder, "x1_0"),
        "shufflenet_v2_x1_5": partial(shufflenet_v2_encoder, "x1_5"),
        "shufflenet_v2_x2_0": partial(shufflenet_v2_encoder, "x2_0"),
        "espnetv2_0_5": partial(ESPNetv2Encoder, "0_5"),
        "espnetv2_1_0": partial(ESPNetv2Encoder, "1_0"),
        "espnetv2_1_25": partial(ESPNetv2Encoder, "1_25"),
        "espnetv2_1_5": partial(ESPNetv2Encoder, "1_5"),
        "espnetv2_2_0": partial(ESPNetv2Encoder, "2_0"),
        "efficientnet_lite0": partial(efficientnet_lite_encoder, "0"),
        "efficientnet_lite1": partial(efficientnet_lite_encoder, "1"),
        "efficientnet_lite2": partial(efficientnet_lite_encoder, "2"),
        "efficientnet_lite3": partial(efficientnet_lite_encoder, "3"),
        "efficientnet_lite4": partial(efficientnet_lite_encoder, "4"),
    }
)
"""Encoders whose last map is always at reduction 32."""

DILATABLE: Final[Mapping[str, Callable[..., Encoder]]] = MappingProxyType(
    {
        "vgg11": partial(vgg_encoder, "vgg11", has_norm=False),
        "vgg11_bn": partial(vgg_encoder, "vgg11", has_norm=True),
        "vgg13": partial(vgg_encoder, "vgg13", has_norm=False),
        "vgg13_bn": partial(vgg_encoder, "vgg13", has_norm=True),
        "vgg16": partial(vgg_encoder, "vgg16", has_norm=False),
        "vgg16_bn": partial(vgg_encoder, "vgg16", has_norm=True),
        "vgg19": partial(vgg_encoder, "vgg19", has_norm=False),
        "vgg19_bn": partial(vgg_encoder, "vgg19", has_norm=True),
        "resnet18": partial(resnet_encoder, "resnet18"),
        "resnet34": partial(resnet_encoder, "resnet34"),
        "resnet50": partial(resnet_encoder, "resnet50"),
        "resnet50_v1": partial(resnet_encoder, "resnet50_v1"),
        "resnet101": partial(resnet_encoder, "resnet101"),
        "resnet152": partial(resnet_encoder, "resnet152"),
    }
)
"""Encoders that take an `output_stride`."""

ENCODERS: Final[Mapping[str, Callable[..., Encoder]]] = MappingProxyType({**STRIDED, **DILATABLE})
"""All of ours."""


def create_encoder(
    name: str,
    *,
    in_channels: int = 3,
    spatial_dims: SpatialDims = 2,
    output_stride: int = 32,
) -> Encoder:
    """Build an untrained encoder by name.

    Args:
        name: A key of `ENCODERS`; `timm:NAME` for a backbone of timm, `torchvision:NAME` for one of
            torchvision.
        in_channels: Channels of the image.
        spatial_dims: 2 for images, 3 for volumes; backbones of others are for images only.
        output_stride: 32, or 8 or 16 for the last reduction of an encoder that can be dilated.

    Raises:
        UnknownNameError: If no encoder has that name; the message suggests the nearest.
        ShapeError: If the encoder does not exist for these dimensions or this stride.
        MissingExtraError: If timm is asked for and not installed.

    Example:
        >>> create_encoder("resnet18", output_stride=8).reductions
        (2, 4, 8, 8, 8)
    """
    library, _, foreign = name.rpartition(":")
    if library == "timm":
        return timm_encoder(
            foreign, in_channels=in_channels, spatial_dims=spatial_dims, output_stride=output_stride
        )
    if library == "torchvision":
        return torchvision_encoder(
            foreign, in_channels=in_channels, spatial_dims=spatial_dims, output_stride=output_stride
        )
    if name in DILATABLE:
        return DILATABLE[name](
            in_channels=in_channels, spatial_dims=spatial_dims, output_stride=output_stride
        )
    if name not in STRIDED:
        raise UnknownNameError("encoder", name, [*ENCODERS, "timm:NAME", "torchvision:NAME"])
    if output_stride != 32:
        raise ShapeError(
            f"{name} has no dilated form, so its output stride is 32, but got {output_stride}; use "
            f"32, or a VGG or ResNet."
        )
    return STRIDED[name](in_channels=in_channels, spatial_dims=spatial_dims)
