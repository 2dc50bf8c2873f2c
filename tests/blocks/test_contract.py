"""What holds for every block: shapes, weights by its formula, field, 2D against 3D."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass

import pytest
import torch
from torch import nn

from atrous.blocks import (
    BottleneckBlock,
    DepthwiseSeparableBlock,
    EESPBlock,
    ESPBlock,
    InceptionA,
    InceptionB,
    InceptionBlock,
    InceptionC,
    InceptionD,
    InceptionE,
    InceptionWidths,
    InvertedResidualBlock,
    ResidualBlock,
    ShuffleV1Block,
    ShuffleV2Block,
    StridedEESPBlock,
    StridedESPBlock,
    StridedShuffleV1Block,
    StridedShuffleV2Block,
    VGGBlock,
)
from atrous.networks.convert.inflate import inflate


@dataclass(frozen=True)
class Case:
    """A block at small widths, and what its docstring says of it."""

    build: Callable[..., nn.Module]
    in_channels: int
    out_channels: int
    weights_2d: int
    """By the formula of the docstring, written out with these widths; no biases."""
    field: int
    reduction: int = 1
    has_volumes: bool = True
    has_average_pool: bool = False


WIDTHS = InceptionWidths(4, 6, 8, 2, 3, 5)

CASES = {
    "VGGBlock": Case(
        lambda **k: VGGBlock(4, 8, num_convs=3, **k), 4, 8, 9 * 4 * 8 + 9 * 2 * 8 * 8, 7
    ),
    "InceptionBlock": Case(
        lambda **k: InceptionBlock(6, WIDTHS, **k),
        6,
        20,
        6 * (4 + 6 + 2 + 5) + 9 * 6 * 8 + 25 * 2 * 3,
        5,
    ),
    "InceptionA": Case(
        lambda **k: InceptionA(6, pool_channels=5, **k),
        6,
        229,
        176 * 6 + 5 * 6 + 215_040,
        5,
        has_average_pool=True,
    ),
    "InceptionB": Case(lambda **k: InceptionB(6, **k), 6, 486, 3520 * 6 + 138_240, 5, reduction=2),
    "InceptionC": Case(
        lambda **k: InceptionC(6, width=4, **k),
        6,
        768,
        384 * 6 + 2 * 4 * 6 + 28 * 16 + 2688 * 4,
        13,
        has_volumes=False,
    ),
    "InceptionD": Case(
        lambda **k: InceptionD(6, **k), 6, 518, 384 * 6 + 1_400_832, 9, 2, has_volumes=False
    ),
    "InceptionE": Case(
        lambda **k: InceptionE(6, **k), 6, 2048, 1344 * 6 + 3_317_760, 5, has_volumes=False
    ),
    "ResidualBlock": Case(lambda **k: ResidualBlock(6, 6, **k), 6, 6, 18 * 36, 5),
    "ResidualBlock, strided": Case(
        lambda **k: ResidualBlock(4, 6, stride=2, **k), 4, 6, 9 * 24 + 9 * 36 + 24, 7, 2
    ),
    "BottleneckBlock": Case(lambda **k: BottleneckBlock(16, 16, **k), 16, 16, 17 * 16, 3),
    "BottleneckBlock, strided": Case(
        lambda **k: BottleneckBlock(8, 16, stride=2, **k),
        8,
        16,
        8 * 4 + 9 * 16 + 4 * 16 + 8 * 16,
        3,
        2,
    ),
    "BottleneckBlock, v1": Case(
        lambda **k: BottleneckBlock(8, 16, stride=2, is_stride_on_1x1=True, **k),
        8,
        16,
        8 * 4 + 9 * 16 + 4 * 16 + 8 * 16,
        5,
        2,
    ),
    "ShuffleV1Block": Case(
        lambda **k: ShuffleV1Block(24, groups=3, **k), 24, 24, 2 * 6 * 24 // 3 + 9 * 6, 3
    ),
    "StridedShuffleV1Block": Case(
        lambda **k: StridedShuffleV1Block(12, 24, groups=3, first_groups=3, **k),
        12,
        24,
        6 * 12 // 3 + 9 * 6 + 6 * 12 // 3,
        3,
        2,
        has_average_pool=True,
    ),
    "ShuffleV2Block": Case(lambda **k: ShuffleV2Block(8, **k), 8, 8, 2 * 16 + 9 * 4, 3),
    "StridedShuffleV2Block": Case(
        lambda **k: StridedShuffleV2Block(6, 8, **k), 6, 8, 9 * 6 + 24 + 24 + 9 * 4 + 16, 3, 2
    ),
    "ESPBlock": Case(
        lambda **k: ESPBlock(20, 22, is_residual=False, **k),
        20,
        22,
        20 * 4 + 9 * 4 * (22 - 16) + 9 * 4 * 16,
        33,
    ),
    "StridedESPBlock": Case(
        lambda **k: StridedESPBlock(3, 10, **k), 3, 10, 9 * 3 * 2 + 9 * 2 * 2 + 9 * 4 * 4, 67, 2
    ),
    "EESPBlock": Case(
        lambda **k: EESPBlock(16, 16, **k), 16, 16, 16 * 4 // 4 + 9 * 4 * 4 + 16 * 16 // 4, 9
    ),
    "StridedEESPBlock": Case(
        lambda **k: StridedEESPBlock(8, 24, **k),
        8,
        24,
        8 * 4 // 4 + 9 * 4 * 4 + 16 * 16 // 4,
        9,
        2,
        has_average_pool=True,
    ),
    "DepthwiseSeparableBlock": Case(
        lambda **k: DepthwiseSeparableBlock(6, 8, 5, **k), 6, 8, 25 * 6 + 6 * 8, 5
    ),
    "InvertedResidualBlock": Case(
        lambda **k: InvertedResidualBlock(6, 8, 5, expansion=4, **k),
        *(6, 8, 6 * 24 + 25 * 24 + 24 * 8, 5),
    ),
    "InvertedResidualBlock, stride 2": Case(
        lambda **k: InvertedResidualBlock(6, 8, stride=2, expansion=1, **k),
        *(6, 8, 9 * 6 + 6 * 8, 3, 2),
    ),
}
DIMS = [
    pytest.param(name, dims, id=f"{name} {dims}D")
    for name, case in CASES.items()
    for dims in (2, 3)
    if dims == 2 or case.has_volumes
]


def randomise(module: nn.Module) -> None:
    for key, tensor in module.state_dict().items():
        if key.endswith("running_var"):
            tensor.uniform_(0.5, 1.5)
        elif tensor.is_floating_point() and tensor.dim() == 1:
            tensor.uniform_(-0.5, 1.0)


@pytest.mark.parametrize("name", CASES)
def test_the_number_of_weights_is_that_of_the_formula(name):
    module = CASES[name].build()
    weights = [p for p in module.parameters() if p.dim() == 4]
    assert sum(weight.numel() for weight in weights) == CASES[name].weights_2d


@pytest.mark.parametrize(("name", "dims"), DIMS)
def test_shapes_are_as_stated_and_gradients_reach_everything(name, dims):
    case = CASES[name]
    module = case.build(spatial_dims=dims)
    x = torch.randn(2, case.in_channels, *(11, 14, 9)[-dims:], requires_grad=True)
    y = module(x)
    assert y.shape[:2] == (2, case.out_channels)
    for length, old in zip(y.shape[2:], x.shape[2:], strict=True):
        # Rounded up where there is padding; modules B and D of Inception have none.
        assert length in {-(-old // case.reduction), (old - 3) // 2 + 1}
    y.square().sum().backward()
    assert x.grad is not None
    assert all(p.grad is not None for p in module.parameters())


@pytest.mark.parametrize("name", CASES)
def test_the_field_is_as_stated(name):
    case = CASES[name]
    module = deepcopy(case.build()).double().eval()
    for key, tensor in module.state_dict().items():
        if tensor.dim() == 4:
            tensor.fill_(1 / tensor[0].numel())
        elif key.endswith("norm.bias"):
            tensor.fill_(1.0)
    # A gradient that does not depend on which value is greatest, so that it shows the support.
    size = (2 * case.field + 5, 2 * case.field + 8)
    x = torch.rand(1, case.in_channels, *size, dtype=torch.float64, requires_grad=True)
    y = module(x)
    y[0, :, y.shape[2] // 2, y.shape[3] // 2].sum().backward()
    touched = x.grad.abs().sum(dim=(0, 1)) > 0
    for axis in (0, 1):
        (where,) = touched.any(dim=axis).nonzero(as_tuple=True)
        assert int(where.max() - where.min()) + 1 == case.field


@pytest.mark.parametrize(
    "name",
    # A kernel of 3x3x3 without padding, as module B's, does not fit into one slice.
    [
        name
        for name, case in CASES.items()
        if case.has_volumes and not case.has_average_pool and name != "InceptionB"
    ],
)
def test_a_volume_of_one_slice_is_answered_as_the_image(name):
    case = CASES[name]
    flat, deep = case.build().eval(), case.build(spatial_dims=3).eval()
    randomise(flat)
    deep.load_state_dict(inflate(flat.state_dict(), deep, filling="centre"))
    x = torch.randn(1, case.in_channels, 12, 15)
    torch.testing.assert_close(deep(x.unsqueeze(2)).squeeze(2), flat(x))


@pytest.mark.parametrize("name", CASES)
def test_channels_last_and_bfloat16_change_nothing_but_rounding(name):
    case = CASES[name]
    module = case.build().eval()
    randomise(module)
    x = torch.randn(2, case.in_channels, 13, 16)
    expected = module(x)
    last = deepcopy(module).to(memory_format=torch.channels_last)
    torch.testing.assert_close(
        last(x.to(memory_format=torch.channels_last)), expected, rtol=1e-4, atol=1e-4
    )
    half = deepcopy(module).bfloat16()(x.bfloat16())
    assert half.dtype == torch.bfloat16
    scale = expected.abs().max()
    assert ((half.float() - expected).abs().max() / scale) < 0.05
