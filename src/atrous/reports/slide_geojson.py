"""A slide's label map as polygons in GeoJSON, which QuPath opens as annotations.

The map is read chunk by chunk. Borders are simplified within a chunk, each once for both of its
sides, so that neighbours neither overlap nor part; a chunk's own outline stays as it is, so that
pieces of one region fit together again. Needs the extra `slides`.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from atrous._extras import require
from atrous._files import write_atomically
from atrous.data.label_map import LabelMap, Labels, check_classes, iterate_chunks
from atrous.errors import DataError
from atrous.metrics.regions import ChunkRegions, RegionJoiner
from atrous.reports.slide_sieve import sieved
from atrous.types import UNLABELLED, Colour

DEFAULT_TOLERANCE: Final = 1.0
"""Micrometres."""


def write_geojson(
    label_map: LabelMap,
    path: Path,
    *,
    class_names: Sequence[str],
    palette: Sequence[Colour],
    scale: tuple[float, float],
    mpp: tuple[float, float],
    tolerance_um: float = DEFAULT_TOLERANCE,
    smallest_um2: float = 0.0,
    skip: Sequence[int] = (),
) -> int:
    """Write a polygon for every region (pixels joined by their sides) and give their number.

    Coordinates are x and y in pixels of the slide's level 0; holes are kept, outlines run as RFC
    7946 says. The file appears when it is whole.

    Args:
        label_map: Class indices, and 255 where nothing ran.
        path: The file.
        class_names: One name a class.
        palette: One colour a class.
        scale: Pixels of level 0 per pixel of the map, down and to the right.
        mpp: Micrometres per pixel of the map, down and to the right.
        tolerance_um: Corners are dropped while the triangle that is lost is smaller than a square
            of this side, micrometres (Visvalingam and Whyatt); 0 keeps the outlines of pixels.
        smallest_um2: Regions smaller than this, in µm², are given to a neighbour.
        skip: Classes that are not written; 255 never is.

    Raises:
        DataError: If the map holds other classes, a number makes no sense, or the file cannot be
            written.
        MissingExtraError: If the extra `slides` is not installed.
    """
    if min(*scale, *mpp) <= 0 or min(tolerance_um, smallest_um2) < 0:
        raise DataError(
            f"The scale is {scale}, mpp {mpp}, the tolerance {tolerance_um} µm and the smallest "
            f"region {smallest_um2} µm²; expected positive numbers, and 0 or more for the last "
            "two; correct them."
        )
    shapely = require("shapely", extra="slides")
    outlines = _Outlines(tolerance_um=tolerance_um, mpp=mpp)
    regions = _regions(
        sieved(label_map, area_um2=smallest_um2, mpp=mpp),
        outlines,
        num_classes=len(class_names),
        skip=frozenset((UNLABELLED, *skip)),
    )
    factor = np.array([scale[1], scale[0]])
    count = 0
    with write_atomically(path) as file:
        file.write(b'{"type": "FeatureCollection", "features": [')
        for value, polygon in regions:
            placed = shapely.orient_polygons(shapely.transform(polygon, lambda xy: xy * factor))
            properties = {
                "objectType": "annotation",
                "classification": {
                    "name": class_names[value],
                    "color": [int(part) for part in palette[value]],
                },
            }
            feature = (
                f'{"," if count else ""}\n{{"type": "Feature", "geometry": '
                f'{shapely.to_geojson(placed)}, "properties": {json.dumps(properties)}}}'
            )
            file.write(feature.encode())
            count += 1
        file.write(b"\n]}\n")
    return count


def _regions(
    label_map: LabelMap, outlines: "_Outlines", *, num_classes: int, skip: frozenset[int]
) -> Iterator[tuple[int, Any]]:
    """Class and polygon of every region, in pixels of the map, as soon as it is whole."""
    shapely = require("shapely", extra="slides")
    width = label_map.size[1]
    joiner = RegionJoiner(width=width)
    waiting: dict[int, tuple[int, list[Any]]] = {}  # by number: class, pieces
    for top, left, labels in iterate_chunks(label_map):
        check_classes(labels, num_classes)
        chunk = joiner.add(labels, top=top, left=left)
        for local, piece in outlines.trace(chunk, labels, top=top, left=left):
            value = int(chunk.classes[local])
            if value in skip:
                continue
            if chunk.is_open[local]:
                waiting[chunk.first + local] = (value, [piece])
            else:
                yield value, piece
        if left + labels.shape[1] < width:
            continue
        joined: dict[int, tuple[int, list[Any]]] = {}
        for number, (value, pieces) in waiting.items():
            joined.setdefault(joiner.find(number), (value, []))[1].extend(pieces)
        reaching = joiner.reaching() if top + labels.shape[0] < label_map.size[0] else set()
        for number in [number for number in joined if number not in reaching]:
            value, pieces = joined.pop(number)
            yield value, _without_flat_points(shapely.union_all(pieces))
        waiting = joined


class _Outlines:
    """Traces the regions of a chunk along their pixels, and simplifies them all at once.

    Args:
        tolerance_um: Micrometres.
        mpp: Micrometres per pixel, down and to the right.
    """

    def __init__(self, *, tolerance_um: float, mpp: tuple[float, float]) -> None:
        self._shapely = require("shapely", extra="slides")
        self._features = require("rasterio.features", extra="slides")
        self._tolerance = tolerance_um
        self._um = np.array([mpp[1], mpp[0]])

    def trace(
        self, chunk: ChunkRegions, labels: Labels, *, top: int, left: int
    ) -> list[tuple[int, Any]]:
        """Number in the chunk and polygon, in pixels of the map, of every region."""
        if len(chunk.classes) == 1:
            box = self._shapely.box(
                left, top, left + labels.shape[1], top + labels.shape[0], ccw=True
            )
            return [(0, box)]
        corner = np.array([left, top])
        traced = list(self._features.shapes(chunk.local, connectivity=4))
        polygons = np.array([self._polygon(shape["coordinates"]) for shape, _ in traced])
        numbers = [int(value) for _, value in traced]
        if self._tolerance:
            polygons = self._simplified(polygons)
        moved = self._shapely.transform(polygons, lambda xy: xy + corner)
        return list(zip(numbers, moved, strict=True))

    def _polygon(self, rings: Sequence[Sequence[tuple[float, float]]]) -> Any:  # noqa: ANN401
        polygon = self._shapely.Polygon(rings[0], rings[1:])
        # An outline that meets itself in a corner is right for GDAL, but is a hole by the standard.
        return polygon if polygon.is_valid else self._shapely.make_valid(polygon)

    def _simplified(self, polygons: NDArray[Any]) -> NDArray[Any]:
        # Borders are the same for both sides only if both have all corners: so every pixel's.
        dense = self._shapely.segmentize(polygons, 1.0)
        in_um = self._shapely.transform(dense, lambda xy: np.rint(xy) * self._um)
        simple = self._shapely.coverage_simplify(in_um, self._tolerance, simplify_boundary=False)
        return self._shapely.transform(simple, lambda xy: np.rint(xy / self._um))


def _without_flat_points(geometry: Any) -> Any:  # noqa: ANN401 - a shapely geometry
    """Without the points that lie on a horizontal or vertical line between their neighbours."""
    shapely = require("shapely", extra="slides")
    if geometry.geom_type != "Polygon":
        parts = [_without_flat_points(part) for part in geometry.geoms]
        return shapely.multipolygons(parts)
    rings = [_corners(np.asarray(ring.coords)) for ring in (geometry.exterior, *geometry.interiors)]
    return shapely.Polygon(rings[0], rings[1:])


def _corners(ring: NDArray[np.float64]) -> NDArray[np.float64]:
    points = ring[:-1]
    before, after = np.roll(points, 1, axis=0), np.roll(points, -1, axis=0)
    is_flat = ((before == points) & (points == after)).any(axis=1)
    kept = points[~is_flat]
    return kept if len(kept) >= 3 else points
