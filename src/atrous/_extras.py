"""The one door for optional packages."""

from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from types import MappingProxyType, ModuleType
from typing import Final

from atrous.errors import MissingExtraError

MODULES: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "slides": (
            *("openslide", "openslide_bin", "tifffile", "imagecodecs", "zarr"),
            *("skimage", "shapely", "rasterio"),
        ),
        "volumes": ("nibabel",),
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
            f"pip install 'atrous[{extra}]'"
        )


def require(module: str, *, extra: str) -> ModuleType:
    """Import an optional package, or say which extra installs it.

    Raises:
        MissingExtraError: If `module` is not installed.

    Example:
        >>> require("nowhere_to_be_found", extra="slides")
        Traceback (most recent call last):
        atrous.errors.MissingExtraError: This needs 'nowhere_to_be_found', which is not installed. \
Run: pip install 'atrous[slides]'
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module.partition(".")[0]:
            raise  # installed, but one of its own imports is broken: show the real cause
        raise MissingExtraError(
            f"This needs {module!r}, which is not installed. Run: pip install 'atrous[{extra}]'"
        ) from error
