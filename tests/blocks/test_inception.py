"""Inception modules: branches against torchvision's, the true 5x5, images only."""

import pytest
import torch
from torch import nn
from torchvision.models import inception as theirs_v3
from torchvision.models.googlenet import BasicConv2d, Inception

from atrous.blocks import (
    InceptionA,
    InceptionB,
    InceptionBlock,
    InceptionC,
    InceptionD,
    InceptionE,
    InceptionWidths,
)
from atrous.errors import ShapeError
from atrous.networks.classifiers.googlenet import MODULES

WIDTHS = InceptionWidths(8, 6, 10, 3, 4, 5)


def copy_convolutions(ours: nn.Module, theirs: nn.Module, order: list[str]) -> None:
    """Copy weights by the order of the branches, from torchvision's names to our layers."""
    layers = [m for m in ours.modules() if isinstance(m, nn.Conv2d)]
    for layer, name in zip(layers, order, strict=True):
        layer.weight.data.copy_(theirs.get_submodule(name).conv.weight)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (lambda: InceptionA(6, pool_channels=5), lambda: theirs_v3.InceptionA(6, pool_features=5)),
        (lambda: InceptionB(6), lambda: theirs_v3.InceptionB(6)),
        (lambda: InceptionC(6, width=4), lambda: theirs_v3.InceptionC(6, channels_7x7=4)),
        (lambda: InceptionD(6), lambda: theirs_v3.InceptionD(6)),
        (lambda: InceptionE(6), lambda: theirs_v3.InceptionE(6)),
    ],
    ids=list("ABCDE"),
)
def test_modules_a_to_e_answer_as_torchvisions(ours, theirs):
    ours, theirs = ours(), theirs()
    # Both list their branches from left to right, but for the pool, which torchvision's list ends.
    names = [name for name, m in theirs.named_modules() if isinstance(m, theirs_v3.BasicConv2d)]
    copy_convolutions(ours, theirs, names)
    x = torch.randn(2, 6, 17, 19)
    for module in (*ours.modules(), *theirs.modules()):
        if isinstance(module, nn.BatchNorm2d):
            module.eps = 1e-3
    torch.testing.assert_close(ours.eval()(x), theirs.eval()(x))
    assert ours.out_channels == theirs(x).shape[1]


def test_the_named_option_is_torchvisions_3x3():
    ours = InceptionBlock(6, WIDTHS, widest_kernel=3, norm=_norm).eval()
    theirs = Inception(6, 8, 6, 10, 3, 4, 5).eval()
    names = [name for name, m in theirs.named_modules() if isinstance(m, BasicConv2d)]
    copy_convolutions(ours, theirs, names)
    x = torch.randn(2, 6, 9, 11)
    torch.testing.assert_close(ours(x), theirs(x))


def _norm(channels, *, spatial_dims):
    assert spatial_dims == 2
    return nn.BatchNorm2d(channels, eps=1e-3)


def test_the_published_block_has_a_true_5x5_with_biases_and_no_normalisation():
    block = InceptionBlock(6, WIDTHS)
    kernels = [m.kernel_size for m in block.modules() if isinstance(m, nn.Conv2d)]
    assert kernels.count((5, 5)) == 1
    assert all(m.bias is not None for m in block.modules() if isinstance(m, nn.Conv2d))
    assert not any(isinstance(m, nn.BatchNorm2d) for m in block.modules())


def test_the_table_of_modules_gives_the_published_channels():
    assert [widths.out_channels for widths in MODULES.values()] == [
        256, 480, 512, 512, 512, 528, 832, 832, 1024,
    ]  # fmt: skip


@pytest.mark.parametrize(
    "build",
    [
        lambda **k: InceptionC(6, width=4, **k),
        lambda **k: InceptionD(6, **k),
        lambda **k: InceptionE(6, **k),
    ],
)
def test_modules_made_of_lines_refuse_volumes(build):
    with pytest.raises(ShapeError, match="spatial_dims=3"):
        build(spatial_dims=3)
