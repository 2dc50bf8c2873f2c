"""Shapes as CVAT exports them: one `annotations.xml` ("CVAT for images") and the images."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final
from xml.etree import ElementTree

import numpy as np

from atrous._documents import open_regular
from atrous.data.layouts.drawn import (
    DrawnMasks,
    check_points,
    check_size,
    images_by_name,
    named_classes,
    pairs_of,
)
from atrous.data.layouts.pairs import Pair
from atrous.data.photos.rasterise import Bitmap, fill_coco
from atrous.errors import DataError
from atrous.types import Size

_FILE: Final = "annotations.xml"
_AREAS: Final = ("polygon", "box", "mask")


class CVAT(DrawnMasks):
    """`annotations.xml` with images in `images/`, in the split's folder there, or beside it.

    Polygons, boxes and masks are areas, drawn by their `z_order` and then as the file has them;
    polygons and boxes are filled as pycocotools fills them, which CVAT exports masks by. Lines and
    points hold no area and are left out. Class names are the lines of `classes.txt`, or the labels
    of the file in alphabetical order.

    Args:
        root: The data set's folder.
        split: Name of a folder in `images/`, as CVAT calls its subsets.

    Raises:
        DataError: If the file is missing or cannot be read, or images are.
    """

    def __init__(self, root: str | Path, *, split: str | None = None) -> None:
        root = Path(root)
        listed = root / _FILE
        entries = _read(listed)
        folders = [root / "images" / (split or ""), root / (split or "")]
        folder = next((place for place in folders if place.is_dir()), root)
        present = images_by_name(folder)
        chosen = {
            Path(entry.get("name", "")).name: entry
            for entry in entries
            if split is None or entry.get("subset", split) == split
        }
        missing = [name for name in chosen if name not in present]
        if missing or not chosen:
            raise DataError(
                f"{folder}: {len(missing)} of the {len(chosen)} images that {listed.name} names "
                f"are not here, such as {(missing or ['none'])[0]!r}; expected all; add them."
            )
        pairs = pairs_of((present[name] for name in chosen), listed)
        labels = {str(shape.get("label")) for entry in chosen.values() for shape in _areas(entry)}
        super().__init__(pairs, class_names=named_classes(root, labels))
        self._entries = {present[name]: entry for name, entry in chosen.items()}

    def _areas(self, pair: Pair, size: Size) -> Iterator[tuple[int, Bitmap]]:
        entry = self._entries[pair.image]
        place = f"{pair.mask}, image {pair.image.name}"
        stated = (_whole(entry, "height", place), _whole(entry, "width", place))
        check_size(pair.mask, stated, size)
        assert self.class_names is not None
        index_of = {name: index for index, name in enumerate(self.class_names)}
        for shape in sorted(_areas(entry), key=lambda s: _whole(s, "z_order", place, default=0)):
            yield index_of[str(shape.get("label"))], _area(shape, size, place)


def _read(listed: Path) -> list[ElementTree.Element]:
    try:
        with open_regular(listed) as file:
            tree = ElementTree.parse(file)  # noqa: S314 - expat itself stops what expands
    except (OSError, ElementTree.ParseError, ValueError, LookupError) as error:
        raise DataError(
            f"{listed}: {error}; expected an export of the kind 'CVAT for images'; export it again."
        ) from error
    found = tree.getroot().findall("image")
    if not found:
        raise DataError(
            f"{listed}: lists no image; expected an export of the kind 'CVAT for images', not of "
            "video; export it again."
        )
    return found


def _areas(entry: ElementTree.Element) -> list[ElementTree.Element]:
    return [shape for shape in entry if shape.tag in _AREAS]


def _area(shape: ElementTree.Element, size: Size, place: str) -> Bitmap:
    if shape.tag == "mask":
        return _stored(shape, size, place)
    if shape.tag == "box":
        left, top, right, bottom = (
            _number(shape, key, place) for key in ("xtl", "ytl", "xbr", "ybr")
        )
        points: object = [left, top, right, top, right, bottom, left, bottom]
    else:
        points = [pair.split(",") for pair in shape.get("points", "").split(";")]
    return fill_coco(check_points(points, place), size)


def _stored(shape: ElementTree.Element, size: Size, place: str) -> Bitmap:
    """Run lengths, row after row, outside first, of a part of the image."""
    left, top, width, height = (
        _whole(shape, key, place) for key in ("left", "top", "width", "height")
    )
    try:
        runs = np.array([int(run) for run in shape.get("rle", "").split(",")], np.int64)
    except (ValueError, OverflowError):
        runs = np.array([-1])
    is_whole = (runs >= 0).all() and runs.sum() == width * height
    if not is_whole or min(left, top) < 0 or left + width > size[1] or top + height > size[0]:
        raise DataError(
            f"{place}: a mask of {height} x {width} at {top}, {left} that does not lie in the "
            "image, or whose run lengths do not fill it; expected both; export it again."
        )
    area = np.zeros(size, np.bool_)
    inside = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
    area[top : top + height, left : left + width] = inside.reshape(height, width)
    return area


def _number(shape: ElementTree.Element, key: str, place: str) -> float:
    try:
        return float(shape.get(key, ""))
    except ValueError as error:
        raise DataError(
            f"{place}: {key} is {shape.get(key)!r}; expected a number; export it again."
        ) from error


def _whole(shape: ElementTree.Element, key: str, place: str, default: int | None = None) -> int:
    if default is not None and shape.get(key) is None:
        return default
    number = _number(shape, key, place)
    if not number.is_integer():
        raise DataError(f"{place}: {key} is {number:g}; expected a whole number; export it again.")
    return int(number)
