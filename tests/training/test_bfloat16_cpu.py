"""Strided convolutions on maps of a few positions are refused in bfloat16 on CPUs, no others."""

import pytest
import torch
from torch import nn

from atrous.errors import DataError
from atrous.training.bfloat16_cpu import refuse_tiny_maps


def network(stride=2):
    chain = nn.Sequential(nn.Conv3d(1, 64, 3, padding=1, stride=stride), nn.ReLU())
    refuse_tiny_maps(chain)
    return chain


def test_a_map_of_a_few_positions_is_refused_by_the_name_of_its_convolution():
    with (
        torch.autocast("cpu", torch.bfloat16),
        pytest.raises(DataError, match="convolution 0 sees a map of 2x4x2"),
    ):
        network()(torch.zeros(1, 1, 2, 4, 2))


@pytest.mark.parametrize("stride", [1, 2])
def test_a_larger_map_runs_and_so_does_any_that_is_not_strided(stride):
    size = (3, 3, 3) if stride == 2 else (1, 2, 1)
    with torch.autocast("cpu", torch.bfloat16):
        assert network(stride)(torch.zeros(1, 1, *size)).dtype == torch.bfloat16


def test_in_float32_every_map_runs():
    assert network()(torch.zeros(1, 1, 1, 2, 1)).shape == (1, 64, 1, 1, 1)


@pytest.mark.parametrize("size", [(3, 3, 3), (4, 4, 4), (3, 4, 3)])
@pytest.mark.parametrize(("before", "after"), [(64, 64), (128, 256), (256, 512)])
def test_what_is_not_refused_is_right_to_the_precision_of_bfloat16(size, before, after):
    torch.manual_seed(0)
    conv = nn.Conv3d(before, after, 3, padding=1, stride=2, bias=False)
    x = torch.randn(2, before, *size)
    outputs, gradients = [], []
    for enabled in (True, False):
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            y = conv(x)
        conv.zero_grad()
        y.float().square().mean().backward()
        outputs.append(y.detach().float())
        gradients.append(conv.weight.grad.clone())
    for half, full in (outputs, gradients):
        assert (half - full).abs().max() < 0.02 * full.abs().max()
