"""Residual blocks against torchvision's, where the stride is, and what dilation replaces."""

import pytest
import torch
from torch import nn
from torchvision.models import resnet as theirs

from atrous.blocks import BottleneckBlock, ResidualBlock


def copy_in_order(ours: nn.Module, other: nn.Module) -> None:
    layers = [m for m in other.modules() if isinstance(m, nn.Conv2d | nn.BatchNorm2d)]
    mine = [m for m in ours.modules() if isinstance(m, nn.Conv2d | nn.BatchNorm2d)]
    for kind in (nn.Conv2d, nn.BatchNorm2d):
        for a, b in zip(
            (m for m in mine if isinstance(m, kind)),
            (m for m in layers if isinstance(m, kind)),
            strict=True,
        ):
            a.load_state_dict(b.state_dict())


def downsample(in_channels, out_channels, stride):
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 1, stride=stride, bias=False),
        nn.BatchNorm2d(out_channels),
    )


@pytest.mark.parametrize("stride", [1, 2])
def test_the_basic_block_answers_as_torchvisions(stride):
    ours = ResidualBlock(8, 12, stride=stride)
    other = theirs.BasicBlock(8, 12, stride=stride, downsample=downsample(8, 12, stride))
    copy_in_order(ours, other)
    x = torch.randn(2, 8, 9, 10)
    assert torch.equal(ours(x), other(x))


@pytest.mark.parametrize(("stride", "dilation"), [(1, 1), (2, 1), (1, 2)])
def test_the_bottleneck_answers_as_torchvisions(stride, dilation):
    ours = BottleneckBlock(8, 16, stride=stride, input_dilation=dilation)
    other = theirs.Bottleneck(
        8, 4, stride=stride, dilation=dilation, downsample=downsample(8, 16, stride)
    )
    copy_in_order(ours, other)
    x = torch.randn(2, 8, 9, 10)
    assert torch.equal(ours(x), other(x))


def test_v1_strides_on_the_1x1_and_drops_three_positions_of_four_before_looking():
    x = torch.randn(1, 8, 8, 8)
    changed = x.clone()
    changed[:, :, 1::2] += 1.0  # odd rows: no 1x1 of stride 2 ever lands there
    v1 = BottleneckBlock(8, 16, stride=2, is_stride_on_1x1=True).eval()
    v15 = BottleneckBlock(8, 16, stride=2).eval()
    assert torch.equal(v1(x), v1(changed))
    assert not torch.equal(v15(x), v15(changed))


@pytest.mark.parametrize(
    "build",
    [
        ResidualBlock,
        BottleneckBlock,
        lambda *a, **k: BottleneckBlock(*a, is_stride_on_1x1=True, **k),
    ],
    ids=["basic", "v1.5", "v1"],
)
@pytest.mark.parametrize("spatial_dims", [2, 3])
def test_dilation_in_place_of_a_stride_gives_the_same_values_at_every_second_position(
    build, spatial_dims
):
    strided = build(8, 16, stride=2, spatial_dims=spatial_dims).eval()
    dilated = build(8, 16, stride=1, dilation=2, spatial_dims=spatial_dims).eval()
    dilated.load_state_dict(strided.state_dict())
    x = torch.randn(1, 8, *(9, 12, 7)[:spatial_dims])
    every_second = dilated(x)[(..., *[slice(None, None, 2)] * spatial_dims)]
    torch.testing.assert_close(every_second, strided(x))


def test_the_shortcut_is_free_where_shapes_agree():
    assert not list(ResidualBlock(8, 8).shortcut.parameters())
    assert list(ResidualBlock(8, 9).shortcut.parameters())
