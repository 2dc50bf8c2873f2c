"""Tiles with the exact halo give what the whole image gives; with less they do not."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from atrous.analysis.halo import halo
from atrous.errors import ShapeError
from atrous.inference.tiles.full_size import FullSize
from atrous.inference.tiles.grid import TileGrid, overlapping_windows, plan_grid, relative
from atrous.inference.tiles.sums import run_tiled
from atrous.networks.catalog import build_network

lengths = st.integers(1, 70)


@given(st.lists(st.tuples(lengths, lengths, st.integers(0, 20)), min_size=1, max_size=3))
def test_cores_cover_the_image_once_and_windows_hold_their_halo(axes):
    size, core, context = zip(*axes, strict=True)
    grid = TileGrid(size=size, core=core, halo=context)
    seen = torch.zeros(size)
    tiles = list(grid)
    for tile in tiles:
        seen[tile.core] += 1
        for part, window, inside, n, pixels in zip(
            tile.core, tile.window, tile.inside, size, context, strict=True
        ):
            assert window.start == max(0, part.start - pixels)
            assert window.stop == min(n, part.stop + pixels)
            assert range(n)[window][inside] == range(n)[part]
    assert (seen == 1).all()
    assert len(tiles) == len(grid)


@given(st.lists(st.tuples(lengths, st.integers(5, 70)), min_size=1, max_size=2))
def test_overlapping_windows_cover_the_image_with_steps_of_half_a_window_at_most(axes):
    size = tuple(n for n, _ in axes)
    window = tuple(min(n, length) for n, length in axes)
    seen = torch.zeros(size)
    tiles = overlapping_windows(size, window)
    for tile in tiles:
        assert tile.window_size == window
        assert tile.inside == tuple(slice(0, n) for n in window)
        seen[tile.core] += 1
    assert (seen >= 1).all()
    for axis, length in enumerate(window):
        starts = sorted({tile.core[axis].start for tile in tiles})
        steps = [b - a for a, b in itertools.pairwise(starts)]
        assert max(steps, default=0) <= (length + 1) / 2 + 0.5  # rounded to whole pixels
        assert max(steps, default=0) - min(steps, default=0) <= 1  # spread evenly


@given(st.lists(st.tuples(lengths, st.integers(1, 30)), min_size=1, max_size=3), st.data())
def test_neighbours_are_the_tiles_whose_places_differ_by_one_at_most(axes, data):
    size, core = zip(*axes, strict=True)
    grid = TileGrid(size=size, core=core, halo=(0,) * len(size))
    place = data.draw(st.tuples(*(st.integers(0, n - 1) for n in grid.shape)))
    expected = [
        other
        for other in np.ndindex(*grid.shape)
        if max(abs(a - b) for a, b in zip(place, other, strict=True)) <= 1
    ]
    assert list(grid.neighbours(place)) == expected


def test_a_region_in_the_coordinates_of_one_that_holds_it_is_the_same_pixels():
    image = torch.arange(100).reshape(10, 10)
    whole, part = (slice(2, 9), slice(1, 10)), (slice(3, 7), slice(4, 5))
    assert torch.equal(image[whole][relative(part, whole)], image[part])


def positive(network):
    """Weights that let every pixel of the field through, so that too small a halo shows."""
    for parameter in network.parameters():
        nn.init.uniform_(parameter.data, 0.01, 0.1)
    return network.double().eval()


@pytest.mark.parametrize("size", [(160, 130), (97, 161)])
def test_tiles_equal_the_whole_and_a_smaller_halo_does_not(size):
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 4, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(4, 4, 3, padding=4, dilation=4),
        nn.ReLU(),
        nn.Conv2d(4, 2, 3, padding=1),
    )
    network = positive(FullSize(network, resize="nearest"))
    need = halo(network, (64, 64))
    size = tuple(n + n % 2 for n in size)
    image = torch.rand(1, 3, *size, dtype=torch.float64)
    whole = network(image)
    for core in (16, 30, 64):
        grid = plan_grid(size, core=(core, core), halo=need.pixels, alignment=need.alignment)
        torch.testing.assert_close(run_tiled(network, image, grid), whole, rtol=0, atol=1e-12)
    less = tuple(n - step for n, step in zip(need.pixels, need.alignment, strict=True))
    grid = plan_grid(size, core=(16, 16), halo=less, alignment=need.alignment)
    assert (run_tiled(network, image, grid) - whole).abs().max() > 1e-9


def test_a_segmenter_with_skips_is_exact_at_an_odd_size():
    torch.manual_seed(0)
    arguments = {"encoder": "resnet18", "num_classes": 3}
    network = FullSize(build_network("skip_encoder_decoder", arguments), resize="nearest").eval()
    need = halo(network, (64, 64))
    image = torch.rand(1, 3, 701, 45)
    grid = plan_grid((701, 45), core=(64, 64), halo=need.pixels, alignment=need.alignment)
    with torch.inference_mode():
        whole = network(image)
    torch.testing.assert_close(run_tiled(network, image, grid), whole, rtol=1e-4, atol=1e-4)


def test_volumes_are_cut_too():
    torch.manual_seed(0)
    network = positive(nn.Conv3d(1, 2, 3, padding=1))
    image = torch.rand(1, 1, 9, 10, 11, dtype=torch.float64)
    grid = plan_grid((9, 10, 11), core=(4, 5, 6), halo=(1, 1, 1), alignment=(1, 1, 1))
    torch.testing.assert_close(run_tiled(network, image, grid), network(image), rtol=0, atol=1e-12)


def test_what_does_not_fit_is_refused():
    with pytest.raises(ShapeError, match="cannot be"):
        TileGrid(size=(10, 10), core=(5,), halo=(1, 1))
    grid = TileGrid(size=(10, 10), core=(5, 5), halo=(1, 1))
    with pytest.raises(ShapeError, match="plan one for this image"):
        run_tiled(nn.Identity(), torch.zeros(1, 1, 10, 11), grid)
    with pytest.raises(ShapeError, match="resize the output first"):
        run_tiled(nn.MaxPool2d(2), torch.zeros(1, 1, 10, 10), grid)
