"""The one door for optional packages."""

import json
import sys
from collections.abc import Mapping
from contextlib import suppress
from importlib import import_module, metadata
from importlib.util import find_spec
from pathlib import Path
from shlex import quote
from types import MappingProxyType, ModuleType
from typing import Final
from urllib.parse import unquote, urlparse

from atrous.errors import MissingExtraError

MODULES: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "slides": (
            *("openslide", "openslide_bin", "tifffile", "imagecodecs", "zarr"),
            *("skimage", "shapely", "rasterio"),
        ),
        "volumes": ("nibabel", "SimpleITK"),
    }
)
"""All modules that the results of a kind of data need, by extra."""


def check_extra(extra: str) -> None:
    """See that all modules of an extra are there, before the work that needs the last of them.

    Raises:
        MissingExtraError: If one is not installed; nothing is imported for it.
    """
    missing = [module for module in MODULES[extra] if find_spec(module) is None]
    if missing:
        raise MissingExtraError(
            f"This needs {', '.join(map(repr, missing))}, which is not installed. Run: "
            f"{install_command(extra)}"
        )


def require(module: str, *, extra: str) -> ModuleType:
    """Import an optional package, or say which extra installs it.

    Raises:
        MissingExtraError: If `module` is not installed.

    Example:
        >>> require("nowhere_to_be_found", extra="slides")  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        atrous.errors.MissingExtraError: This needs 'nowhere_to_be_found', which is not installed. \
Run: ...[slides]...
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module.partition(".")[0]:
            raise  # installed, but one of its own imports is broken: show the real cause
        raise MissingExtraError(
            f"This needs {module!r}, which is not installed. Run: {install_command(extra)}"
        ) from error


def install_command(extra: str) -> str:
    """What installs an extra into this Python, from where the package itself was installed.

    The checkout, wheel or address that `direct_url.json` records is named, since an index may know
    no such package, or another version of it.

    Source: PEP 610.
    """
    program = f"uv pip install --python {quote(sys.executable)}"
    with suppress(metadata.PackageNotFoundError):
        # Not by find_spec, which setuptools answers for pip by changing what is imported.
        metadata.version("pip")
        program = "pip install"
    text = None
    with suppress(metadata.PackageNotFoundError):  # run from a checkout that was never installed
        text = metadata.distribution("atrous").read_text("direct_url.json")
    if text is None:
        return f"{program} 'atrous[{extra}]'"
    origin = json.loads(text)
    address = origin["url"]
    if address.startswith("file:"):
        place = unquote(urlparse(address).path)
        option = "-e " if origin.get("dir_info", {}).get("editable") else ""
        if not Path(place).exists():  # the wheel was removed; pip takes the installed one
            return f"{program} 'atrous[{extra}]'"
        return f"{program} {option}{quote(f'{place}[{extra}]')}"
    return f"{program} {quote(f'atrous[{extra}] @ {address}')}"
