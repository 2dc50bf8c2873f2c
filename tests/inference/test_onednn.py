"""Convolutions of volumes by oneDNN: the same numbers, and the same network to analysis."""

import pytest
import torch
from torch import nn

from atrous.analysis import profile
from atrous.analysis.halo import halo
from atrous.inference.fold import fold
from atrous.inference.onednn import OneDNNConv3d, use_onednn
from atrous.networks.catalog import build_network

pytestmark = pytest.mark.skipif(
    not torch.backends.mkldnn.is_available(), reason="torch was built without oneDNN"
)


@pytest.mark.parametrize("name", ["espnet3d", "residual_unet"])
def test_the_same_numbers_come_out_and_the_same_costs(name):
    network = build_network(name, {"in_channels": 2, "num_classes": 3}).eval()
    plain, fast = fold(network), use_onednn(fold(network))
    x = torch.randn(1, 2, 16, 24, 16)
    with torch.inference_mode():
        expected = plain(x)
        torch.testing.assert_close(fast(x), expected, rtol=1e-4, atol=1e-5 * expected.std().item())
    one, other = (profile(net, (16, 24, 16), in_channels=2) for net in (plain, fast))
    assert (one.macs, one.params, one.peak_activation_bytes) == (
        other.macs,
        other.params,
        other.peak_activation_bytes,
    )


def test_analysis_sees_the_convolution():
    conv = nn.Conv3d(1, 1, 5, padding=2, bias=False)
    assert halo(use_onednn(nn.Sequential(conv)), (32, 32, 32), in_channels=1).pixels == (2, 2, 2)


def test_only_what_gives_the_same_is_replaced():
    network = nn.Sequential(
        nn.Conv3d(1, 1, 3, stride=2, dilation=2, padding=2),
        nn.Conv3d(1, 1, 1),
        nn.Conv3d(1, 1, 3, padding="same"),
        nn.Conv3d(1, 1, 3, padding=1, padding_mode="replicate"),
    )
    kinds = [type(layer) for layer in use_onednn(network)]
    assert kinds == [OneDNNConv3d, nn.Conv3d, nn.Conv3d, nn.Conv3d]
    assert [type(layer) for layer in use_onednn(network)] == kinds
    x = torch.randn(1, 1, 9, 9, 9, dtype=torch.float64)
    assert torch.equal(network.double()[0](x), network[0].conv(x))
