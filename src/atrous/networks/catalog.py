"""Every network by name: one literal dict, written by hand."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal, TypeAlias

from torch import nn

from atrous.errors import AtrousError, DataError, ShapeError, UnknownNameError
from atrous.networks.classifiers.efficientnet_lite import (
    efficientnet_lite0,
    efficientnet_lite1,
    efficientnet_lite2,
    efficientnet_lite3,
    efficientnet_lite4,
)
from atrous.networks.classifiers.espnetv2 import (
    espnetv2_0_5,
    espnetv2_1_0,
    espnetv2_1_5,
    espnetv2_1_25,
    espnetv2_2_0,
)
from atrous.networks.classifiers.googlenet import googlenet, googlenet_torchvision
from atrous.networks.classifiers.inception_v3 import inception_v3
from atrous.networks.classifiers.resnet import (
    resnet18,
    resnet34,
    resnet50,
    resnet50_v1,
    resnet101,
    resnet152,
)
from atrous.networks.classifiers.shufflenet_v1 import (
    shufflenet_v1_g1,
    shufflenet_v1_g2,
    shufflenet_v1_g3,
    shufflenet_v1_g4,
    shufflenet_v1_g8,
)
from atrous.networks.classifiers.shufflenet_v2 import (
    shufflenet_v2_x0_5,
    shufflenet_v2_x1_0,
    shufflenet_v2_x1_5,
    shufflenet_v2_x2_0,
)
from atrous.networks.classifiers.vgg import (
    vgg11,
    vgg11_bn,
    vgg13,
    vgg13_bn,
    vgg16,
    vgg16_bn,
    vgg19,
    vgg19_bn,
)
from atrous.networks.segmenters.biopsy import biopsy
from atrous.networks.segmenters.deeplab import deeplabv3, deeplabv3plus
from atrous.networks.segmenters.espnet import espnet, espnet_c
from atrous.networks.segmenters.espnet3d import espnet3d
from atrous.networks.segmenters.espnetv2 import espnetv2_seg
from atrous.networks.segmenters.espnetv2_2018 import espnetv2_seg_2018
from atrous.networks.segmenters.fcn import fcn, fcn8s, fcn16s, fcn32s
from atrous.networks.segmenters.fpn import fpn
from atrous.networks.segmenters.linknet import linknet
from atrous.networks.segmenters.lraspp import lraspp
from atrous.networks.segmenters.pspnet import pspnet
from atrous.networks.segmenters.residual_unet import residual_unet
from atrous.networks.segmenters.segnet import segnet
from atrous.networks.segmenters.unet import (
    encoder_decoder,
    skip_encoder_decoder,
    unet,
    vanilla,
)
from atrous.networks.segmenters.ynet import ynet, ynet_seg
from atrous.types import Size

Task: TypeAlias = Literal["classification", "segmentation", "joint"]
"""What a network gives: label logits; mask logits; `joint`, a pair of mask and label logits."""

Argument: TypeAlias = str | int | float | bool | None
"""What a factory may be given by a model card: plain values that JSON keeps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkEntry:
    """How a named network is built, and the setting that its published cost is quoted at."""

    build: Callable[..., nn.Module]
    """Factory with keyword-only arguments, all with defaults."""
    task: Task
    size: Size
    """Input size `(H, W)` or `(D, H, W)` that parameters and MACs are listed at."""


def _segmenter(build: Callable[..., nn.Module], *, size: Size = (512, 512)) -> NetworkEntry:
    return NetworkEntry(build=build, task="segmentation", size=size)


def _classifier(build: Callable[..., nn.Module], *, size: Size = (224, 224)) -> NetworkEntry:
    return NetworkEntry(build=build, task="classification", size=size)


