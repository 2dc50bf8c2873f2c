"""Maps joined side by side, rolled as a whole or turned, and phases that read other rows."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812 - the name everybody reads

from atrous.analysis import halo, receptive_field


class Net(nn.Module):
    """A function of the image and of a layer of 3 x 3."""

    def __init__(self, run):
        super().__init__()
        self.conv = nn.Conv2d(2, 2, 3, padding=1)
        self.run = run

    def forward(self, x):
        return self.run(x, self.conv)


@pytest.mark.parametrize("axis", [2, 3])
@pytest.mark.parametrize("is_first", [True, False])
def test_maps_side_by_side_have_the_field_of_the_one_that_sees_more(axis, is_first):
    """Half of the outputs are a layer's and see 3 x 3, the others 1 x 1: 3 is right, 1 is not."""

    def run(x, conv):
        both = (conv(x), x) if is_first else (x, conv(x))
        return torch.cat(both, axis)

    seen = receptive_field(Net(run), (32, 32))
    assert seen.field.size == (3, 3)
    assert not halo(Net(run), (32, 32)).is_finite


def test_the_phase_that_reads_most_is_counted(reached):
    """Every third row, spread linearly, and the row itself: 2, 3 and 3 rows, over 1, 4 and 4."""

    class Spread(nn.Module):
        def __init__(self):
            super().__init__()
            self.thin = nn.Conv2d(2, 2, 1, stride=3)

        def forward(self, x):
            return F.interpolate(self.thin(x), scale_factor=3, mode="bilinear") + x

    seen = receptive_field(Spread(), (36, 36))
    assert seen.field.size == reached(Spread(), torch.rand(1, 2, 36, 36)) == (4, 4)
    assert seen.field.seen == (3, 3)


def test_a_roll_of_all_numbers_in_a_row_moves_the_field_along_the_last_axis():
    """Output (y, x) is the layer's at (y, x - 1), but in the first column: none, or another row."""
    net = Net(lambda x, conv: conv(x).roll(1))
    seen = receptive_field(net, (32, 32))
    assert seen.field.size == (3, 3)
    assert (seen.field.start[0], seen.field.jump) == (-1, (1, 1))
    assert not halo(net, (32, 32)).is_finite


@pytest.mark.parametrize("turns", [0, 1, 2, 3, 4, -1])
def test_a_turned_map_has_a_field_and_a_turned_back_one_its_own(turns):
    """`rot90` equals reversals and transpositions, which have rules of their own."""
    there = Net(lambda x, conv: conv(torch.rot90(x, turns, (2, 3))))
    back = Net(lambda x, conv: torch.rot90(conv(torch.rot90(x, turns, (2, 3))), -turns, (2, 3)))
    seen = receptive_field(there, (32, 32))
    assert (seen.is_exact, seen.field.size) == (True, (3, 3))
    assert halo(there, (32, 32)).is_finite == (turns % 4 == 0)
    seen = receptive_field(back, (32, 24))
    assert (seen.is_exact, seen.field.size, seen.field.start) == (True, (3, 3), (-1, -1))
