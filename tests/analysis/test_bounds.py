"""A bound says in which direction it is one, and constants too large to compute stay known."""

import pytest
import torch
from torch import nn

from atrous.analysis import halo, receptive_field


class Net(nn.Module):
    """A function of the image and of two 3 x 3 layers."""

    def __init__(self, run):
        super().__init__()
        self.run = run
        self.a, self.b = nn.Conv2d(3, 3, 3, padding=1), nn.Conv2d(3, 3, 3, padding=1)

    def forward(self, x):
        return self.run(x, self.a, self.b)


def twice_if_large(x, a, b):
    return b(a(x)) if x.shape[2] > 20 else a(x)


CASES = {
    "exact": (lambda x, a, _: a(x), "exact"),
    "whole": (lambda x, a, _: a(x).mean((2, 3)), "exact"),
    "no rule": (lambda x, a, _: a(x) + torch.linalg.det(x)[:, :, None, None], "at most"),
    "the data choose": (lambda x, a, b: a(x).gather(2, b(x).argsort(2)), "at most"),
    # The greater of two running minima is always the earlier: the last position is never read.
    "running minima": (
        lambda x, a, _: nn.functional.max_pool2d(a(x).cummin(2)[0], 2, stride=1),
        "at most",
    ),
    "a mask": (lambda x, a, b: torch.where(torch.arange(16) > 4, a(x), b(a(x))), "at most"),
    "times nothing": (lambda x, a, b: a(x) + 0 * b(a(x)), "at most"),
    "none of it": (lambda x, a, b: torch.add(a(x), b(a(x)), alpha=0), "at most"),
    "another network": (twice_if_large, "at least"),
}


@pytest.mark.parametrize(("run", "bound"), CASES.values(), ids=CASES)
def test_a_bound_says_whether_more_or_less_may_be_seen(run, bound):
    seen = receptive_field(Net(run), (16, 16))
    assert seen.bound == bound
    assert seen.is_exact == (bound == "exact")
    assert f"({bound})" in str(seen)


def test_a_number_that_is_everywhere_is_one_number_however_large_the_map():
    """Two convolutions of 5 and 3 see 7 positions, and 5 dilated by 2 adds 8: margins of 2 + 1 + 4.

    Halos of volumes are measured on maps of more than a million voxels.
    """

    class Offset(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv3d(1, 1, 3, padding=1)

        def forward(self, x):
            return torch.ones_like(x) * 0.5 + self.conv(x)

    first = nn.Conv3d(1, 1, 5, padding=2)
    last = nn.Conv3d(1, 1, 5, padding=4, dilation=2)
    assert halo(nn.Sequential(first, Offset(), last), (18, 14, 12)).pixels == (7, 7, 7)