NETWORKS: Final[Mapping[str, NetworkEntry]] = MappingProxyType(
    {
        "espnet": NetworkEntry(build=espnet, task="segmentation", size=(512, 1024)),
        "espnet_c": NetworkEntry(build=espnet_c, task="segmentation", size=(512, 1024)),
        "espnetv2_seg": NetworkEntry(build=espnetv2_seg, task="segmentation", size=(384, 384)),
        "espnetv2_seg_2018": NetworkEntry(
            build=espnetv2_seg_2018, task="segmentation", size=(512, 1024)
        ),
        "ynet": NetworkEntry(build=ynet, task="joint", size=(384, 384)),
        "ynet_seg": NetworkEntry(build=ynet_seg, task="segmentation", size=(384, 384)),
        "biopsy": NetworkEntry(build=biopsy, task="segmentation", size=(256, 256)),
        "espnet3d": NetworkEntry(build=espnet3d, task="segmentation", size=(128, 128, 128)),
        "residual_unet": _segmenter(residual_unet, size=(128, 128, 128)),
        "vanilla": _segmenter(vanilla),
        "encoder_decoder": _segmenter(encoder_decoder),
        "skip_encoder_decoder": _segmenter(skip_encoder_decoder),
        "fcn32s": _segmenter(fcn32s),
        "fcn16s": _segmenter(fcn16s),
        "fcn8s": _segmenter(fcn8s),
        "fcn": _segmenter(fcn, size=(520, 520)),
        "segnet": _segmenter(segnet, size=(360, 480)),
        "linknet": _segmenter(linknet, size=(360, 480)),
        "unet": _segmenter(unet),
        "fpn": _segmenter(fpn),
        "deeplabv3": _segmenter(deeplabv3, size=(520, 520)),
        "deeplabv3plus": _segmenter(deeplabv3plus),
        "pspnet": _segmenter(pspnet),
        "lraspp": _segmenter(lraspp, size=(520, 520)),
        "vgg11": _classifier(vgg11),
        "vgg11_bn": _classifier(vgg11_bn),
        "vgg13": _classifier(vgg13),
        "vgg13_bn": _classifier(vgg13_bn),
        "vgg16": _classifier(vgg16),
        "vgg16_bn": _classifier(vgg16_bn),
        "vgg19": _classifier(vgg19),
        "vgg19_bn": _classifier(vgg19_bn),
        "googlenet": _classifier(googlenet),
        "googlenet_torchvision": _classifier(googlenet_torchvision),
        "inception_v3": _classifier(inception_v3, size=(299, 299)),
        "resnet18": _classifier(resnet18),
        "resnet34": _classifier(resnet34),
        "resnet50": _classifier(resnet50),
        "resnet50_v1": _classifier(resnet50_v1),
        "resnet101": _classifier(resnet101),
        "resnet152": _classifier(resnet152),
        "shufflenet_v1_g1": _classifier(shufflenet_v1_g1),
        "shufflenet_v1_g2": _classifier(shufflenet_v1_g2),
        "shufflenet_v1_g3": _classifier(shufflenet_v1_g3),
        "shufflenet_v1_g4": _classifier(shufflenet_v1_g4),
        "shufflenet_v1_g8": _classifier(shufflenet_v1_g8),
        "shufflenet_v2_x0_5": _classifier(shufflenet_v2_x0_5),
        "shufflenet_v2_x1_0": _classifier(shufflenet_v2_x1_0),
        "shufflenet_v2_x1_5": _classifier(shufflenet_v2_x1_5),
        "shufflenet_v2_x2_0": _classifier(shufflenet_v2_x2_0),
        "espnetv2_0_5": _classifier(espnetv2_0_5),
        "espnetv2_1_0": _classifier(espnetv2_1_0),
        "espnetv2_1_25": _classifier(espnetv2_1_25),
        "espnetv2_1_5": _classifier(espnetv2_1_5),
        "espnetv2_2_0": _classifier(espnetv2_2_0),
        "efficientnet_lite0": _classifier(efficientnet_lite0),
        "efficientnet_lite1": _classifier(efficientnet_lite1, size=(240, 240)),
        "efficientnet_lite2": _classifier(efficientnet_lite2, size=(260, 260)),
        "efficientnet_lite3": _classifier(efficientnet_lite3, size=(280, 280)),
        "efficientnet_lite4": _classifier(efficientnet_lite4, size=(300, 300)),
    }
)


def network_entry(name: str) -> NetworkEntry:
    """The catalog's line for a name.

    Raises:
        UnknownNameError: If no network has that name; the message suggests the nearest.
        DataError: If the name is a file of somebody's code that was not allowed to run.
    """
    if is_own(name):
        if name not in _OWN:
            raise DataError(
                f"{name} is code in a file, which runs only where you name it yourself; expected "
                f"--network {name}, or a recipe that says so; add it if you trust that file."
            )
        return _OWN[name]
    if name not in NETWORKS:
        raise UnknownNameError("network", name, NETWORKS)
    return NETWORKS[name]


def is_own(name: str) -> bool:
    """Whether a name is that of a function in a user's file, `FILE.py:FUNCTION`."""
    return ".py:" in name


_OWN: dict[str, NetworkEntry] = {}
"""Functions of users' files that were named by the user; filled by `networks.own`."""


def register_own(name: str, entry: NetworkEntry) -> None:
    """Let a function of a user's file be built under its name, in this process."""
    _OWN[name] = entry


def create(name: str, **arguments: Argument) -> nn.Module:
    """A network of the catalog with random weights, in training mode.

    Args:
        name: One of `list_networks()`.
        arguments: Keywords of the network's factory, such as `num_classes=4`.

    Raises:
        UnknownNameError: If there is no such network or keyword.
        ShapeError: If the values do not fit the network.

    Example:
        >>> sum(p.numel() for p in create("espnet", num_classes=12, q=3).parameters())
        192597
    """
    return build_network(name, arguments)


def list_networks(pattern: str = "*") -> list[str]:
    """Names of the catalog that match a pattern, in order.

    Example:
        >>> list_networks("espnet_*")
        ['espnet_c']
    """
    from fnmatch import fnmatchcase

    return [name for name in sorted(NETWORKS) if fnmatchcase(name, pattern)]


def build_network(name: str, arguments: Mapping[str, Argument] | None = None) -> nn.Module:
    """Build an untrained network by name.

    Args:
        name: A key of `NETWORKS`.
        arguments: Keyword arguments of its factory, as a model card holds them.

    Raises:
        UnknownNameError: If the network or one of the arguments is not known.
        ShapeError: If an argument's value is not possible.

    Example:
        >>> model = build_network("espnet", {"num_classes": 12, "q": 3})
        >>> sum(p.numel() for p in model.parameters())
        192597
    """
    factory = network_entry(name).build
    arguments = arguments or {}
    known = inspect.signature(factory).parameters
    for argument in arguments:
        if argument not in known:
            raise UnknownNameError(f"argument of {name}", argument, known)
    for argument in ("in_channels", "num_classes"):
        value = arguments.get(argument)
        if isinstance(value, int) and value < 1:
            raise ShapeError(f"{name} was given {argument}={value}; expected at least 1.")
    try:
        return factory(**arguments)
    except AtrousError:
        raise
    except (TypeError, ValueError, KeyError, RuntimeError) as error:
        # Values from a file may be of any type; torch says so in many ways.
        raise ShapeError(f"{name} cannot be built with {dict(arguments)}: {error}") from error
