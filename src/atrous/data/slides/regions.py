"""Where on a slide something is to be done, as the user says: polygons or a mask in a file.

Needs the extra `slides`.
"""

from collections.abc import Sequence
from math import ceil
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from atrous._extras import require
from atrous.data.slides.annotations import Annotation, read_annotations
from atrous.data.slides.frame import FRAMES, frame_box
from atrous.data.slides.geojson import GeoJSONMask
from atrous.data.slides.read import Slide
from atrous.errors import DataError
from atrous.types import UNLABELLED, Size

GEOJSON_SUFFIXES: Final = (".geojson", ".json")
_MASK_SUFFIXES: Final = (".png", ".tif", ".tiff", ".bmp")
_LONGEST: Final = 4096
"""Longer side of the picture that polygons are drawn on, pixels."""
_SLACK: Final = 2.0
"""Pixels by which the shape of a mask may differ from the slide's."""


def file_of_slide(path: Path, name: str) -> Path:
    """The file itself or, in a folder, that of a slide's name.

    Raises:
        DataError: If there is none.
    """
    if not path.is_dir():
        return path
    for suffix in (*GEOJSON_SUFFIXES, *_MASK_SUFFIXES):
        if (path / f"{name}{suffix}").is_file():
            return path / f"{name}{suffix}"
    raise DataError(
        f"{path} holds no file of {name}; expected {name}.geojson or {name}.png; add it, or leave "
        "the slide out."
    )


def read_area(path: Path, slide: Slide, *, frame: str) -> NDArray[np.bool_]:
    """A picture of the whole slide, `(h, w)`, of where a file says.

    Args:
        path: GeoJSON, whose areas of any class count but those that QuPath ignores; or a mask of
            any size in the slide's shape, of which all but 0 counts.
        slide: Theirs.
        frame: What polygons count from, unless the file says it.

    Raises:
        DataError: If the file cannot be read, is empty, or is no mask of the slide's shape.
    """
    if path.suffix.lower() not in GEOJSON_SUFFIXES:
        return _read_mask(path, slide)
    height, width = slide.levels[0].size
    step = max(1.0, max(height, width) / _LONGEST)
    size = (ceil(height / step), ceil(width / step))
    features = require("rasterio.features", extra="slides")
    rasterio = require("rasterio", extra="slides")
    areas, (top, left) = _areas(path, slide, frame)
    transform = rasterio.Affine(step, 0, -left, 0, step, -top)
    drawn = np.zeros(size, np.uint8)
    for area in areas:  # in this order, so that what is ignored takes away from what it lies in
        value = int(not area.is_ignored)
        # Of a tile that an area only touches, some is wanted too.
        options = {"out": drawn, "transform": transform, "all_touched": bool(value)}
        features.rasterize([(area.polygon, value)], **options)
    return drawn.astype(np.bool_)


def read_roi(
    path: Path, slide: Slide, size: Size, *, scale: tuple[float, float], frame: str
) -> GeoJSONMask:
    """The areas of a GeoJSON as a map that is 0 inside of them and 255 outside.

    Args:
        path: The file.
        slide: Its slide.
        size: `(H, W)` of the map, pixels.
        scale: Pixels of level 0 per pixel of the map, down and to the right.
        frame: What polygons count from, unless the file says it.

    Raises:
        DataError: If the file is no GeoJSON, or holds no area on the slide.
    """
    if path.suffix.lower() not in GEOJSON_SUFFIXES:
        raise DataError(
            f"{path}: a region of interest is GeoJSON, such as QuPath exports; give such a file."
        )
    shapely = require("shapely", extra="slides")
    areas, (top, left) = _areas(path, slide, frame)
    shapes = np.empty(len(areas), object)
    shapes[:] = [area.polygon for area in areas]
    shift = np.array([left, top], float)
    placed = shapely.transform(shapes, lambda xy: xy + shift)
    return GeoJSONMask(
        size=tuple(size),
        scale=scale,
        polygons=placed,
        classes=np.array([UNLABELLED if area.is_ignored else 0 for area in areas], np.uint8),
        tree=shapely.STRtree(placed),
    )


def _areas(path: Path, slide: Slide, frame: str) -> tuple[Sequence[Annotation], tuple[int, int]]:
    """The areas of a file, and top and left of its frame."""
    found = read_annotations(path)
    wanted = [area.polygon for area in found.areas if not area.is_ignored]
    if not wanted:
        raise DataError(f"{path} holds no area; expected polygons; draw one.")
    named = found.frame if found.frame in FRAMES else frame
    top, left, _, _ = frame_box(slide, named)
    shapely = require("shapely", extra="slides")
    right, bottom = slide.levels[0].size[1] - left, slide.levels[0].size[0] - top
    if not shapely.intersects(wanted, shapely.box(-left, -top, right, bottom)).any():
        first, upper, last, lower = (round(value) for value in shapely.total_bounds(wanted))
        raise DataError(
            f"{path}: its areas, x {first} to {last} and y {upper} to {lower}, lie outside the "
            f"slide; expected x {-left} to {right} and y {-top} to {bottom}, in pixels of level 0; "
            "see whether they are of this slide, and --frame."
        )
    return found.areas, (top, left)


def _read_mask(path: Path, slide: Slide) -> NDArray[np.bool_]:
    try:
        with Image.open(path) as picture:
            values = np.asarray(picture)
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(
            f"{path} could not be read as a mask ({error}); expected GeoJSON, PNG or TIFF; give "
            "such a file."
        ) from error
    mask = np.asarray(values.any(axis=-1) if values.ndim == 3 else values > 0)
    height, width = slide.levels[0].size
    ratio = mask.shape[0] / height
    if abs(mask.shape[1] - width * ratio) > max(_SLACK, _SLACK * ratio):
        raise DataError(
            f"{path}: a mask of {mask.shape[0]} x {mask.shape[1]} (H x W) for a slide of {height} "
            f"x {width}; expected the shape of the whole slide; draw it on its thumbnail."
        )
    if not mask.any():
        raise DataError(f"{path}: a mask of zeros; expected tissue to be above 0; draw some.")
    return mask
