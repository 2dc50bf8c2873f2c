"""Exact tiles where they can be paid for, else blended ones with the reason."""

import pytest
import torch
from torch import nn

from atrous.errors import DataError
from atrous.inference.tiles.mode import choose_context, choose_exact
from atrous.inference.tiles.sums import run_tiled


class _Pooled(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 2, 9, padding=4)

    def forward(self, x):
        y = self.conv(x)
        return y + y.mean((2, 3), keepdim=True)


def test_the_context_is_exact_where_it_can_be_paid_for():
    torch.manual_seed(0)
    local = nn.Conv2d(3, 2, 9, padding=4)
    exact = choose_context(local, wish="auto", core_for=lambda *_: (64, 64))
    assert (exact.kind, exact.halo, exact.alignment) == ("exact", (4, 4), (1, 1))
    dear = choose_context(local, wish="auto", core_for=lambda *_: (7, 7))
    assert dear.kind == "blended"
    assert "4.6 times the work" in dear.reason  # (7 + 8)^2 / 7^2
    assert choose_context(local, wish="exact", core_for=lambda *_: (7, 7)).kind == "exact"
    assert choose_context(local, wish="blended", core_for=lambda *_: (64, 64)).kind == "blended"
    no_room = choose_context(local, wish="auto", core_for=lambda *_: ())
    assert "does not fit into the memory" in no_room.reason


def test_no_halo_is_wide_enough_for_global_pooling():
    torch.manual_seed(0)
    found = choose_context(_Pooled(), wish="auto", core_for=lambda *_: (64, 64))
    assert found.kind == "blended"
    assert "mean" in found.reason
    with pytest.raises(DataError, match="cannot be exact: no halo is wide enough"):
        choose_context(_Pooled(), wish="exact", core_for=lambda *_: (64, 64))


def test_strides_that_differ_by_axis_are_cut_where_both_begin_anew():
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 4, 3, stride=(2, 3), padding=1), nn.Upsample(scale_factor=(2.0, 3.0))
    )
    network = network.double().eval()
    found = choose_context(network, wish="exact", core_for=lambda _, steps: (2 * steps[0],) * 2)
    assert found.alignment == (6, 6)  # the least common multiple of 2 and 3
    image = torch.rand(1, 3, 60, 48, dtype=torch.float64)
    tiled = run_tiled(network, image, found.grid((60, 48)))
    torch.testing.assert_close(tiled, network(image), rtol=0, atol=1e-12)


def exact_of(network, *, size, wish="auto", core=(4, 4, 4)):
    return choose_exact(network, wish=wish, core_for=lambda *_: core, in_channels=1, size=size)


def test_scans_have_a_halo_for_each_axis_and_pay_for_what_their_size_leaves_of_it():
    torch.manual_seed(0)
    local = nn.Conv3d(1, 2, (1, 3, 5), padding=(0, 1, 2))
    found = exact_of(local, size=(4, 4, 8), wish="exact")
    assert (found.halo, found.alignment) == ((0, 1, 2), (1, 1, 1))
    # Two cores of 4 along the last axis, each with 2 of context on the inner side alone: 12 of 8.
    assert found.grid((4, 4, 8)).overhead == 12 / 8
    assert exact_of(local, size=(4, 4, 8)) == found
    # Cores of 1: ten windows of up to 3 x 5, of which the borders take 2 and 6: 28 x 44 of 10 x 10.
    dear = exact_of(local, size=(4, 10, 10), core=(1, 1, 1))
    assert "0 x 1 x 2 voxels would cost 12.3 times" in dear
    assert exact_of(local, size=(4, 10, 10), core=()).endswith("does not fit into the memory")


def test_a_scan_that_strides_do_not_divide_is_not_exact():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv3d(1, 2, 2, stride=2), nn.Upsample(scale_factor=2.0))
    assert "no multiple of the network's stride (2, 2, 2)" in exact_of(network, size=(4, 4, 7))
    assert exact_of(network, size=(4, 4, 8)).kind == "exact"
