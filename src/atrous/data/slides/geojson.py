"""Annotations in GeoJSON, such as QuPath exports, read as a label map."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from atrous._extras import require
from atrous.data.slides.annotations import Annotation, AnnotationFile, read_annotations
from atrous.errors import UnknownNameError
from atrous.types import UNLABELLED, Size

CHUNK: Final = (1024, 1024)
_BEYOND: Final = 0.01
"""Share of an area that may lie outside the slide: hands draw past its edge."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GeoJSONMask:
    """Polygons that become class indices where they are asked for; a `MaskMap`.

    A pixel is of the polygon that holds its centre; where several do, of the innermost, and of the
    later one in the file where none lies within the other.
    """

    size: Size
    """`(H, W)`, pixels."""
    scale: tuple[float, float]
    """Pixels of level 0 per pixel of the map, down and to the right."""
    polygons: NDArray[np.object_]
    """`(N,)` shapely geometries in pixels of level 0, in the order in which they are drawn."""
    classes: NDArray[np.uint8]
    """`(N,)`; 255 of those that hide what lies below them."""
    tree: Any
    """A `shapely.STRtree` of the polygons."""
    notes: tuple[str, ...] = ()
    """What of the file was left out or taken for something else, a sentence each."""
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
    path: Path,
    size: Size,
    *,
    scale: tuple[float, float],
    class_names: Sequence[str],
    origin: Size = (0, 0),
) -> GeoJSONMask:
    """Read the annotations of a slide as a map of class indices.

    Args:
        path: A FeatureCollection, a Feature or a list of those.
        size: `(H, W)` of the map, pixels.
        scale: Pixels of level 0 per pixel of the map, down and to the right.
        class_names: One name a class.
        origin: `(top, left)` of the file's frame, in pixels of level 0.

    Raises:
        DataError: If the file is no GeoJSON of polygons.
        UnknownNameError: If a polygon is of a class that is not among the names, nor derived from
            one that is.
        MissingExtraError: If the extra `slides` is not installed.
    """
    annotations = read_annotations(path)
    return mask_of(path, annotations, size, scale=scale, class_names=class_names, origin=origin)


def mask_of(
    path: Path,
    annotations: AnnotationFile,
    size: Size,
    *,
    scale: tuple[float, float],
    class_names: Sequence[str],
    origin: Size = (0, 0),
) -> GeoJSONMask:
    """As `read_geojson`, of a file that is read already."""
    shapely = require("shapely", extra="slides")
    polygons, classes, left_out = [], [], Counter(annotations.left_out)
    derived = Counter[str]()
    for area in annotations.areas:
        value = _class_index(area, class_names)
        if value is None:
            left_out["without a class"] += 1
            continue
        if value != UNLABELLED and area.name != class_names[value]:
            derived[f"{area.name} is counted as {class_names[value]}"] += 1
        if value == UNLABELLED:
            left_out[f"of class {area.name}, below which nothing is labelled"] += 1
        polygons.append(area.polygon)
        classes.append(value)
    shapes = np.empty(len(polygons), object)
    shapes[:] = polygons
    if any(origin):
        shift = np.array([origin[1], origin[0]], float)
        shapes = shapely.transform(shapes, lambda xy: xy + shift)
    notes = (*_notes(path, left_out, derived), *_outside(path, shapes, size, scale))
    return GeoJSONMask(
        size=tuple(size),
        scale=scale,
        polygons=shapes,
        classes=np.array(classes, np.uint8),
        tree=shapely.STRtree(shapes),
        notes=notes,
    )


def _outside(
    path: Path, shapes: NDArray[np.object_], size: Size, scale: tuple[float, float]
) -> tuple[str, ...]:
    """What is said of areas beyond the slide, which a background drawn over all of it hides."""
    shapely = require("shapely", extra="slides")
    slide = shapely.box(0, 0, size[1] * scale[1], size[0] * scale[0])
    beyond = shapes[~shapely.covers(slide, shapes)]
    areas = np.asarray(shapely.area(beyond))
    inside = np.asarray(shapely.area(shapely.intersection(beyond, slide)))
    is_outside = inside < areas * (1 - _BEYOND)
    if not is_outside.any():
        return ()
    lost = 1 - inside[is_outside].sum() / areas[is_outside].sum()
    return (
        f"{path.name}: {is_outside.sum()} of {len(shapes)} annotations lie outside the slide with "
        f"{lost:.0%} of their area, which counts nowhere; see whether they are of this slide, and "
        "its frame (--frame)",
    )


def _class_index(area: Annotation, class_names: Sequence[str]) -> int | None:
    """The class of an annotation, 255 where QuPath ignores it, None where it has none."""
    if not area.parts:
        return None
    if area.name in class_names:
        return class_names.index(area.name)
    if area.is_ignored:
        return UNLABELLED
    name = area.class_among(class_names)
    if name is None:
        raise UnknownNameError(f"class of {area.place}", area.name, class_names)
    return class_names.index(name)


def _notes(path: Path, left_out: Counter[str], derived: Counter[str]) -> tuple[str, ...]:
    notes = []
    if left_out:
        reasons = ", ".join(f"{count} {reason}" for reason, count in left_out.items())
        notes.append(f"{path.name}: annotations left out: {reasons}")
    notes.extend(f"{path.name}: {text} ({count} annotations)" for text, count in derived.items())
    return tuple(notes)
