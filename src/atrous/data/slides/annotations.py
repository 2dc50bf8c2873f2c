"""Annotations in GeoJSON as QuPath means them: nested, derived, unclassified, ignored, of points.

Needs the extra `slides`.

Source: QuPath's documentation of its GeoJSON, of derived classes and of classes whose name ends in
    an asterisk, which it ignores.
"""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from atrous._documents import read_json
from atrous._extras import require
from atrous.errors import DataError

FRAME_MEMBER: Final = "frame"
"""Member of a FeatureCollection that names the frame of its coordinates; ours alone write it."""

_AREAS: Final = ("Polygon", "MultiPolygon", "GeometryCollection")
_LINES: Final = ("Point", "MultiPoint", "LineString", "MultiLineString")
_CHILDREN: Final = "childObjects"
_SEPARATOR: Final = ":"
"""Between the parts of a derived class, where a file joins them to one name."""
_COVERED: Final = 1 - 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class Annotation:
    """One area of a file.

    Attributes:
        place: Where it stands, for messages.
        parts: The base class and what is derived from it, such as `("Tumour", "Positive")`; empty
            where it has no class.
        polygon: A shapely geometry in the pixels of the file's frame.
    """

    place: str
    parts: tuple[str, ...]
    polygon: Any

    @property
    def is_ignored(self) -> bool:
        """Whether QuPath takes it for what is not to be measured: a class that ends in `*`."""
        return bool(self.parts) and self.parts[-1].endswith("*")

    @property
    def name(self) -> str:
        """Its class as QuPath shows it."""
        return f"{_SEPARATOR} ".join(self.parts)

    def class_among(self, class_names: Sequence[str]) -> str | None:
        """The class that it is of, or the nearest one that its class is derived from."""
        for length in range(len(self.parts), 0, -1):
            name = f"{_SEPARATOR} ".join(self.parts[:length])
            if name in class_names:
                return name
        return None


@dataclass(frozen=True, slots=True, eq=False)
class AnnotationFile:
    """The areas of a GeoJSON file.

    Attributes:
        areas: In the order in which they are drawn: what lies within another is drawn after it.
        frame: The frame that the file names; None where it names none.
        left_out: How many features were left out, by the reason.
    """

    areas: tuple[Annotation, ...]
    frame: str | None
    left_out: Counter[str]


def read_annotations(path: Path) -> AnnotationFile:
    """Read the areas of a file, those of children too.

    Args:
        path: A FeatureCollection, a Feature, a geometry, or a list of features.

    Raises:
        DataError: If the file is no GeoJSON, or the outline of an area is broken.
        MissingExtraError: If the extra `slides` is not installed.
    """
    content, left_out = _content(path), Counter[str]()
    frame = content.get(FRAME_MEMBER) if isinstance(content, dict) else None
    if isinstance(frame, dict):
        frame = frame.get("name")
    areas: list[Annotation] = []
    for number, feature in enumerate(_features(path, content), 1):
        _collect(feature, f"{path}, feature {number}", areas, left_out)
    return AnnotationFile(
        areas=tuple(_nested(areas)),
        frame=frame if isinstance(frame, str) else None,
        left_out=left_out,
    )


def _content(path: Path) -> Any:  # noqa: ANN401 - whatever the file holds
    try:
        return read_json(path)
    except (OSError, ValueError) as error:
        raise DataError(
            f"{path} could not be read as GeoJSON: {error}; expected a file such as QuPath "
            "exports; give another."
        ) from error


def _features(path: Path, content: Any) -> list[Any]:  # noqa: ANN401 - whatever the file holds
    if isinstance(content, dict) and content.get("type") == "FeatureCollection":
        content = content.get("features")
    if isinstance(content, dict) and content.get("type") == "Feature":
        content = [content]
    if isinstance(content, dict) and content.get("type") in (*_AREAS, *_LINES):
        content = [{"type": "Feature", "geometry": content}]
    if not isinstance(content, list):
        raise DataError(
            f"{path} holds no features; expected a GeoJSON FeatureCollection; export the "
            "annotations as one."
        )
    return content


