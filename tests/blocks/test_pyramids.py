"""Pyramids over sizes and kernels: weights by formula, arithmetic against torch, any size."""

from fractions import Fraction

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F  # noqa: N812 - the name everybody reads

from atrous.blocks.conv import identity
from atrous.blocks.gated_conv import GatedConv
from atrous.blocks.pyramids.efficient import SCALES, EfficientPyramidPooling
from atrous.blocks.pyramids.halving import HalvingPyramid, PyramidPooling
from atrous.blocks.pyramids.kernels import KernelPyramid
from atrous.blocks.resize import double_linear, pool_to_size, resize_linear
from atrous.errors import ShapeError

SIZES = {2: (9, 10), 3: (5, 9, 10)}
dims = pytest.mark.parametrize("spatial_dims", [2, 3])


def num_conv_weights(module):
    return sum(p.numel() for p in module.parameters() if p.ndim > 2)


def no_norm(channels, *, spatial_dims):  # noqa: ARG001 - the signature of a norm
    return nn.Identity()


@dims
@given(length=st.integers(1, 40), wanted=st.integers(1, 40), aligned=st.booleans())
@settings(deadline=None, max_examples=30)
def test_resizing_is_torchs(spatial_dims, length, wanted, aligned):
    x = torch.rand(1, 2, length, *SIZES[spatial_dims][1:])
    size = (wanted, *(7, 12)[: spatial_dims - 1])
    mode = {2: "bilinear", 3: "trilinear"}[spatial_dims]
    pool = {2: F.adaptive_avg_pool2d, 3: F.adaptive_avg_pool3d}[spatial_dims]
    sampled = F.interpolate(x, size=size, mode=mode, align_corners=aligned)
    torch.testing.assert_close(resize_linear(x, size, align_corners=aligned), sampled)
    torch.testing.assert_close(pool_to_size(x, size), pool(x, size))


def test_a_map_of_the_wanted_size_comes_back_itself():
    x = torch.rand(1, 2, 3, 4)
    assert resize_linear(x, (3, 4), align_corners=True) is x
    assert pool_to_size(x, (3, 4)) is x


def test_doubling_holds_the_corners_only_if_told_to():
    x = torch.tensor([[[[0.0, 3.0]]]])
    assert double_linear(x, align_corners=True)[0, 0, 0].tolist() == [0.0, 1.0, 2.0, 3.0]
    assert double_linear(x, align_corners=False)[0, 0, 0].tolist() == [0.0, 0.75, 2.25, 3.0]


@dims
def test_pyramid_pooling_sets_branches_beside_the_map(spatial_dims):
    block = PyramidPooling(
        6, 4, fractions=(Fraction(1, 2), Fraction(3, 8)), kernel_size=3, spatial_dims=spatial_dims
    ).eval()
    x = torch.rand(2, 6, *SIZES[spatial_dims])
    y = block(x)
    assert y.shape == (2, block.out_channels, *SIZES[spatial_dims]) == (2, 14, *x.shape[2:])
    assert torch.equal(y[:, :6], x)
    assert num_conv_weights(block) == 2 * 3**spatial_dims * 6 * 4


def test_a_constant_map_stays_constant_under_pyramid_pooling():
    block = PyramidPooling(2, 2, fractions=(Fraction(1, 2), Fraction(1, 100)), norm=no_norm)
    for branch in block.branches:
        nn.init.eye_(branch.conv.weight.view(2, 2))
    x = torch.full((1, 2, 7, 9), 3.0)
    torch.testing.assert_close(block(x), torch.full((1, 6, 7, 9), 3.0))


def test_fractions_of_nothing_are_refused():
    with pytest.raises(ShapeError, match="expected all above 0"):
        PyramidPooling(2, 2, fractions=(Fraction(1, 2), Fraction(0)))


@dims
@pytest.mark.parametrize("length", [1, 2, 17])
def test_the_halving_pyramid_takes_any_size(spatial_dims, length):
    block = HalvingPyramid(4, spatial_dims=spatial_dims).eval()
    x = torch.rand(2, 4, length, *SIZES[spatial_dims][1:])
    assert block(x).shape == x.shape
    assert num_conv_weights(block) == 4 * 3**spatial_dims * 4 + 5 * 4 * 4


@dims
@pytest.mark.parametrize("is_last", [False, True])
def test_weights_of_efficient_pyramid_pooling_follow_its_formula(spatial_dims, is_last):
    m, n, p, k = 6, 8, 3, len(SCALES)
    block = EfficientPyramidPooling(m, n, width=p, is_last=is_last, spatial_dims=spatial_dims)
    kernel = 3**spatial_dims
    assert num_conv_weights(block) == m * p + 2 * kernel * k * p + p * n
    assert (block.expand.bias is not None) == is_last


@dims
@pytest.mark.parametrize("length", [1, 4, 11])
def test_efficient_pyramid_pooling_takes_any_size(spatial_dims, length):
    block = EfficientPyramidPooling(6, 8, width=3, spatial_dims=spatial_dims).eval()
    x = torch.rand(2, 6, length, *SIZES[spatial_dims][1:])
    assert block(x).shape == (2, 8, *x.shape[2:])


def test_each_group_of_the_merge_sees_one_channel_at_all_sizes():
    block = EfficientPyramidPooling(2, 2, width=2, is_last=True).eval()
    for conv in (block.reduce.conv, block.expand):
        nn.init.eye_(conv.weight.view(2, 2))
    nn.init.zeros_(block.expand.bias)
    x = torch.rand(1, 2, 20, 20)
    other = x.clone()
    other[:, 0] += 1
    y, z = block(x), block(other)
    assert not torch.allclose(y[:, 0], z[:, 0])
    assert torch.equal(y[:, 1], z[:, 1])


@pytest.mark.parametrize(
    "arguments", [{"width": 0}, {"width": 2, "scales": ()}, {"width": 2, "scales": (1.0, -0.5)}]
)
def test_a_pyramid_of_nothing_is_refused(arguments):
    with pytest.raises(ShapeError, match="scales above 0"):
        EfficientPyramidPooling(4, 4, **arguments)


@dims
@given(in_channels=st.integers(1, 24), out_channels=st.integers(1, 24))
@settings(deadline=None, max_examples=20)
def test_a_gated_convolution_takes_any_channels(spatial_dims, in_channels, out_channels):
    block = GatedConv(in_channels, out_channels, spatial_dims=spatial_dims).eval()
    x = torch.rand(2, in_channels, *SIZES[spatial_dims])
    assert block(x).shape == (2, out_channels, *x.shape[2:])
    groups = block.conv.conv.groups
    assert in_channels % groups == out_channels % groups == 0
    expected = 3**spatial_dims * in_channels * out_channels // groups + in_channels * out_channels
    assert num_conv_weights(block) == expected


def test_the_gate_is_the_sigmoid_of_the_mean():
    block = GatedConv(2, 2).eval()
    block.gate[1].weight.data.zero_()
    x = torch.rand(1, 2, 5, 6)
    torch.testing.assert_close(block(x), block.conv(x) / 2)


@dims
def test_the_kernel_pyramid_adds_the_map_and_its_convolutions(spatial_dims):
    block = KernelPyramid(2, norm=no_norm, act=identity, spatial_dims=spatial_dims)
    x = torch.rand(1, 2, *SIZES[spatial_dims])
    torch.testing.assert_close(block(x), x + sum(branch(x) for branch in block.branches))
    assert num_conv_weights(block) == 4 * sum(k**spatial_dims for k in (3, 5, 7, 9))
