"""Zeros beside the channels are no border of the image."""

from torch import nn
from torch.nn import functional as F  # noqa: N812 - the name everybody reads

from atrous.analysis import halo, receptive_field


class PaddedShortcut(nn.Module):
    """A residual whose shortcut gets its missing channels as zeros, as in CIFAR's ResNets."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(4, 8, 3, padding=1)

    def forward(self, x):
        return self.conv(x) + F.pad(x, (0, 0, 0, 0, 2, 2))


def test_padded_channels_leave_the_field_finite():
    seen = receptive_field(PaddedShortcut(), (20, 24)).field
    assert seen.size == (3, 3)
    assert seen.extent == ("finite", "finite")


def test_padded_channels_need_no_halo_of_their_own():
    need = halo(PaddedShortcut(), (20, 24))
    assert need.before == need.after == (1, 1)


def test_padding_space_is_a_border_as_a_convolutions_own_is():
    apart = nn.Sequential(nn.ZeroPad2d(1), nn.Conv2d(4, 4, 3))
    together = nn.Conv2d(4, 4, 3, padding=1)
    assert halo(apart, (20, 24)) == halo(together, (20, 24))
    assert halo(apart, (20, 24)).before == (1, 1)
