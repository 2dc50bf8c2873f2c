"""A size as `(H, W)`, `(C, H, W)` or `(B, C, H, W)` asks for the same."""

import pytest
from torch import nn

import atrous
from atrous.errors import ShapeError


def model(kind, channels):
    return nn.Sequential(kind(channels, 4, 3, padding=1), nn.ReLU())


@pytest.mark.parametrize(("kind", "lengths"), [(nn.Conv1d, (24,)), (nn.Conv2d, (24, 32)),
                                               (nn.Conv3d, (8, 12, 16))])  # fmt: skip
def test_every_form_of_a_size_is_understood(kind, lengths):
    net = model(kind, 5)
    costs = [atrous.profile(net, size).macs for size in (lengths, (5, *lengths), (1, 5, *lengths))]
    assert costs[0] == costs[1] == costs[2] > 0
    assert atrous.profile(net, (2, 5, *lengths)).macs == 2 * costs[0]
    fields = [
        atrous.receptive_field(net, size).field.size
        for size in (lengths, (5, *lengths), (1, 5, *lengths))
    ]
    assert fields == [(3,) * len(lengths)] * 3
    assert atrous.halo(net, (5, *lengths)).pixels == (1,) * len(lengths)


def test_channels_that_are_said_twice_must_agree():
    with pytest.raises(ShapeError, match="has 5 channels and in_channels is 3"):
        atrous.profile(model(nn.Conv2d, 5), (5, 8, 8), in_channels=3)
    assert atrous.profile(model(nn.Conv2d, 5), (5, 8, 8), in_channels=5).macs > 0


def test_a_field_is_that_of_eval_mode_and_says_so():
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).train()
    seen = atrous.receptive_field(net, (24, 24))
    assert seen.field.size == (3, 3)
    assert str(seen) == "3x3 (exact), jump 1, start 0"
    assert net.training
    assert "layer" in str(atrous.profile(net, (24, 24)))
