"""Files of names, one a line: samples of a subset, classes of a data set; and nnU-Net's folds."""

import json
import re
from pathlib import Path
from typing import Final

from atrous.errors import DataError

_FOLD: Final = re.compile(r"(?P<file>.+\.json)#(?P<fold>\d+)\.(?P<part>train|val)")


def read_names(path: Path) -> tuple[str, ...]:
    """The names in a file, in its order; blank lines and those that begin with `#` are passed over.

    Args:
        path: The file; `splits_final.json#0.val` for a part of a fold, as nnU-Net keeps them.

    Raises:
        DataError: If the file cannot be read, holds no name, or holds one twice.
    """
    if (fold := _FOLD.fullmatch(str(path))) is not None:
        return _names_of_fold(Path(fold["file"]), int(fold["fold"]), fold["part"])
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
