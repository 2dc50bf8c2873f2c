"""A slide's label map as polygons in GeoJSON, which QuPath opens as annotations.

The map is read chunk by chunk. Borders are simplified within a chunk, each once for both of its
sides, so that neighbours neither overlap nor part; a chunk's own outline stays as it is, so that
pieces of one region fit together again. Needs the extra `slides`.

All corners are whole numbers of pixels until they are written, and what they are multiplied by then
has few binary digits: products are exact, so that what is valid in pixels is valid in the file.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from math import sqrt
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from atrous._extras import require
from atrous._files import write_atomically
from atrous.data.slides.annotations import FRAME_MEMBER
from atrous.data.slides.mask_map import Labels, MaskMap, check_classes, iterate_chunks
from atrous.errors import DataError
from atrous.metrics.connected_regions import ChunkRegions, RegionJoiner
from atrous.reports.slides.region_pieces import MAX_VERTICES, RegionPieces
from atrous.reports.slides.sieve import sieved
from atrous.types import UNLABELLED, Colour

DEFAULT_TOLERANCE: Final = 1.0
"""Micrometres."""

_FACTOR_STEPS: Final = 1 << 30
"""Steps of one by which pixels of level 0 per pixel are rounded: 0.0001 pixels over 100,000."""


def write_geojson(
    label_map: MaskMap,
    path: Path,
    *,
    class_names: Sequence[str],
    palette: Sequence[Colour],
    scale: tuple[float, float],
    mpp: tuple[float, float],
    frame: Mapping[str, object] | None = None,
    tolerance_um: float = DEFAULT_TOLERANCE,
    smallest_um2: float = 0.0,
    skip: Sequence[int] = (),
    max_vertices: int = MAX_VERTICES,
) -> int:
    """Write a polygon for every region (pixels joined by their sides) and give their number.

    Coordinates are x and y in pixels of the slide's level 0, counted from the corner of the frame;
    holes are kept, outlines run as RFC 7946 says. The file appears when it is whole.

    Args:
        label_map: Class indices, and 255 where nothing ran.
        path: The file.
        class_names: One name a class.
        palette: One colour a class.
        scale: Pixels of level 0 per pixel of the map, down and to the right.
        mpp: Micrometres per pixel of the map, down and to the right.
        frame: As `frame_record` gives it, which the file then names; None for level 0 itself.
        tolerance_um: Corners are dropped while the triangle that is lost is smaller than a square
            of this side, micrometres (Visvalingam and Whyatt); 0 keeps the outlines of pixels.
        smallest_um2: Regions smaller than this, in µm², are given to a neighbour.
        skip: Classes that are not written; 255 never is.
        max_vertices: Of all regions that are not known whole yet. Beyond it the largest are written
            as far as they are known, in several polygons that meet along the borders of chunks.

    Raises:
        DataError: If the map holds other classes, a number makes no sense, or writing fails.
        MissingExtraError: If the extra `slides` is not installed.
    """
    _need_sense(scale, mpp, tolerance_um, smallest_um2, max_vertices)
    shapely = require("shapely", extra="slides")
    regions = _regions(
        sieved(label_map, area_um2=smallest_um2, mpp=mpp),
        _Outlines(tolerance_um=tolerance_um, mpp=mpp),
        num_classes=len(class_names),
        skip=frozenset((UNLABELLED, *skip)),
        max_vertices=max_vertices,
    )
    factor, count = np.rint(np.array([scale[1], scale[0]]) * _FACTOR_STEPS) / _FACTOR_STEPS, 0
    corner = np.array([(frame or {}).get(side, 0) for side in ("left", "top")], float)
    named = f'"{FRAME_MEMBER}": {json.dumps(frame)}, ' if frame else ""
    with write_atomically(path) as file:
        file.write(f'{{"type": "FeatureCollection", {named}"features": ['.encode())
        for value, polygon in regions:
            moved = shapely.transform(polygon, lambda xy: xy * factor - corner)
            placed = shapely.to_geojson(shapely.orient_polygons(moved))
            feature = _feature(placed, class_names[value], palette[value])
            file.write(f"{',' if count else ''}\n{feature}".encode())
            count += 1
        file.write(b"\n]}\n")
    return count


def _need_sense(
    scale: tuple[float, float],
    mpp: tuple[float, float],
    tolerance_um: float,
    smallest_um2: float,
    max_vertices: int,
) -> None:
    """Refuse numbers that no map can have."""
    if min(*scale, *mpp) <= 0 or min(tolerance_um, smallest_um2, max_vertices) < 0:
        raise DataError(
            f"The scale is {scale}, mpp {mpp}, the tolerance {tolerance_um} µm, the smallest "
            f"region {smallest_um2} µm² and the most corners {max_vertices}; expected positive "
            "numbers, and 0 or more for the last three; correct them."
        )


def _feature(geometry: str, name: str, colour: Colour) -> str:
    """A region as QuPath reads it: an annotation of a class and its colour."""
    classification = {"name": name, "color": [int(part) for part in colour]}
    properties = {"objectType": "annotation", "classification": classification}
    return f'{{"type": "Feature", "geometry": {geometry}, "properties": {json.dumps(properties)}}}'


def _regions(
    label_map: MaskMap,
    outlines: "_Outlines",
    *,
    num_classes: int,
    skip: frozenset[int],
    max_vertices: int,
) -> Iterator[tuple[int, Any]]:
    """Class and polygon of every region, in pixels of the map, as soon as it is whole.

    Of the largest, where too many corners wait, in several polygons.
    """
    height, width = label_map.size
    joiner = RegionJoiner(width=width)
    waiting = RegionPieces(joiner, max_vertices=max_vertices)
    for top, left, labels in iterate_chunks(label_map):
        check_classes(labels, num_classes)
        chunk = joiner.add(labels, top=top, left=left)
        for local, piece in outlines.trace(chunk, labels, top=top, left=left):
            value = int(chunk.classes[local])
            if value in skip:
                continue
            if chunk.is_open[local]:
                waiting.add(chunk.first + local, value, piece)
            else:
                yield value, piece
        if left + labels.shape[1] == width:
            is_last = top + labels.shape[0] == height
            yield from waiting.take_whole(set() if is_last else joiner.reaching())
        yield from waiting.take_surplus()


class _Outlines:
    """Traces the regions of a chunk along their pixels, and simplifies them all at once.

    Args:
        tolerance_um: Micrometres.
        mpp: Micrometres per pixel, down and to the right.
    """

    def __init__(self, *, tolerance_um: float, mpp: tuple[float, float]) -> None:
        self._shapely = require("shapely", extra="slides")
        self._features = require("rasterio.features", extra="slides")
        # Corners go by the areas of triangles, which are as many pixels on any grid of one area.
        self._tolerance = tolerance_um / sqrt(mpp[0] * mpp[1])

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
        outer, *holes = [self._shapely.linearrings(np.asarray(ring)) for ring in rings]
        polygon = self._shapely.polygons(outer, holes or None)
        # An outline that meets itself in a corner is right for GDAL, but is a hole by the standard.
        return polygon if polygon.is_valid else self._shapely.make_valid(polygon)

    def _simplified(self, polygons: NDArray[Any]) -> NDArray[Any]:
        # Borders are the same for both sides only if both have all corners: so every pixel's.
        dense = self._shapely.transform(self._shapely.segmentize(polygons, 1.0), np.rint)
        simple: NDArray[Any] = self._shapely.coverage_simplify(
            dense, self._tolerance, simplify_boundary=False
        )
        return simple
