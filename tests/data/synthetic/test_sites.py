"""Scattered ellipses: distances as geometry has them, spots of the area of an ellipse."""

import numpy as np
import pytest

from atrous.data.synthetic.noise import Region
from atrous.data.synthetic.sites import Ellipses, Spots, direction, find_nearest, stamp

REGION = Region(top=-30, left=55, height=90, width=110)
ELLIPSES = Ellipses(name="test", pitch=40, radius=(8, 15), elongation=(1, 2), jitter=0.9, reach=30)


def nearest_by_hand(ellipses, region, cells):
    """Turn every pixel into the ellipse's own axes and measure there, one ellipse at a time."""
    y, x = cells.scatter(ellipses.name, region, jitter=ellipses.jitter)
    radius = cells.draw(f"{ellipses.name} radius", *ellipses.radius)
    longer = cells.draw(f"{ellipses.name} elongation", *ellipses.elongation)
    half_tangent = cells.draw(f"{ellipses.name} direction", -1, 1)
    rows, columns = np.mgrid[: region.height, : region.width].astype(np.float64)
    distances = []
    for n in range(cells.shape[0]):
        for m in range(cells.shape[1]):
            angle = 2 * np.arctan(float(half_tangent[n, m]))
            down, right = rows - y[n, m], columns - x[n, m]
            along = right * np.cos(angle) + down * np.sin(angle)
            across = (down * np.cos(angle) - right * np.sin(angle)) * longer[n, m]
            distances.append(np.hypot(along, across) - radius[n, m])
    return np.sort(np.stack(distances), axis=0), np.stack(distances).argmin(axis=0)


def test_distances_are_those_of_every_ellipse_measured_by_hand():
    cells = ELLIPSES.cells(REGION, seed=4)
    still = np.zeros((REGION.height, REGION.width), np.float32)
    everywhere = np.ones(cells.shape, bool)
    nearest = find_nearest(ELLIPSES, REGION, cells, everywhere, warp=(still, still))
    expected, winner = nearest_by_hand(ELLIPSES, REGION, cells)
    is_near = expected[0] < ELLIPSES.reach
    assert is_near.mean() > 0.9
    assert np.abs(nearest.distance - expected[0].clip(max=ELLIPSES.reach)).max() < 1e-3
    assert np.abs(nearest.second - expected[1].clip(max=ELLIPSES.reach)).max() < 1e-3
    assert (nearest.cell == winner)[is_near].mean() > 0.999  # ties go either way


def test_places_are_given_from_the_nearest_centre():
    cells = ELLIPSES.cells(REGION, seed=4)
    still = np.zeros((REGION.height, REGION.width), np.float32)
    nearest = find_nearest(ELLIPSES, REGION, cells, np.ones(cells.shape, bool), warp=(still, still))
    y, _ = cells.scatter(ELLIPSES.name, REGION, jitter=ELLIPSES.jitter)
    rows = np.arange(REGION.height)[:, None]
    assert np.abs(nearest.y + nearest.take(y) - rows).max() < 1e-4


def test_where_there_is_none_the_distance_is_the_reach():
    cells = ELLIPSES.cells(REGION, seed=4)
    still = np.zeros((REGION.height, REGION.width), np.float32)
    nearest = find_nearest(
        ELLIPSES, REGION, cells, np.zeros(cells.shape, bool), warp=(still, still)
    )
    assert (nearest.distance == ELLIPSES.reach).all()


def test_a_direction_is_of_unit_length_and_of_twice_the_angle():
    half_tangent = np.linspace(-1, 1, 9, dtype=np.float32)
    cosine, sine = direction(half_tangent)
    assert np.allclose(cosine, np.cos(2 * np.arctan(half_tangent)), atol=1e-6)
    assert np.allclose(sine, np.sin(2 * np.arctan(half_tangent)), atol=1e-6)


def spot(*, y, x, long, short, strength=1.0, hollow=0.0):
    values = (np.array([value], np.float32) for value in (y, x, long, short, 0.6, 0.8, strength))
    return Spots(*values, hollow=hollow)


@pytest.mark.parametrize(("long", "short"), [(6.0, 6.0), (10.0, 3.0)])
def test_a_spot_has_the_area_of_its_ellipse(long, short):
    canvas = np.zeros((41, 41), np.float32)
    stamp(canvas, spot(y=20.25, x=19.5, long=long, short=short), reach=12)
    assert canvas.sum() == pytest.approx(np.pi * long * short, rel=0.05)


def test_a_hollow_spot_is_paler_in_the_middle_than_at_its_rim():
    canvas = np.zeros((41, 41), np.float32)
    stamp(canvas, spot(y=20, x=20, long=8, short=8, hollow=0.5), reach=10)
    assert canvas[20, 20] == pytest.approx(0.5)
    assert canvas[20, 26] > 0.9


def test_of_overlapping_spots_the_greater_value_stays_in_either_order():
    weak, strong = (
        spot(y=10, x=10 + shift, long=4, short=4, strength=strength)
        for shift, strength in ((0, 0.4), (2, 0.9))
    )
    one, other = np.zeros((21, 21), np.float32), np.zeros((21, 21), np.float32)
    for canvas, order in ((one, (weak, strong)), (other, (strong, weak))):
        for each in order:
            stamp(canvas, each, reach=6)
    assert np.array_equal(one, other)
    assert one.max() == np.float32(0.9)


def test_what_lies_outside_the_canvas_is_left_out():
    canvas = np.zeros((8, 8), np.float32)
    stamp(canvas, spot(y=-2, x=7, long=4, short=4), reach=6)
    stamp(canvas, spot(y=50, x=50, long=4, short=4), reach=6)
    assert canvas[:3].max() > 0
    assert canvas[4:].max() == 0
