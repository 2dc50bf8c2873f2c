"""Annotations in GeoJSON, such as QuPath exports, read as a label map."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from atrous._extras import require
from atrous.errors import DataError, UnknownNameError
from atrous.types import UNLABELLED, Size

CHUNK: Final = (1024, 1024)
_POLYGONS: Final = ("Polygon", "MultiPolygon")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GeoJSONMask:
    """Polygons that become class indices where they are asked for; a `MaskMap`.

    A pixel is of the polygon that holds its centre, of the later one in the file where several do.
    """

    size: Size
    """`(H, W)`, pixels."""
    scale: tuple[float, float]
    """Pixels of level 0 per pixel of the map, down and to the right."""
    polygons: NDArray[np.object_]
    """`(N,)` shapely geometries in pixels of level 0, in the file's order."""
    classes: NDArray[np.uint8]
    """`(N,)`."""
    tree: Any
    """A `shapely.STRtree` of the polygons."""
    chunk: Size = CHUNK

    def read(self, top: int, left: int, height: int, width: int) -> NDArray[np.uint8]:
        """A rectangle, `(height, width)` uint8; 255 where no polygon is."""
        shapely = require("shapely", extra="slides")
        rasterio = require("rasterio", extra="slides")
        features = require("rasterio.features", extra="slides")
        down, right = self.scale
        # A pixel more on each side: where polygons are cut must not be seen.
        window = shapely.box(
            (left - 1) * right,
            (top - 1) * down,
            (left + width + 1) * right,
            (top + height + 1) * down,
        )
        near = np.sort(self.tree.query(window, predicate="intersects"))
        parts = shapely.intersection(self.polygons[near], window)
        pairs = [
            (part, int(value))
            for part, value in zip(parts, self.classes[near], strict=True)
            if part.area > 0
        ]
        labels = np.full((height, width), UNLABELLED, np.uint8)
        if pairs:
            transform = rasterio.Affine(right, 0, left * right, 0, down, top * down)
            features.rasterize(pairs, out=labels, transform=transform)
        return labels


def read_geojson(
    path: Path, size: Size, *, scale: tuple[float, float], class_names: Sequence[str]
) -> GeoJSONMask:
    """Read the annotations of a slide as a map of class indices.

    Args:
        path: A FeatureCollection, a Feature or a list of those, in pixels of level 0.
        size: `(H, W)` of the map, pixels.
        scale: Pixels of level 0 per pixel of the map, down and to the right.
        class_names: One name a class.

    Raises:
        DataError: If the file is no GeoJSON of classified polygons.
        UnknownNameError: If a polygon is of a class that is not among the names.
        MissingExtraError: If the extra `slides` is not installed.
    """
    shapely = require("shapely", extra="slides")
    polygons, classes = [], []
    for number, feature in enumerate(_features(path), 1):
        place = f"{path}, feature {number}"
        name = _class_name(feature, place)
        if name not in class_names:
            raise UnknownNameError(f"class of {place}", name, class_names)
        polygons.append(_polygon(feature, place))
        classes.append(class_names.index(name))
    shapes = np.empty(len(polygons), object)
    shapes[:] = polygons
    return GeoJSONMask(
        size=tuple(size),
        scale=scale,
        polygons=shapes,
        classes=np.array(classes, np.uint8),
        tree=shapely.STRtree(shapes),
    )


def _features(path: Path) -> list[Any]:
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(
            f"{path} could not be read as GeoJSON: {error}; expected a file such as QuPath "
            "exports; give another."
        ) from error
    if isinstance(content, dict) and content.get("type") == "FeatureCollection":
        content = content.get("features")
    if isinstance(content, dict) and content.get("type") == "Feature":
        content = [content]
    if not isinstance(content, list):
        raise DataError(
            f"{path} holds no features; expected a GeoJSON FeatureCollection; export the "
            "annotations as one."
        )
    return content


def _class_name(feature: Any, place: str) -> str:  # noqa: ANN401 - whatever the file holds
    properties = feature.get("properties") if isinstance(feature, dict) else None
    classification = properties.get("classification") if isinstance(properties, dict) else None
    name = classification.get("name") if isinstance(classification, dict) else None
    if not isinstance(name, str):
        raise DataError(
            f"{place} has no classification; expected properties.classification.name; give every "
            "annotation a class in QuPath, or remove it."
        )
    return name


def _polygon(feature: dict[str, Any], place: str) -> Any:  # noqa: ANN401 - a shapely geometry
    shapely = require("shapely", extra="slides")
    geometry = feature.get("geometry")
    kind = geometry.get("type") if isinstance(geometry, dict) else None
    if kind not in _POLYGONS:
        raise DataError(
            f"{place} is a {kind or 'feature without geometry'}; expected a Polygon or "
            "MultiPolygon; remove it, or draw an area."
        )
    try:
        shape = shapely.from_geojson(json.dumps(geometry))
    except (shapely.errors.GEOSException, ValueError) as error:
        raise DataError(
            f"{place} cannot be read: {error}; expected rings of four points at least, the last "
            "one being the first; export it again."
        ) from error
    # Outlines drawn by hand may cross themselves.
    return shape if shape.is_valid else shapely.make_valid(shape)
