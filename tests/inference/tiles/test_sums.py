"""Outputs of tiles put together: the weighted mean, and the same bits after any interruption."""

import numpy as np
import pytest
import torch
from scipy.signal import windows
from torch import nn

from atrous.errors import DataError
from atrous.inference.tiles.grid import overlapping_windows
from atrous.inference.tiles.sums import SumsFile, run_tiled, window_weights


@pytest.mark.parametrize("size", [(7,), (16, 9), (5, 12, 33)])
def test_weights_are_scipys_gaussians_of_an_eighth_of_the_window(size):
    expected = np.ones(())
    for length in size:
        expected = np.multiply.outer(expected, windows.gaussian(length, length / 8))
    np.testing.assert_allclose(window_weights(size).numpy(), expected, rtol=2e-5)


def seen(x):
    """Depends on where the window was cut, as the output of a network with a large field."""
    return torch.cat([x - x.mean(), x * x.amax()], 1)


@pytest.mark.parametrize(("size", "window"), [((21, 30), (8, 12)), ((9, 14, 11), (4, 14, 6))])
def test_blended_is_the_mean_by_the_weights_of_all_windows_that_hold_a_pixel(size, window):
    image = torch.rand(1, 1, *size, generator=torch.Generator().manual_seed(0))
    tiles = overlapping_windows(size, window)
    found = run_tiled(seen, image, tiles, is_blended=True)
    axes = [windows.gaussian(length, length / 8) for length in window]
    weights = axes[0]
    for axis in axes[1:]:
        weights = np.multiply.outer(weights, axis)
    total, count = np.zeros((2, *size)), np.zeros(size)
    for tile in tiles:
        said = seen(image[(slice(None), slice(None), *tile.window)])[0].double().numpy()
        total[(slice(None), *tile.window)] += weights * said
        count[tile.window] += weights
    assert len(tiles) > 4
    np.testing.assert_allclose(found[0].numpy(), total / count, rtol=1e-4, atol=1e-5)


class _KilledError(Exception):
    pass


@pytest.mark.parametrize("is_blended", [False, True])
def test_a_run_that_ends_after_any_tile_goes_on_to_the_same_bits(tmp_path, is_blended):
    size = (12, 10)
    image = torch.rand(1, 1, *size, generator=torch.Generator().manual_seed(0))
    tiles = overlapping_windows(size, (4, 5))
    expected = run_tiled(seen, image, tiles, is_blended=is_blended)
    for last in range(1, len(tiles)):
        file, calls = tmp_path / f"{last}.npz", []

        def run(x, calls=calls, last=last):
            if len(calls) == last:
                raise _KilledError
            calls.append(x)
            return seen(x)

        kept = SumsFile(file, run="this", keep_every=0)
        with pytest.raises(_KilledError):
            run_tiled(run, image, tiles, is_blended=is_blended, kept=kept)
        again = SumsFile(file, run="this", keep_every=0)
        assert again.num_done == last
        with pytest.raises(DataError, match="the beginning of another run"):
            SumsFile(file, run="that")
        found = run_tiled(seen, image, tiles, is_blended=is_blended, kept=again)
        assert torch.equal(found, expected)


def test_a_whole_is_what_the_network_gives():
    image = torch.rand(1, 1, 6, 5)
    (tile,) = overlapping_windows((6, 5), (6, 5))
    assert torch.equal(run_tiled(nn.Identity(), image, [tile]), image)