def _collect(
    feature: Any,  # noqa: ANN401 - whatever the file holds
    place: str,
    areas: list[Annotation],
    left_out: Counter[str],
) -> None:
    """Add the area of a feature and, above it, those of its children."""
    if not isinstance(feature, dict):
        raise DataError(
            f"{place} is {feature!r:.40}; expected a GeoJSON Feature; export the annotations again."
        )
    properties = feature.get("properties")
    properties = properties if isinstance(properties, dict) else {}
    kind = properties.get("objectType", "annotation")
    is_drawn = kind in ("annotation", "unknown", None)
    if not is_drawn:
        left_out[f"no annotation but of QuPath's kind {kind}"] += 1
    polygon = _polygon(feature.get("geometry"), place, left_out) if is_drawn else None
    if polygon is not None:
        areas.append(Annotation(place, _class_parts(properties.get("classification")), polygon))
    children = properties.get(_CHILDREN, feature.get(_CHILDREN))
    for number, child in enumerate(children if isinstance(children, list) else (), 1):
        _collect(child, f"{place}, child {number}", areas, left_out)


def _class_parts(classification: Any) -> tuple[str, ...]:  # noqa: ANN401 - whatever the file holds
    """Base class and what is derived from it: of `names`, of a `name`, or of a plain text."""
    found = classification
    if isinstance(classification, dict):
        found = classification.get("names") or classification.get("name")
    if isinstance(found, str):
        found = found.split(_SEPARATOR)
    if not isinstance(found, list) or not all(isinstance(part, str) for part in found):
        return ()
    return tuple(part.strip() for part in found if part.strip())


def _polygon(geometry: Any, place: str, left_out: Counter[str]) -> Any:  # noqa: ANN401
    """A valid shapely area, or None where there is none, which is counted."""
    shapely = require("shapely", extra="slides")
    kind = geometry.get("type") if isinstance(geometry, dict) else None
    plane = geometry.get("plane") if isinstance(geometry, dict) else None
    if isinstance(plane, dict) and (plane.get("z") or plane.get("t")):
        left_out["on another plane or time than the first"] += 1
        return None
    if kind not in _AREAS:
        left_out["points or lines" if kind in _LINES else "without an outline"] += 1
        return None
    try:
        shape = shapely.from_geojson(json.dumps(geometry))
    except (shapely.errors.GEOSException, ValueError) as error:
        raise DataError(
            f"{place} cannot be read: {error}; expected rings of four points at least, the last "
            "one being the first; export it again."
        ) from error
    # Outlines drawn by hand may cross themselves.
    shape = areas_of(shape if shape.is_valid else shapely.make_valid(shape))
    if shape.is_empty:
        left_out["without an area"] += 1
        return None
    return shape


def areas_of(geometry: Any) -> Any:  # noqa: ANN401 - a shapely geometry
    """The polygons of a shapely geometry, without its points and lines."""
    shapely = require("shapely", extra="slides")
    if geometry.geom_type in ("Polygon", "MultiPolygon"):
        return geometry
    parts = shapely.get_parts(shapely.get_parts(geometry))
    return shapely.union_all(parts[shapely.get_dimensions(parts) == 2])


def _nested(areas: Sequence[Annotation]) -> Iterator[Annotation]:
    """The areas in the order of the file, but each after those that it lies within.

    QuPath keeps them as a tree, a child above its parent, and exports the tree in any order.
    """
    shapely = require("shapely", extra="slides")
    if not areas:
        return
    shapes = np.empty(len(areas), object)
    shapes[:] = [area.polygon for area in areas]
    outer, inner = shapely.STRtree(shapes).query(shapes, predicate="covers")
    sizes = np.asarray(shapely.area(shapes))
    is_within = sizes[inner] < sizes[outer] * _COVERED
    depth = np.bincount(inner[is_within], minlength=len(areas))
    for index in np.argsort(depth, kind="stable"):
        yield areas[int(index)]
