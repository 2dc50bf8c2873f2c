"""Opposite borders that are joined: the field on the circle, tiles that are continued around."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812 - the name everybody reads

from atrous.analysis import halo, receptive_field


def padded(self, x):
    return self.conv(F.pad(x, (2, 2, 2, 2), mode="circular"))


def panorama(self, x):
    return self.conv(F.pad(F.pad(x, (2, 2, 0, 0), mode="circular"), (0, 0, 2, 2)))


def joined(self, x):
    x = torch.cat([x[..., -2:], x, x[..., :2]], 3)
    return self.conv(torch.cat([x[:, :, -2:], x, x[:, :, :2]], 2))


def rolled(_, x):
    return x + x.roll(2, 3) + x.roll((-2, 2), (3, 2)) + x.roll(-2, 2)


def repeated(self, x):
    h, w = x.shape[2:]
    return self.conv(x.repeat(1, 1, 3, 3)[:, :, h - 2 : 2 * h + 2, w - 2 : 2 * w + 2])


def looked_up(self, x):
    h, w = x.shape[2:]
    rows = torch.arange(-2, h + 2) % h
    return self.conv(x[:, :, rows][:, :, :, torch.arange(-2, w + 2) % w])


WAYS = [padded, panorama, joined, rolled, repeated, looked_up]


@pytest.mark.parametrize("forward", WAYS)
@pytest.mark.parametrize("size", [24, 64])
def test_the_field_is_that_on_the_circle(forward, size, net):
    model = net(forward, conv=nn.Conv2d(3, 3, 5))
    seen = receptive_field(model, (size, size))
    assert seen.field.size == (5, 5)
    assert seen.field.extent == ("finite", "finite")
    assert "wraps" in {note.kind for note in seen.notes}


@pytest.mark.parametrize("forward", WAYS)
def test_only_tiles_that_are_continued_around_equal_the_whole(forward, net):
    model = net(forward, conv=nn.Conv2d(3, 3, 5)).double()
    need = halo(model, (32, 32))
    assert not need.is_finite
    assert "wraps" in {note.kind for note in need.blockers}
    if need.wrapped is None:  # wider marks than a tile; then nothing is promised
        assert forward in (repeated, looked_up)
        return
    margin = need.wrapped[-1]
    image = torch.rand(1, 3, 32, 32, dtype=torch.float64)
    around = F.pad(image, (margin, margin, 0, 0), mode="circular")
    with torch.no_grad():
        whole = model(image)
        for start in (0, 8, 24):
            tile = model(around[..., start : start + 8 + 2 * margin])
            found = tile[..., margin : margin + 8]
            assert (found - whole[..., start : start + 8]).abs().max() < 1e-12


def test_layers_that_wrap_one_after_the_other_add_up():
    layers = (nn.Conv2d(3, 3, 3, padding=1, padding_mode="circular") for _ in range(3))
    assert receptive_field(nn.Sequential(*layers), (16, 16)).field.size == (7, 7)


def test_rolling_channels_is_no_wrap(net, conv):
    def forward(self, x):
        return torch.cat([self.conv(x), x], 1).roll(1, 1)

    model = net(forward, conv=conv())
    assert halo(model, (16, 16)).pixels == (1, 1)
