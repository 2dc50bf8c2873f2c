"""ESP blocks: the paper's parameters, what they see, 2D in 3D, and the fusion written out."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from atrous.blocks import (
    DilatedPyramid,
    ESPBlock,
    StridedESPBlock,
    crop_to_size,
    hierarchical_feature_fusion,
    pad_to_multiple,
)
from atrous.errors import ShapeError


def num_conv_weights(module):
    return sum(p.numel() for p in module.parameters() if p.ndim > 2)


@pytest.mark.parametrize(
    ("channels", "num_branches", "weights"),
    [(100, 4, 25_000), (64, 5, 7_680), (128, 5, 32_000)],
)
def test_weights_are_those_of_the_papers_formula(channels, num_branches, weights):
    # FACTS B7: M n + 9 n (N - (K-1) n) + 9 (K-1) n^2, measured on the authors' code.
    block = ESPBlock(channels, channels, dilations=[2**i for i in range(num_branches)])
    assert num_conv_weights(block) == weights


@given(
    in_channels=st.integers(1, 40),
    out_channels=st.integers(5, 70),
    num_branches=st.integers(1, 5),
)
@settings(deadline=None, max_examples=30)
def test_weights_follow_the_formula_for_any_channels(in_channels, out_channels, num_branches):
    n = out_channels // num_branches
    rest = num_branches - 1
    expected = in_channels * n + 9 * n * (out_channels - rest * n) + 9 * rest * n**2
    block = ESPBlock(
        in_channels,
        out_channels,
        dilations=[2**i for i in range(num_branches)],
        is_residual=False,
    )
    assert num_conv_weights(block) == expected


@pytest.mark.parametrize("spatial_dims", [2, 3])
def test_the_strided_block_halves_odd_sizes_upwards(spatial_dims):
    block = StridedESPBlock(3, 10, spatial_dims=spatial_dims)
    size = (9, 10, 11)[:spatial_dims]
    assert block(torch.rand(2, 3, *size)).shape == (2, 10, *(-(-n // 2) for n in size))


@pytest.mark.parametrize(("dilations", "field"), [((1, 2, 4, 8), 17), ((1, 2, 4, 8, 16), 33)])
def test_one_output_sees_as_far_as_the_widest_branch(dilations, field):
    block = ESPBlock(10, 10, dilations=dilations).double().eval()
    for parameter in block.parameters():
        parameter.data.fill_(0.5)  # positive weights: nothing cancels, PReLU passes all
    centre = field
    x = torch.ones(1, 10, 2 * centre + 1, 2 * centre + 1, dtype=torch.float64, requires_grad=True)
    block(x)[..., centre, centre].sum().backward()
    rows, columns = x.grad.abs().sum(dim=(0, 1)).nonzero().T
    assert rows.max() - rows.min() + 1 == columns.max() - columns.min() + 1 == field


def test_fusion_is_the_cumulative_sum():
    maps = [torch.randn(1, 2, 3, 3) for _ in range(4)]
    fused = hierarchical_feature_fusion(maps)
    expected = torch.stack(maps).cumsum(0)
    assert torch.allclose(torch.stack(fused), expected, atol=1e-6)
    assert fused[0] is maps[0]


def test_the_pyramid_fuses_all_branches_but_the_first():
    pyramid = DilatedPyramid(4, 20)
    x = torch.randn(1, 4, 21, 22)
    d1, d2, d4, d8, d16 = (branch(x) for branch in pyramid.branches)
    expected = torch.cat([d1, d2, d2 + d4, d2 + d4 + d8, d2 + d4 + d8 + d16], dim=1)
    assert torch.equal(pyramid(x), expected)


@pytest.mark.parametrize("residual", [True, False])
def test_a_3d_block_on_one_slice_equals_the_2d_block(residual):
    flat = ESPBlock(10, 10, is_residual=residual).eval()
    deep = ESPBlock(10, 10, is_residual=residual, spatial_dims=3).eval()
    state = {}
    for key, tensor in flat.state_dict().items():
        if tensor.ndim == 4:  # a 2D kernel is the middle slice of the 3D one; the rest meets zeros
            volume = torch.randn(*tensor.shape[:2], tensor.shape[2], *tensor.shape[2:])
            volume[:, :, tensor.shape[2] // 2] = tensor
            tensor = volume
        state[key] = tensor
    deep.load_state_dict(state)
    x = torch.randn(2, 10, 19, 20)
    assert torch.allclose(deep(x[:, :, None])[:, :, 0], flat(x), atol=1e-5)


def test_a_residual_block_that_cannot_add_is_refused():
    with pytest.raises(ShapeError, match="in_channels=8 and out_channels=10; make them equal"):
        ESPBlock(8, 10)


def test_fewer_channels_than_branches_are_refused():
    with pytest.raises(ShapeError, match="splits its 4 channels over 5 branches"):
        StridedESPBlock(8, 4)


@given(size=st.lists(st.integers(1, 40), min_size=2, max_size=3), divisor=st.integers(1, 16))
@settings(deadline=None, max_examples=40)
def test_padding_is_undone_by_cropping(size, divisor):
    x = torch.rand(1, 2, *size)
    padded = pad_to_multiple(x, divisor)
    assert all(length % divisor == 0 for length in padded.shape[2:])
    assert all(0 <= p - n < divisor for p, n in zip(padded.shape[2:], size, strict=True))
    assert padded.sum().isclose(x.sum())
    assert torch.equal(crop_to_size(padded, tuple(size)), x)


def test_an_empty_input_is_refused():
    with pytest.raises(ShapeError, match="is empty"):
        pad_to_multiple(torch.zeros(1, 3, 0, 5), 8)
