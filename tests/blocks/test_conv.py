"""Convolution units: their order, their size, and that 2D and 3D differ in nothing else."""

from functools import partial

import pytest
import torch
from torch import nn

from atrous.blocks import ConvNormAct, NormAct, batch_norm, identity, prelu


@pytest.mark.parametrize("spatial_dims", [2, 3])
@pytest.mark.parametrize(("stride", "dilation"), [(1, 1), (2, 1), (1, 3)])
def test_the_size_is_kept_or_divided_by_the_stride(spatial_dims, stride, dilation):
    unit = ConvNormAct(2, 4, 3, stride=stride, dilation=dilation, spatial_dims=spatial_dims)
    size = (9, 10, 11)[:spatial_dims]
    expected = tuple(-(-length // stride) for length in size)
    assert unit(torch.rand(2, 2, *size)).shape == (2, 4, *expected)


def test_a_unit_is_convolution_then_norm_then_activation():
    unit = ConvNormAct(3, 5, 3, norm=partial(batch_norm, eps=1e-3), act=prelu).eval()
    x = torch.randn(1, 3, 7, 8)
    assert torch.equal(unit(x), unit.act(unit.norm(unit.conv(x))))
    assert unit.norm.eps == 1e-3
    assert unit.conv.bias is None
    assert unit.act.weight.shape == (5,)


def no_norm(channels, *, spatial_dims):
    assert spatial_dims == 2
    return identity(channels)


def test_identity_leaves_out_what_it_stands_for():
    unit = ConvNormAct(3, 5, 1, norm=no_norm, act=identity)
    x = torch.randn(1, 3, 4, 4)
    assert torch.equal(unit(x), unit.conv(x))
    assert sum(p.numel() for p in unit.parameters()) == 15


def test_norm_act_normalises_what_a_concat_made():
    unit = NormAct(6, act=prelu)
    y = unit(torch.randn(8, 6, 9, 9))
    assert [type(m) for m in unit] == [nn.BatchNorm2d, nn.PReLU]
    assert y.shape == (8, 6, 9, 9)
