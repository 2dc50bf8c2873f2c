"""The one door for optional packages."""

from importlib import import_module
from types import ModuleType

from atrous.errors import MissingExtraError


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
