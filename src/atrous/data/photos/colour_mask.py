"""Masks coded by colour: a table of colours and names, and the mask that it makes of a picture."""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch
from torch import Tensor

from atrous._documents import read_text
from atrous.data.photos.mask import open_exact
from atrous.errors import DataError
from atrous.types import UNLABELLED, Colour

TABLES: Final = ("class_dict.csv", "labelmap.txt")
"""Names of tables: CamVid's and its followers', and CVAT's."""
_UNLABELLED: Final = frozenset({"void", "unlabelled", "unlabeled", "ignore", "__ignore__"})
"""Names, lower case, of colours that mean no class."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ColourTable:
    """Which colour is which class.

    Attributes:
        path: The file.
        class_names: Of the classes, in the order of the table.
        index_of: Class index, or 255 for what is unlabelled, by colour.
    """

    path: Path
    class_names: tuple[str, ...]
    index_of: Mapping[Colour, int]


def find_colour_table(*folders: Path) -> ColourTable | None:
    """The first folder's table of colours, None if no folder has one.

    Raises:
        DataError: As `read_colour_table`.
    """
    places = (folder / name for folder in folders for name in TABLES)
    path = next((place for place in places if place.is_file()), None)
    return None if path is None else read_colour_table(path)


def read_colour_table(path: Path) -> ColourTable:
    """Read `name,r,g,b` with a header, or CVAT's `name:r,g,b:parts:actions`.

    Several colours may share a name, and are one class. The names `void`, `unlabelled` and `ignore`
    are no class.

    Raises:
        DataError: If it cannot be read, holds no class, or one colour twice.
    """
    try:
        lines = [line.strip() for line in read_text(path, encoding="utf-8-sig").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: {error}; expected {_EXPECTED}; check the file.") from error
    lines = [line for line in lines if line and not line.startswith("#")]
    if path.suffix == ".csv":
        rows = [row[:4] for row in csv.reader(lines[1:])]
    else:
        rows = [[line.split(":")[0], *_second(line).split(",")] for line in lines]
    names: list[str] = []
    index_of: dict[Colour, int] = {}
    for row in rows:
        name, colour = _entry(path, row)
        is_class = name.casefold() not in _UNLABELLED
        if is_class and name not in names:
            names.append(name)
        if colour in index_of:
            raise DataError(
                f"{path}: the colour {colour} stands for {name!r} and for another class; expected "
                "each colour once; mend the table."
            )
        index_of[colour] = names.index(name) if is_class else UNLABELLED
    if not 0 < len(names) <= UNLABELLED:
        raise DataError(
            f"{path}: names {len(names)} classes; expected 1 to {UNLABELLED}; mend the table."
        )
    return ColourTable(path=path, class_names=tuple(names), index_of=index_of)


_EXPECTED: Final = "a table of name,r,g,b under a header, or lines of name:r,g,b::"


def _second(line: str) -> str:
    return (*line.split(":"), "")[1]


def _entry(path: Path, row: list[str]) -> tuple[str, Colour]:
    try:
        name, red, green, blue = (cell.strip() for cell in row)
        levels = (int(red), int(green), int(blue))
    except ValueError as error:
        raise DataError(f"{path}: the row {row}; expected {_EXPECTED}; mend it.") from error
    if not name or not all(0 <= level <= 255 for level in levels):
        raise DataError(
            f"{path}: the row {row}; expected a name and levels from 0 to 255; mend it."
        )
    return name, levels


def read_colour_mask(path: Path, table: ColourTable) -> Tensor:
    """The classes of a picture's colours, `(H, W)` int64, 255 where unlabelled.

    Raises:
        DataError: As `read_mask`, or if a colour is not in the table.
    """
    image = open_exact(path)
    if image.mode not in ("RGB", "RGBA", "P", "L", "1"):
        raise DataError(
            f"{path}: pixels of mode {image.mode!r}; expected 8-bit colours; save it as PNG."
        )
    pixels = np.asarray(image.convert("RGBA")).astype(np.int64)
    codes = (pixels[..., 0] << 16) + (pixels[..., 1] << 8) + pixels[..., 2]
    held, inverse = np.unique(codes, return_inverse=True)
    colours = [(int(c) >> 16, int(c) >> 8 & 255, int(c) & 255) for c in held]
    strange = [colour for colour in colours if colour not in table.index_of]
    if strange or pixels[..., 3].min() < 255:
        found = f"{len(strange)} colours such as {strange[0]}" if strange else "transparent pixels"
        raise DataError(
            f"{path}: holds {found}; expected the colours of {table.path.name} alone; add them "
            "there, or save the mask without smoothing."
        )
    classes = np.array([table.index_of[colour] for colour in colours], np.int64)
    return torch.from_numpy(classes[inverse].reshape(codes.shape))
