"""Mattes: exact where nothing is to be decided, at the edges of the photo where something is."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from atrous.errors import ShapeError
from atrous.reports.photos import matte as module
from atrous.reports.photos.matte import make_matte

FRONT, BEHIND = np.array([200, 60, 20]), np.array([10, 80, 220])


def noise(height, width):
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


def disc(length, radius):
    y, x = np.mgrid[:length, :length] - (length - 1) / 2
    return (x**2 + y**2 < radius**2).astype(np.float32)


def mixed(opacity):
    """A photo of a front of one colour before another colour."""
    pixels = opacity[..., None] * FRONT + (1 - opacity[..., None]) * BEHIND
    return np.rint(pixels).astype(np.uint8)


@pytest.mark.parametrize("size", [(1, 1), (1, 90), (90, 1), (31, 47), (1300, 40)])
@pytest.mark.parametrize("value", [0.0, 1.0])
def test_all_or_nothing_is_left_as_it_is(size, value):
    image = noise(*size)
    matte = make_matte(image, np.full(size, value, np.float32))
    assert matte.opacity.shape == size
    assert (matte.opacity == value).all()
    assert (matte.colours == (image if value else 0)).all()


def test_a_blurred_probability_is_drawn_to_the_edge_of_the_photo():
    truth = disc(400, 130)
    blurred = gaussian_filter(truth, 4)
    shifted = np.roll(blurred, 2, axis=1)  # two pixels beside the edge
    matte = make_matte(mixed(truth), shifted)
    before = np.abs((shifted > 0.5) - truth).sum()
    assert np.abs(matte.opacity - truth).sum() < before / 3


def test_the_edge_of_the_probability_stays_where_the_photo_has_none():
    truth = disc(160, 50)
    matte = make_matte(np.full((160, 160, 3), 90, np.uint8), gaussian_filter(truth, 3))
    assert ((matte.opacity > 0.5) == (truth > 0)).mean() > 0.99


def test_colours_of_the_edge_are_freed_from_what_is_behind():
    soft = gaussian_filter(disc(200, 60), 2)
    matte = make_matte(mixed(soft), soft)
    edge = (soft > 0.2) & (soft < 0.8)
    with_background = np.abs(mixed(soft)[edge] - FRONT).mean()
    without = np.abs(matte.colours[edge].astype(int) - FRONT).mean()
    assert without < with_background / 2


def test_where_the_front_is_opaque_its_colours_are_the_photo():
    image = noise(120, 90)
    probability = np.zeros((120, 90), np.float32)
    probability[20:100, 20:70] = 1
    matte = make_matte(image, probability)
    opaque = matte.opacity == 1
    assert opaque.mean() > 0.2
    assert (matte.colours[opaque] == image[opaque]).all()


def test_a_large_photo_gets_nearly_what_filters_at_its_own_size_would_give(monkeypatch):
    truth = disc(400, 130)
    image, probability = mixed(gaussian_filter(truth, 1)), gaussian_filter(truth, 8)
    whole = make_matte(image, probability)
    monkeypatch.setattr(module, "WORKING_LENGTH", 200)
    small = make_matte(image, probability)
    assert np.abs(small.opacity - whole.opacity).mean() < 0.01
    assert small.opacity.shape == whole.opacity.shape


def test_a_probability_of_another_size_is_refused():
    with pytest.raises(ShapeError, match=r"image is 4x6 .* probability 6x4"):
        make_matte(noise(4, 6), np.zeros((6, 4), np.float32))
