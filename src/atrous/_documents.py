"""Read JSON, TOML and plain text that anybody may have written: whole, regular, not too deep.

All faults come as `OSError` or `ValueError`, so that a caller names the file and what it is for.
"""

import errno
import io
import json
import stat
import tomllib
from pathlib import Path
from typing import Any, Final

MAX_DEPTH: Final = 100
"""Levels of nesting; none of the formats that are read here has more than ten."""
_WALKED: Final = 2**23
"""Characters of a document up to which its nesting is measured; of longer ones the parser's own
limit holds."""


def check_regular(path: Path) -> None:
    """See that a path is no pipe, socket or device, whose reading might never end.

    Raises:
        OSError: If it is one, or is not there.
    """
    mode = path.stat().st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise OSError(errno.EINVAL, "a pipe, socket or device, not a file", str(path))


def open_regular(path: Path) -> io.BufferedReader:
    """A file open for reading.

    Raises:
        OSError: If it cannot be opened, or is no file.
    """
    check_regular(path)
    return path.open("rb")


def read_text(path: Path, *, encoding: str = "utf-8", errors: str = "strict") -> str:
    """All of a text file.

    Raises:
        OSError: If it cannot be read, or is no file.
        UnicodeDecodeError: If it is of another encoding.
    """
    check_regular(path)
    return path.read_text(encoding=encoding, errors=errors)


def read_json(path: Path) -> Any:  # noqa: ANN401 - whatever the file holds
    """What a JSON file in UTF-8 holds.

    Raises:
        OSError: If it cannot be read, or is no file.
        ValueError: If it is no JSON, or nested too deeply.
    """
    return parse_json(read_text(path, encoding="utf-8-sig"))


def parse_json(text: str | bytes) -> Any:  # noqa: ANN401 - whatever the text holds
    """What a JSON text holds.

    Raises:
        ValueError: If it is no JSON, or nested too deeply.

    Example:
        >>> parse_json("[" * 100_000)
        Traceback (most recent call last):
        ValueError: nested more than 100 levels deep
    """
    try:
        found = json.loads(text)
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None
    return _checked(found, len(text))


def parse_toml(text: str) -> dict[str, Any]:
    """What a TOML text holds.

    Raises:
        ValueError: If it is no TOML, or nested too deeply.
    """
    try:
        found = tomllib.loads(text)
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None
    _checked(found, len(text))
    return found


_TOO_DEEP: Final = f"nested more than {MAX_DEPTH} levels deep"


def _checked(found: Any, length: int) -> Any:  # noqa: ANN401 - whatever was parsed
    """The document itself, whose readers may walk it by recursion."""
    level = [found] if length <= _WALKED and isinstance(found, dict | list) else []
    for _ in range(MAX_DEPTH):
        if not level:
            return found
        level = [
            item
            for parent in level
            for item in (parent.values() if isinstance(parent, dict) else parent)
            if isinstance(item, dict | list)
        ]
    raise ValueError(_TOO_DEEP)
