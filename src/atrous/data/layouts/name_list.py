"""Text files of names, one a line: samples of a subset, classes of a data set."""

from pathlib import Path

from atrous.errors import DataError


def read_names(path: Path) -> tuple[str, ...]:
    """The names in a file, in its order; blank lines and those that begin with `#` are passed over.

    Raises:
        DataError: If the file cannot be read, holds no name, or holds one twice.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"{path}: {error}; expected a text file with a name a line; check the path."
        ) from error
    line_of: dict[str, int] = {}
    for number, line in enumerate(lines, 1):
        name = line.strip()
        if not name or name.startswith("#"):
            continue
        first = line_of.setdefault(name, number)
        if first != number:
            raise DataError(
                f"{path}: lists {name!r} in line {first} and again in line {number}; expected "
                "every name once; remove one."
            )
    if not line_of:
        raise DataError(f"{path}: lists no name; expected a name a line; name another file.")
    return tuple(line_of)


def listed_names(*folders: Path, file_name: str) -> tuple[str, ...] | None:
    """The names in the first folder's file of that name, or None if no folder has one.

    Raises:
        DataError: As `read_names`.
    """
    path = next((path for folder in folders if (path := folder / file_name).is_file()), None)
    return None if path is None else read_names(path)
