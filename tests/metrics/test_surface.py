"""Surface distances against MONAI on random shapes, and against brute force on small ones."""

import warnings

import numpy as np
import pytest
import torch
from scipy import ndimage

from atrous.errors import ShapeError
from atrous.metrics.surface import hausdorff, surface_dice, surface_distances


def blob(rng, size):
    """A random smooth shape, at times in several parts and cut off by the border."""
    noise = ndimage.gaussian_filter(rng.normal(size=size), rng.uniform(0.8, 2.5))
    return noise > np.quantile(noise, rng.uniform(0.6, 0.97))


def brute_force(shape, other, spacing):
    """Of every voxel with an outside face neighbour, the distance to the other's nearest such."""

    def surface(mask):
        padded = np.pad(mask, 1)
        inner = np.ones(mask.shape, bool)
        for axis in range(mask.ndim):
            for step in (-1, 1):
                neighbour = np.roll(padded, step, axis)
                inner &= neighbour[tuple(slice(1, -1) for _ in range(mask.ndim))]
        return np.argwhere(mask & ~inner) * np.array(spacing)

    ours, theirs = surface(shape), surface(other)
    return np.array([np.sqrt(((point - theirs) ** 2).sum(axis=1)).min() for point in ours])


@pytest.mark.parametrize("seed", range(10))
def test_distances_are_those_of_brute_force(seed):
    rng = np.random.default_rng(seed)
    spacing = tuple(rng.uniform(0.3, 5, size=3))
    truth, prediction = blob(rng, (7, 9, 8)), blob(rng, (7, 9, 8))
    found = surface_distances(truth, prediction, spacing=spacing)
    assert np.allclose(found.from_truth, brute_force(truth, prediction, spacing))
    assert np.allclose(found.from_prediction, brute_force(prediction, truth, spacing))


@pytest.mark.parametrize("seed", range(50))
def test_hd95_and_surface_dice_are_those_of_monai(seed):
    metrics = pytest.importorskip("monai.metrics", reason="the oracle")
    rng = np.random.default_rng(seed)
    size = tuple(rng.integers(12, 30, size=3))
    spacing = tuple(float(step) for step in rng.uniform(0.4, 5, size=3))
    truth, prediction = blob(rng, size), blob(rng, size)
    found = surface_distances(truth, prediction, spacing=spacing)
    pair = [torch.from_numpy(mask)[None, None].float() for mask in (prediction, truth)]
    tolerance = float(rng.uniform(0.5, 4))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = metrics.compute_hausdorff_distance(
            *pair, include_background=True, percentile=95, spacing=list(spacing)
        )
        dice = metrics.compute_surface_dice(
            *pair, [tolerance], include_background=True, spacing=list(spacing)
        )
    assert hausdorff(found) == pytest.approx(float(theirs), rel=1e-5)
    assert surface_dice(found, tolerance=tolerance) == pytest.approx(float(dice), abs=1e-6)


def test_a_shifted_cube_is_as_far_away_as_it_was_shifted():
    truth = np.zeros((20, 20, 20), bool)
    truth[5:10, 5:10, 5:10] = True
    found = surface_distances(truth, np.roll(truth, 3, axis=0), spacing=(2.0, 1.0, 1.0))
    assert hausdorff(found, percentile=100) == 6
    assert surface_dice(surface_distances(truth, truth, spacing=(2.0, 1.0, 1.0)), tolerance=0) == 1


def test_an_empty_shape_has_no_distances():
    full = np.ones((3, 3, 3), bool)
    found = surface_distances(full, ~full, spacing=(1.0, 1.0, 1.0))
    assert np.isnan(hausdorff(found))
    assert np.isnan(surface_dice(found, tolerance=1))


def test_shapes_on_other_grids_are_refused():
    with pytest.raises(ShapeError, match="expected one grid"):
        surface_distances(np.ones((2, 2), bool), np.ones((2, 3), bool), spacing=(1.0, 1.0))
