"""The models that the package ships, by name: `people` means the same file wherever one does."""

from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import Final

from atrous.errors import DataError, UnknownNameError

SHIPPED: Final[Mapping[str, str]] = MappingProxyType(
    {"hippocampus": "hippocampus.safetensors", "people": "people.safetensors"}
)
"""Files in this folder, each with its card inside."""


def resolve_weights(text: str) -> Path:
    """The weights file that a user names: a shipped model, trained weights, or a path.

    A shipped name always means the shipped model, whatever lies in the present folder; a file or a
    folder of that name is reached as `./people`. What ends in a suffix, holds a separator or is
    there is taken as a path, and whoever opens it says what is wrong with it.

    Args:
        text: A key of `SHIPPED`; `imagenet:NETWORK` for weights of a classifier that was trained on
            ImageNet, out of an installed package or torchvision's; or a path.

    Raises:
        UnknownNameError: If it is neither.
        DataError: If it is the name of a network instead of weights, if this copy of the package
            lacks the model's file, or if trained weights cannot be fetched.
        MissingExtraError: If trained weights lie in a package that is not installed.

    Example:
        >>> resolve_weights("cells/mine.safetensors").name
        'mine.safetensors'
        >>> resolve_weights("poeple")
        Traceback (most recent call last):
        atrous.errors.UnknownNameError: No weights file or shipped model is named 'poeple'. \
Did you mean 'people'? Known: hippocampus, people.
    """
    if text in SHIPPED:
        path = shipped_file(text)
        if not path.is_file():
            raise DataError(
                f"This copy of atrous lacks {path}, the weights of {text!r}; expected a file of "
                f"the package; install it again."
            )
        return path
    source, separator, network = text.partition(":")
    if separator and source == "imagenet":
        from atrous.networks.convert.fetch import fetch_weights

        return fetch_weights(network, source)
    path = Path(text)
    if path.suffix or text != path.name or path.exists():
        return path
    from atrous.networks.catalog import NETWORKS

    if text in NETWORKS:
        raise DataError(
            f"{text} is a network, expected weights of one: a .safetensors file or a shipped model "
            f"({', '.join(SHIPPED)}); `atrous predict` fetches published ones with --weights."
        )
    raise UnknownNameError("weights file or shipped model", text, SHIPPED)


def shipped_file(name: str) -> Path:
    """Where a shipped model's file lies in the package.

    Raises:
        UnknownNameError: If no shipped model has that name.
    """
    if name not in SHIPPED:
        raise UnknownNameError("shipped model", name, SHIPPED)
    return Path(str(files(__name__) / SHIPPED[name]))
