"""Polygons as YOLO's segmentation keeps them: a text file for each image, lengths as shares."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np

from atrous._documents import read_text
from atrous.data.layouts.drawn import (
    BACKGROUND,
    CLASSES_FILE,
    DrawnMasks,
    check_points,
    images_by_name,
)
from atrous.data.layouts.name_list import listed_names
from atrous.data.layouts.pairs import Pair
from atrous.data.photos.rasterise import Bitmap, fill_opencv
from atrous.errors import DataError
from atrous.types import Size

_NAMES_FILES: Final = ("data.yaml", "dataset.yaml", "data.yml")


class YOLOSeg(DrawnMasks):
    """`images/SPLIT/*.jpg` with `labels/SPLIT/*.txt`: a class and shares of x and y on each line.

    Classes are the background and then YOLO's own, named by `classes.txt` or the `names` of
    `data.yaml`. Polygons are filled as Ultralytics fills them, by OpenCV, the largest first, so
    that small objects lie over large ones. An image without a text file holds no object, as there.

    Args:
        root: The data set's folder.
        split: Folder in `images/` and `labels/`, or folder that holds both; None if there are none.

    Raises:
        DataError: If folders or names are missing, or a file holds boxes, or what is no polygon.
    """

    def __init__(self, root: str | Path, *, split: str | None = None) -> None:
        root = Path(root)
        images, labels = _folders(root, split)
        names = _class_names(root)
        pairs = [
            Pair(name=path.stem, image=path, mask=labels / f"{path.stem}.txt")
            for path in images_by_name(images).values()
        ]
        if not any(pair.mask.is_file() for pair in pairs):
            raise DataError(
                f"{labels}: no text file for any of the {len(pairs)} images; expected one for each "
                "that holds objects; check the path."
            )
        super().__init__(pairs, class_names=(BACKGROUND, *names))

    def files(self, index: int) -> tuple[Path, ...]:
        """Where the image of sample `index` lies, and its polygons if it has any."""
        pair = self.pairs[index]
        return (pair.image, pair.mask) if pair.mask.is_file() else (pair.image,)

    def _areas(self, pair: Pair, size: Size) -> Iterator[tuple[int, Bitmap]]:
        found = _polygons(pair.mask, size, self.num_classes - 1)
        areas = [(index + 1, fill_opencv(corners, size)) for index, corners in found]
        yield from sorted(areas, key=lambda entry: -int(entry[1].sum()))


def _folders(root: Path, split: str | None) -> tuple[Path, Path]:
    places = [(root / "images" / (split or ""), root / "labels" / (split or ""))]
    if split is not None:
        places.append((root / split / "images", root / split / "labels"))
    found = next((place for place in places if all(p.is_dir() for p in place)), None)
    if found is None:
        raise DataError(
            f"{root}: no images/ and labels/{f' of {split}' if split else ''} here; expected both; "
            "check root and split."
        )
    return found


def _class_names(root: Path) -> tuple[str, ...]:
    listed = listed_names(root, file_name=CLASSES_FILE)
    if listed is not None:
        return listed
    path = next((root / name for name in _NAMES_FILES if (root / name).is_file()), None)
    if path is None:
        raise DataError(
            f"{root}: neither {CLASSES_FILE} nor {_NAMES_FILES[0]} is here; expected the names of "
            f"the classes; write {CLASSES_FILE}, a name a line."
        )
    import yaml  # type: ignore[import-untyped]  # its types are a package of their own

    try:
        names = yaml.safe_load(read_text(path))["names"]
        numbered = dict(enumerate(names)) if isinstance(names, list) else dict(names)
        if sorted(numbered) != list(range(len(numbered))):
            raise ValueError(f"names are numbered {sorted(numbered)[:8]}")
    except (OSError, ValueError, KeyError, TypeError, RecursionError, yaml.YAMLError) as error:
        raise DataError(
            f"{path}: {' '.join(str(error).split())[:200]}; expected `names`, a list or numbers "
            f"from 0 on to names; mend it, or write {CLASSES_FILE}."
        ) from error
    return tuple(str(numbered[index]) for index in range(len(numbered)))


def _polygons(
    path: Path, size: Size, num_classes: int
) -> Iterator[tuple[int, np.ndarray[tuple[int, ...], np.dtype[np.int64]]]]:
    if not path.is_file():
        return
    try:
        lines = read_text(path).splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: {error}; expected lines of YOLO; make it again.") from error
    for number, line in enumerate(lines, 1):
        cells = line.split()
        if not cells:
            continue
        place = f"{path}, line {number}"
        try:
            index, values = int(cells[0]), [float(cell) for cell in cells[1:]]
        except ValueError as error:
            raise DataError(f"{place}: {error}; expected a class and numbers; mend it.") from error
        if len(values) == 4:
            raise DataError(
                f"{place}: a box; expected a polygon of three corners or more; export segments."
            )
        if not 0 <= index < num_classes or not all(0 <= value <= 1 for value in values):
            raise DataError(
                f"{place}: class {index} and shares such as {values[:2]}; expected a class below "
                f"{num_classes} and shares from 0 to 1; mend it, or the names."
            )
        corners = check_points(values if len(values) % 2 == 0 else None, place)
        yield index, np.trunc(corners * (size[1], size[0])).astype(np.int64)
