"""Maps of which one part is treated otherwise than another, or that are a share of the image."""

import random

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812 - the name everybody reads

from atrous.analysis import halo, profile, receptive_field
from atrous.errors import AtrousError


class TopBand(nn.Module):
    """Filters the first eight rows, and copies the others."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(2, 2, 7, padding=3)

    def forward(self, x):
        y = x.clone()
        y[:, :, :8] = self.conv(x)[:, :, :8]
        return y


class LeftBand(nn.Module):
    """Filters the first four columns along the rows only, and copies the others."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(2, 2, (7, 1), padding=(3, 0))

    def forward(self, x):
        return torch.cat([self.conv(x)[..., :4], x[..., 4:]], -1)


class LeftHalf(LeftBand):
    """Filters the left half, and copies the right one."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(2, 2, 7, padding=3)

    def forward(self, x):
        half = x.shape[-1] // 2
        return torch.cat([self.conv(x)[..., :half], x[..., half:]], -1)


class Halves(nn.Module):
    """Adds the halves of the image: an output sees two places that are half of it apart."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(2, 2, 3, padding=1)

    def forward(self, x):
        left, right = self.conv(x).chunk(2, -1)
        return left + right


@torch.no_grad()
def tiles_are_equal(model, length, need):
    x = torch.randn(1, 2, length, length, dtype=torch.float64)
    whole = model(x)
    for top in range(0, length, 16):
        for left in range(0, length, 16):
            cuts = [
                slice(max(0, at - pixels), min(length, at + 16 + pixels))
                for at, pixels in zip((top, left), need.pixels, strict=True)
            ]
            tile = model(x[(..., *cuts)])
            y, x0 = top - cuts[0].start, left - cuts[1].start
            core = tile[..., y : y + 16, x0 : x0 + 16]
            if not torch.allclose(core, whole[..., top : top + 16, left : left + 16]):
                return False
    return True


@pytest.mark.parametrize("network", [TopBand, LeftBand])
@pytest.mark.parametrize("length", [32, 64])
def test_a_band_that_is_filtered_has_its_halo_along_both_axes(network, length):
    torch.manual_seed(0)
    model = network().double().eval()
    need = halo(model, (length, length))
    assert not need.is_finite or tiles_are_equal(model, length, need)
    assert not need.is_finite or min(need.pixels) >= 3


@pytest.mark.parametrize("network", [TopBand, LeftBand, LeftHalf])
def test_the_middle_does_not_speak_for_a_band_that_sees_more(network):
    seen = receptive_field(network().eval(), (64, 64))
    assert not seen.is_exact
    assert seen.bound == "at least"


@pytest.mark.parametrize(("length", "span"), [(32, 19), (64, 35)])
def test_a_field_that_is_a_share_of_the_image_is_that_of_the_size_asked_for(length, span):
    # Column c of the sum sees c - 1 to c + 1 and the same half an image on: 1 + length / 2 + 2.
    seen = receptive_field(Halves().eval(), (length, length))
    assert not seen.is_exact
    assert seen.field.size[1] == span


class Indices(nn.Module):
    """Where the largest value of every window is, counted from the corner of the map."""

    def __init__(self, pool):
        super().__init__()
        self.pool = pool

    def forward(self, x):
        values, indices = self.pool(x)
        return {"values": values, "indices": indices}


@pytest.mark.parametrize(
    "pool",
    [
        nn.MaxPool2d(2, return_indices=True),
        lambda x: F.adaptive_max_pool2d(x, [n // 2 for n in x.shape[2:]], return_indices=True),
    ],
    ids=["windows", "adaptive"],
)
def test_indices_count_from_the_corner_so_no_tile_has_the_same(pool):
    model = Indices(pool)
    assert halo(model, (32, 32), in_channels=2, output="values").pixels == (0, 0)
    assert not halo(model, (32, 32), in_channels=2, output="indices").is_finite


def test_unpooling_by_indices_still_has_a_halo():
    class Unpool(nn.Module):
        def forward(self, x):
            values, indices = F.max_pool2d(x, 2, return_indices=True)
            return F.max_unpool2d(values, indices, 2)

    assert halo(Unpool(), (32, 32), in_channels=2).is_finite


class Draws(nn.Module):
    """Skips its layer at random, and starts torch's numbers anew, as careless code does."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(2, 2, 3, padding=1)

    def forward(self, x):
        random.random()  # noqa: S311 - no secret
        np.random.rand()  # noqa: NPY002
        torch.manual_seed(7)
        return self.conv(x)


@pytest.mark.parametrize("ask", [profile, receptive_field, halo])
def test_random_numbers_go_on_as_if_nothing_had_been_asked(ask):
    def state():
        return (
            random.getstate(),
            np.random.get_state()[1].tolist(),  # noqa: NPY002
            torch.get_rng_state().tolist(),
        )

    model = Draws()
    before = state()
    ask(model, (16, 16))
    assert state() == before


@pytest.mark.filterwarnings("ignore")  # torch.jit is going away
@pytest.mark.parametrize("ask", [profile, receptive_field, halo])
def test_a_traced_module_is_refused_in_words(ask):
    traced = torch.jit.trace(nn.Conv2d(2, 2, 3), torch.zeros(1, 2, 8, 8))
    with pytest.raises(AtrousError, match="scripted module"):
        ask(traced, (8, 8), in_channels=2)
