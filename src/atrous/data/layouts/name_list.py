"""Files of names, one a line: samples of a subset, classes of a data set; and nnU-Net's folds."""

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from atrous._documents import read_text
from atrous.errors import DataError

_FOLD: Final = re.compile(r"(?P<file>.+\.json)#(?P<fold>\d+)\.(?P<part>train|val)")


def read_names(path: Path) -> tuple[str, ...]:
    """The names in a file, in its order; blank lines and those that begin with `#` are passed over.

    A line in double quotes is a name as JSON writes it, which may begin with `#` or end in a blank.

    Args:
        path: The file; `splits_final.json#0.val` for a part of a fold, as nnU-Net keeps them.

    Raises:
        DataError: If the file cannot be read, holds no name, or holds one twice.
    """
    if (fold := _FOLD.fullmatch(str(path))) is not None:
        return _names_of_fold(Path(fold["file"]), int(fold["fold"]), fold["part"])
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


def _names_of_fold(path: Path, fold: int, part: str) -> tuple[str, ...]:
    try:
        folds = json.loads(path.read_text(encoding="utf-8"))
        names = tuple(map(str, folds[fold][part]))
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: {error}; expected nnU-Net's folds; check the path.") from error
    except (LookupError, TypeError) as error:
        raise DataError(
            f"{path} has no part {part!r} of fold {fold}; expected a list of folds, each with "
            "train and val; name another fold, counted from 0."
        ) from error
    if not names or len(set(names)) < len(names):
        raise DataError(
            f"{path}: part {part!r} of fold {fold} holds {len(names)} names, of which "
            f"{len(set(names))} differ; expected every name once, and some; mend it."
        )
    return names


def listed_names(*folders: Path, file_name: str) -> tuple[str, ...] | None:
    """The names in the first folder's file of that name, or None if no folder has one.

    Raises:
        DataError: As `read_names`.
    """
    path = next((path for folder in folders if (path := folder / file_name).is_file()), None)
    return None if path is None else read_names(path)
