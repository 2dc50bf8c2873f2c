"""Randomness by place: no pattern in it, and the same wherever a region begins."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from atrous.data.synthetic.noise import Region, make_key, smooth_noise, uniform, white_noise

REGION = Region(top=-37, left=1_000_003, height=120, width=150)


def test_uniform_numbers_are_spread_evenly():
    values = uniform(np.arange(300)[:, None], np.arange(300), key=5)
    counts, _ = np.histogram(values, bins=20, range=(0, 1))
    assert values.min() >= 0
    assert values.max() < 1
    assert np.abs(counts - 4500).max() < 5 * 4500**0.5


@pytest.mark.parametrize("axis", [0, 1])
def test_neighbours_have_nothing_in_common(axis):
    values = uniform(np.arange(300)[:, None], np.arange(300), key=5)
    first, second = np.take(values, range(299), axis), np.take(values, range(1, 300), axis)
    assert abs(np.corrcoef(first.ravel(), second.ravel())[0, 1]) < 0.02


def test_uses_and_seeds_have_nothing_in_common():
    fields = [
        white_noise(REGION, key=make_key(seed, name)).ravel()
        for seed in (0, 1, 2**62)
        for name in ("a", "b")
    ]
    correlations = np.corrcoef(fields) - np.eye(len(fields))
    assert np.abs(correlations).max() < 0.04


def test_smooth_noise_is_scipys_cubic_spline_through_the_same_lattice():
    pitch, key = 7, 11
    noise = smooth_noise(REGION, pitch=pitch, key=key)
    top, left = REGION.top // pitch - 3, REGION.left // pitch - 3
    lattice = uniform(
        np.arange(top, top + 40)[:, None], np.arange(left, left + 40), key=key
    ).astype(np.float64)
    places = np.meshgrid(REGION.rows / pitch - top, REGION.columns / pitch - left, indexing="ij")
    expected = ndimage.map_coordinates(2 * lattice - 1, places, order=3, prefilter=False)
    variance = 1 / 3 * (151 / 315) ** 2
    assert np.abs(noise - expected / variance**0.5).max() < 1e-4


def test_smooth_noise_has_unit_deviation():
    noise = smooth_noise(Region(top=0, left=0, height=400, width=400), pitch=4, key=1)
    assert noise.mean() == pytest.approx(0, abs=0.05)
    assert noise.std() == pytest.approx(1, abs=0.05)


@settings(max_examples=40, deadline=None)
@given(
    top=st.integers(-(2**20), 2**20),
    left=st.integers(-(2**20), 2**20),
    pitch=st.integers(1, 60),
    cut=st.integers(1, 39),
)
def test_parts_equal_the_whole(top, left, pitch, cut):
    whole = smooth_noise(Region(top=top, left=left, height=30, width=40), pitch=pitch, key=3)
    first = smooth_noise(Region(top=top, left=left, height=30, width=cut), pitch=pitch, key=3)
    rest = smooth_noise(
        Region(top=top, left=left + cut, height=30, width=40 - cut), pitch=pitch, key=3
    )
    assert np.array_equal(whole, np.concatenate([first, rest], axis=1))
