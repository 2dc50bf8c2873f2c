"""Polygons as labelme writes them: a JSON file beside every image."""

import base64
import binascii
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import Image, ImageDraw

from atrous._documents import read_json
from atrous.data.layouts.drawn import (
    DrawnMasks,
    check_points,
    check_size,
    images_by_name,
    named_classes,
)
from atrous.data.layouts.pairs import Pair
from atrous.data.photos.raster import open_raster_bytes
from atrous.data.photos.rasterise import Bitmap
from atrous.errors import DataError, UnknownNameError
from atrous.types import UNLABELLED, Size

_IGNORED: Final = "__ignore__"
_BACKGROUND: Final = "_background_"
_LINE_WIDTH: Final = 10
_POINT_RADIUS: Final = 5
"""Pixels, as labelme draws lines and points."""


class Labelme(DrawnMasks):
    """A folder of images, each with a `.json` of labelme beside it; classes by their labels.

    Shapes are drawn in the order of the file, as `labelme.utils.shapes_to_label` does; the label
    `__ignore__` is unlabelled, and `_background_` the background. Class names are the lines of
    `classes.txt`, or all labels in alphabetical order.

    Args:
        root: The folder, or one that holds splits.
        split: Name of a folder in `root`.

    Raises:
        UnknownNameError: If `root` has no such split.
        DataError: If an image has no file of labels, or that cannot be read.
    """

    def __init__(self, root: str | Path, *, split: str | None = None) -> None:
        root = Path(root)
        folder = root if split is None else root / split
        if not folder.is_dir():
            raise UnknownNameError("split", str(split), [p.name for p in root.glob("*/")])
        images = images_by_name(folder).values()
        bare = [image.name for image in images if not image.with_suffix(".json").is_file()]
        if bare:
            raise DataError(
                f"{folder}: {len(bare)} of {len(images)} images have no .json beside them, the "
                f"first being {bare[0]!r}; expected one each; save it in labelme without shapes if "
                "nothing is on it."
            )
        pairs = [Pair(name=i.stem, image=i, mask=i.with_suffix(".json")) for i in images]
        labels = {str(s["label"]) for pair in pairs for s in _shapes(pair.mask)[0]}
        super().__init__(pairs, class_names=named_classes(root, labels - {_IGNORED, _BACKGROUND}))

    def _areas(self, pair: Pair, size: Size) -> Iterator[tuple[int, Bitmap]]:
        shapes, stated = _shapes(pair.mask)
        check_size(pair.mask, stated, size)
        assert self.class_names is not None
        index_of = {name: index for index, name in enumerate(self.class_names)}
        index_of |= {_IGNORED: UNLABELLED, _BACKGROUND: 0}
        for number, shape in enumerate(shapes, 1):
            yield index_of[str(shape["label"])], _area(shape, size, f"{pair.mask}, shape {number}")


def _shapes(path: Path) -> tuple[list[dict[str, Any]], tuple[object, object]]:
    """The shapes of a file, and the height and width that it says."""
    try:
        record = read_json(path)
        shapes = record["shapes"]
        are_shapes = isinstance(shapes, list) and all(
            isinstance(shape, dict) and isinstance(shape.get("label"), str) for shape in shapes
        )
        stated = (record.get("imageHeight"), record.get("imageWidth"))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"{path}: {error!r}; expected a file of labelme with its shapes; save it again."
        ) from error
    if not are_shapes:
        raise DataError(f"{path}: shapes without labels; expected those of labelme; save it again.")
    return shapes, stated


def _area(shape: dict[str, Any], size: Size, place: str) -> Bitmap:
    """As `labelme.utils.shape_to_mask` fills it."""
    kind = shape.get("shape_type") or "polygon"
    if kind == "mask":
        return _stored(shape, size, place)
    given = shape.get("points")
    wanted = {"polygon": 3, "rectangle": 2, "circle": 2, "line": 2, "linestrip": 2, "point": 1}
    if not isinstance(kind, str) or kind not in wanted:
        raise DataError(
            f"{place}: a {kind!r}; expected one of {', '.join(wanted)} or mask; draw it otherwise."
        )
    fewest = wanted[kind]
    corners = check_points(given if fewest == 3 else [*_pairs(given), *[[0, 0]] * 3], place)
    points = [tuple(point) for point in (corners if fewest == 3 else corners[:-3]).tolist()]
    if len(points) < fewest or (kind in ("rectangle", "circle", "line") and len(points) != fewest):
        raise DataError(f"{place}: {len(points)} points of a {kind}; expected {fewest}; mend it.")
    picture = Image.new("L", (size[1], size[0]))
    draw = ImageDraw.Draw(picture)
    if kind == "circle":
        (cx, cy), (px, py) = points
        radius = float(np.hypot(cx - px, cy - py))
        draw.ellipse((cx - radius, cy - radius, cx + radius, cy + radius), outline=1, fill=1)
    elif kind == "rectangle":
        low, high = np.sort(np.array(points), axis=0).tolist()
        draw.rectangle((*low, *high), outline=1, fill=1)
    elif kind in ("line", "linestrip"):
        draw.line(points, fill=1, width=_LINE_WIDTH)
    elif kind == "point":
        ((cx, cy),) = points
        r = _POINT_RADIUS
        draw.ellipse((cx - r, cy - r, cx + r, cy + r), outline=1, fill=1)
    else:
        draw.polygon(points, outline=1, fill=1)
    return np.asarray(picture) > 0


def _pairs(given: object) -> list[Any]:
    return list(given) if isinstance(given, list) else []


def _stored(shape: dict[str, Any], size: Size, place: str) -> Bitmap:
    """A mask that is kept as a PNG, from its upper left corner on."""
    try:
        data = base64.b64decode(shape["mask"], validate=True)
        left, top = (int(length) for length in shape["points"][0])
    except (
        KeyError, TypeError, ValueError, IndexError, OverflowError, binascii.Error
    ) as error:  # fmt: skip
        raise DataError(
            f"{place}: {error!r}; expected a mask of labelme; draw it again."
        ) from error
    part = np.asarray(open_raster_bytes(data, name=place).convert("L")) > 0
    height, width = part.shape
    if top < 0 or left < 0 or top + height > size[0] or left + width > size[1]:
        raise DataError(f"{place}: lies outside the image; expected it inside; draw it again.")
    area = np.zeros(size, np.bool_)
    area[top : top + height, left : left + width] = part
    return area
