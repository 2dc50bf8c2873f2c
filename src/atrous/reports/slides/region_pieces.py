"""Pieces of a slide's regions, chunk by chunk, until each can be joined to one polygon.

Needs the extra `slides`.
"""

from collections.abc import Iterator, Set
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from atrous._extras import require
from atrous.metrics.connected_regions import RegionJoiner

MAX_VERTICES: Final = 250_000
"""Of all pieces that wait together. Joining takes about 200 bytes a corner, and a time that grows
faster than their number; viewers have trouble with polygons of far fewer."""


class _Region(NamedTuple):
    value: int
    pieces: list[Any]
    num_corners: int


class RegionPieces:
    """Keeps pieces of regions that may go on, and joins them when they do not.

    Args:
        joiner: Knows which numbers are one region.
        max_vertices: Of all pieces that wait. Beyond it the largest regions are given away as they
            are; what comes of them later is a polygon of its own, which meets the first along the
            borders of chunks.
    """

    def __init__(self, joiner: RegionJoiner, *, max_vertices: int) -> None:
        self._joiner = joiner
        self._most = max_vertices
        self._regions: dict[int, _Region] = {}
        self._num_corners = 0

    def add(self, number: int, value: int, piece: Any) -> None:  # noqa: ANN401 - of shapely
        """Keep a piece of the region of this number, of class `value`."""
        corners = int(require("shapely", extra="slides").get_num_coordinates(piece))
        self._regions[number] = _merged(self._regions.get(number), _Region(value, [piece], corners))
        self._num_corners += corners

    def take_whole(self, reaching: Set[int]) -> Iterator[tuple[int, Any]]:
        """Class and polygon of every region but those that may go on."""
        self._gather()
        for number in [number for number in self._regions if number not in reaching]:
            yield self._take(number)

    def take_surplus(self) -> Iterator[tuple[int, Any]]:
        """Class and polygon of the largest regions, if too much waits: as far as they are known."""
        if self._num_corners <= self._most:
            return
        self._gather()
        by_size = sorted(self._regions, key=lambda number: -self._regions[number].num_corners)
        for number in by_size:
            # To a half: else every chunk from here on would give away a little piece.
            if self._num_corners <= self._most / 2:
                return
            yield self._take(number)

    def _gather(self) -> None:
        """By the numbers that regions go by now."""
        gathered: dict[int, _Region] = {}
        for number, region in self._regions.items():
            root = self._joiner.find(number)
            gathered[root] = _merged(gathered.get(root), region)
        self._regions = gathered

    def _take(self, number: int) -> tuple[int, Any]:
        shapely = require("shapely", extra="slides")
        region = self._regions.pop(number)
        self._num_corners -= region.num_corners
        return region.value, _without_flat_points(shapely.union_all(region.pieces))


def _merged(one: _Region | None, other: _Region) -> _Region:
    if one is None:
        return other
    one.pieces.extend(other.pieces)
    return one._replace(num_corners=one.num_corners + other.num_corners)


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
