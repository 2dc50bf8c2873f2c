"""Text files of names, one a line: samples of a subset, classes of a data set."""

import json
from collections.abc import Iterable
from pathlib import Path

from atrous._documents import read_text
from atrous.errors import DataError


def read_names(path: Path) -> tuple[str, ...]:
    """The names in a file, in its order; blank lines and those that begin with `#` are passed over.

    A line in double quotes is a name as JSON writes it, which may begin with `#` or end in a blank.

    Raises:
        DataError: If the file cannot be read, holds no name, or holds one twice.
    """
    try:
        # Names of files may be no UTF-8; a text of another encoding has zeros in it.
        text = read_text(path, encoding="utf-8-sig", errors="surrogateescape")
        if "\0" in text:
            raise ValueError("not UTF-8")
        lines = text.splitlines()
    except (OSError, ValueError) as error:
        raise DataError(
            f"{path}: {error}; expected a text file with a name a line; check the path."
        ) from error
    line_of: dict[str, int] = {}
    for number, line in enumerate(lines, 1):
        name = line.strip()
        if not name or name.startswith("#"):
            continue
        name = _unquoted(name)
        first = line_of.setdefault(name, number)
        if first != number:
            raise DataError(
                f"{path}: lists {name!r} in line {first} and again in line {number}; expected "
                "every name once; remove one."
            )
    if not line_of:
        raise DataError(f"{path}: lists no name; expected a name a line; name another file.")
    return tuple(line_of)


def names_text(names: Iterable[str]) -> str:
    r"""Names as the text that `read_names` reads back, encoded with `surrogateescape`.

    A name that would be passed over, cut or taken for another as a plain line is quoted as in JSON.

    Example:
        >>> print(names_text(["a b", "#1", "c "]), end="")
        a b
        "#1"
        "c "
    """
    return "".join(f"{_quoted(name)}\n" for name in names)


def _quoted(name: str) -> str:
    is_plain = name == name.strip() and name[:1] not in ("#", '"', "\ufeff", "")
    is_plain = is_plain and name.splitlines() == [name]
    return name if is_plain else json.dumps(name, ensure_ascii=not name.isprintable())


def _unquoted(name: str) -> str:
    if len(name) < 2 or not (name.startswith('"') and name.endswith('"')):
        return name
    try:
        return str(json.loads(name))
    except ValueError:
        return name


def listed_names(*folders: Path, file_name: str) -> tuple[str, ...] | None:
    """The names in the first folder's file of that name, or None if no folder has one.

    Raises:
        DataError: As `read_names`.
    """
    path = next((path for folder in folders if (path := folder / file_name).is_file()), None)
    return None if path is None else read_names(path)
