"""The residual U-Net: any size, full-size logits, coarser heads for training alone."""

import pytest
import torch

from atrous.errors import ShapeError
from atrous.networks.catalog import build_network

SMALL = {"width": 4, "num_stages": 3, "num_classes": 3}


@pytest.mark.parametrize("size", [(8, 8, 8), (9, 14, 5), (1, 3, 2)])
@pytest.mark.parametrize("stem_width", [None, 1, 2])
def test_logits_are_of_the_volumes_size(size, stem_width):
    network = build_network("residual_unet", {**SMALL, "stem_width": stem_width}).eval()
    assert network(torch.randn(1, 1, *size)).shape == (1, 3, *size)


def test_parameters_are_those_of_its_layers():
    # Stem and two stages of a block at widths 4 and 8, then 1x1 8 to 4, 3x3x3 8 to 4, head.
    stem, block1 = 27 * 4 + 8, 2 * (27 * 16 + 8)
    block2 = 27 * 32 + 16 + 27 * 64 + 16 + 32 + 16
    decoder = 8 * 4 + (27 * 32 + 8) + (4 * 3 + 3)
    network = build_network("residual_unet", {**SMALL, "num_stages": 2})
    found = sum(parameter.numel() for parameter in network.parameters())
    assert found == stem + block1 + block2 + decoder


def test_a_stem_of_its_own_width_stands_alone_at_full_size():
    # Stem to 2 channels, one stage of a block at width 8, 1x1 8 to 2, 3x3x3 4 to 2, head.
    stem = 27 * 2 + 4
    block = 27 * 2 * 8 + 16 + 27 * 64 + 16 + 2 * 8 + 16
    decoder = 8 * 2 + (27 * 8 + 4) + (2 * 3 + 3)
    network = build_network("residual_unet", {**SMALL, "num_stages": 2, "stem_width": 2})
    assert network.encoder.out_channels == (2, 8)
    assert sum(p.numel() for p in network.parameters()) == stem + block + decoder


def test_auxiliary_heads_answer_at_full_size_and_leave_the_answer_alone():
    network = build_network("residual_unet", {**SMALL, "has_auxiliary": True}).eval()
    x = torch.randn(1, 1, 10, 12, 9)
    logits, early = network.forward_with_auxiliary(x)
    assert torch.equal(logits, network(x))
    assert [tuple(other.shape) for other in early] == [(1, 3, 10, 12, 9)]


def test_impossible_settings_are_refused():
    with pytest.raises(ShapeError, match="at least 2 stages"):
        build_network("residual_unet", {"num_stages": 1})
    with pytest.raises(ShapeError, match="stem_width of 0"):
        build_network("residual_unet", {"stem_width": 0})
