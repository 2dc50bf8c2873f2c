"""Jump and start are exact fractions, or none."""

from fractions import Fraction

import pytest
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812 - the name everybody reads

from atrous.analysis import halo, receptive_field


@pytest.mark.parametrize("size", [30, 48, 60, 90])
@pytest.mark.parametrize("factor", [0.6, 0.75, 1.5, 0.4])
@pytest.mark.parametrize("mode", ["nearest", "nearest-exact"])
def test_resizing_by_a_fraction_has_its_inverse_as_jump(size, factor, mode, net, conv):
    def forward(self, x):
        return F.interpolate(self.conv(x), scale_factor=factor, mode=mode)

    seen = receptive_field(net(forward, conv=conv()), (size, size))
    field = seen.field
    assert seen.is_exact
    step = 1 / Fraction(factor).limit_denominator(100)
    assert field.jump == (float(step),) * 2
    # Output 0 reads input 0, or the one that holds the middle of its own cell.
    first = 0 if mode == "nearest" else int(step / 2)
    assert field.start == (first - 1.0,) * 2


@pytest.mark.parametrize("factor", [0.61, 0.37, 1.37])
def test_a_jump_that_cannot_be_proved_is_none_or_right(factor, net, conv):
    def forward(self, x):
        return F.interpolate(self.conv(x), scale_factor=factor, recompute_scale_factor=False)

    for size in (24, 48):
        (jump, _) = receptive_field(net(forward, conv=conv()), (size, size)).field.jump
        assert jump is None or jump == pytest.approx(1 / factor, rel=1e-12)


def padded_by_joining(self, x):
    side = torch.zeros_like(x[..., :1])
    x = torch.cat([side, x, side], 3)
    row = torch.zeros_like(x[:, :, :1])
    return F.conv2d(torch.cat([row, x, row], 2), self.conv.weight, stride=2)


def padded_symmetrically(self, x):
    x = torch.cat([x[..., :1].flip(3), x, x[..., -1:].flip(3)], 3)
    x = torch.cat([x[:, :, :1].flip(2), x, x[:, :, -1:].flip(2)], 2)
    return F.conv2d(x, self.conv.weight, stride=2)


def shifted(self, x):
    """As shifts in time do: a share of the channels comes from the neighbour."""
    y = x.clone()
    y[:, :1, :, :-1] = x[:, :1, :, 1:]
    y[:, 1:2, :, 1:] = x[:, 1:2, :, :-1]
    z = y.clone()
    z[:, :1, :-1] = y[:, :1, 1:]
    z[:, 1:2, 1:] = y[:, 1:2, :-1]
    return F.conv2d(z, self.conv.weight[..., :1, :1], stride=2)


TRUE = {padded_by_joining: -1.0, padded_symmetrically: -1.0, shifted: -1.0}


@pytest.mark.parametrize("forward", TRUE)
def test_borders_made_by_hand_leave_the_start_where_it_is(forward, net, conv):
    field = receptive_field(net(forward, conv=conv()), (24, 24)).field
    assert field.size == (3, 3)
    assert field.jump == (2.0, 2.0)
    assert field.start == (TRUE[forward],) * 2


@pytest.mark.parametrize("mode", ["bicubic", "bilinear"])
def test_resizing_by_an_odd_factor_has_a_halo(mode, net, conv, tile_error):
    def forward(self, x):
        return F.interpolate(self.conv(x), scale_factor=3, mode=mode)

    model = net(forward, conv=conv())
    assert receptive_field(model, (24, 24)).field.jump == (pytest.approx(1 / 3),) * 2
    need = halo(model, (24, 24))
    assert need.is_finite
    assert tile_error(model, need) < 1e-12


def test_dilated_transposed_convolutions_have_a_halo(tile_error):
    model = nn.Sequential(
        nn.Conv2d(3, 3, 3, 2, 1), nn.ConvTranspose2d(3, 3, 3, 2, 2, output_padding=1, dilation=2)
    )
    need = halo(model, (24, 24))
    assert need.is_finite
    assert tile_error(model, need) < 1e-12


def test_area_resizing_upwards_has_a_halo(net, conv, tile_error):
    def forward(self, x):
        y = F.max_pool2d(self.conv(x), 2)
        return F.interpolate(y, size=x.shape[2:], mode="area")

    model = net(forward, conv=conv())
    need = halo(model, (24, 24))
    assert need.is_finite
    assert tile_error(model, need) < 1e-12


class Rearranged(nn.Module):
    """A 3 x 3 layer whose rows are then taken in another way."""

    def __init__(self, run):
        super().__init__()
        self.conv, self.run = nn.Conv2d(3, 3, 3, padding=1), run

    def forward(self, x):
        return self.run(self.conv(x))


STARTS = {
    "as they are": (lambda x: x, -1),
    "from a fixed row": (lambda x: x[:, :, 5:], 4),
    "from the middle": (lambda x: x[:, :, x.shape[2] // 2 :], 19),
    "the last ones": (lambda x: x[:, :, -10:], 29),
    "reversed": (lambda x: x.flip(2), 38),
    "reversed by index": (lambda x: x[:, :, torch.arange(x.shape[2] - 1, -1, -1)], 38),
    "every other, reversed": (lambda x: x[:, :, torch.arange(x.shape[2] - 1, -1, -2)], 38),
}


@pytest.mark.parametrize(("run", "start"), STARTS.values(), ids=STARTS)
def test_the_start_is_that_at_the_size_asked_for(run, start):
    """Output 0 of 40 rows sees the row it is taken from, and one on either side."""
    seen = receptive_field(Rearranged(run), (40, 40))
    assert seen.field.start[0] in (start, None)
    assert seen.field.start[1] == -1
    assert seen.field.centre[0] in (start + 1, None)


def test_a_start_is_known_where_it_can_be_told():
    for name in ("as they are", "from a fixed row", "from the middle"):
        run, start = STARTS[name]
        seen = receptive_field(Rearranged(run), (40, 40))
        assert (seen.field.start[0], seen.field.centre[0]) == (start, start + 1)
