"""Channel shuffle, split and the two generations of shuffle blocks."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from atrous.blocks import (
    ShuffleV1Block,
    ShuffleV2Block,
    StridedShuffleV1Block,
    StridedShuffleV2Block,
    channel_shuffle,
)
from atrous.errors import ShapeError


def numbered(channels, *, spatial_dims=2):
    ones = (1,) * spatial_dims
    return torch.arange(channels, dtype=torch.float32).view(1, channels, *ones)


@given(groups=st.integers(1, 9), width=st.integers(1, 9), spatial_dims=st.sampled_from([2, 3]))
@settings(deadline=None)
def test_a_shuffle_is_a_permutation_and_the_opposite_shuffle_undoes_it(groups, width, spatial_dims):
    x = numbered(groups * width, spatial_dims=spatial_dims)
    shuffled = channel_shuffle(x, groups)
    assert sorted(shuffled.flatten().tolist()) == list(range(groups * width))
    assert torch.equal(channel_shuffle(shuffled, width), x)


@given(groups=st.integers(1, 9), width=st.integers(1, 9))
@settings(deadline=None)
def test_channel_i_of_group_j_comes_from_place_j_of_row_i(groups, width):
    # The reference's rule: output i * g + j is input j * (C / g) + i.
    shuffled = channel_shuffle(numbered(groups * width), groups).flatten().tolist()
    for i in range(width):
        for j in range(groups):
            assert shuffled[i * groups + j] == j * width + i


def test_gradients_go_the_way_back_through_a_shuffle():
    x = numbered(12).requires_grad_()
    weights = torch.arange(12.0).view(1, 12, 1, 1)
    (channel_shuffle(x, 3) * weights).sum().backward()
    assert torch.equal(x.grad, channel_shuffle(weights, 4))


@pytest.mark.parametrize("groups", [0, 4, -2])
def test_channels_that_do_not_divide_are_refused_with_both_numbers(groups):
    with pytest.raises(ShapeError, match=rf"6 channels .* {groups} groups"):
        channel_shuffle(numbered(6), groups)


def test_v2_passes_the_first_half_of_its_channels_on_untouched():
    block = ShuffleV2Block(8).eval()
    x = torch.randn(2, 8, 5, 6)
    # After the shuffle of two halves, the first half lies at the even places.
    assert torch.equal(block(x)[:, 0::2], x[:, :4])


def test_strided_v1_keeps_the_pooled_input_behind_its_new_channels():
    block = StridedShuffleV1Block(12, 36, groups=3, first_groups=1).eval()
    x = torch.rand(1, 12, 7, 7)
    pooled = torch.nn.functional.avg_pool2d(x, 3, stride=2, padding=1)
    assert torch.equal(block(x)[:, 24:], pooled)


def test_a_v1_block_with_zero_weights_answers_its_rectified_input():
    block = ShuffleV1Block(24, groups=3).eval()
    torch.nn.init.zeros_(block.transform.expand.conv.weight)
    x = torch.randn(1, 24, 4, 4)
    assert torch.equal(block(x), x.relu())


@pytest.mark.parametrize(
    "build",
    [
        lambda: ShuffleV1Block(100, groups=8),
        lambda: ShuffleV1Block(24, groups=0),
        lambda: ShuffleV1Block(3, groups=1),
        lambda: StridedShuffleV1Block(24, 24, groups=2, first_groups=1),
        lambda: StridedShuffleV1Block(25, 200, groups=2, first_groups=1),
        lambda: ShuffleV2Block(7),
        lambda: ShuffleV2Block(0),
        lambda: StridedShuffleV2Block(4, 9),
    ],
)
def test_channels_that_cannot_be_split_are_refused(build):
    with pytest.raises(ShapeError, match="channels"):
        build()
