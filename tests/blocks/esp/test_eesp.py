"""EESP: dilations under the limit, the fusion written out, and the image that reinforces."""

import pytest
import torch

from atrous.blocks import EESPBlock, StridedEESPBlock, dilations_within
from atrous.errors import ShapeError


@pytest.mark.parametrize(
    ("widest_field", "dilations"),
    # The authors' table.
    [
        (13, (1, 2, 3, 4)),
        (11, (1, 2, 3, 4)),
        (9, (1, 2, 3, 4)),
        (7, (1, 1, 2, 3)),
        (5, (1, 1, 1, 2)),
        (3, (1, 1, 1, 1)),
    ],
)
def test_dilations_that_reach_too_far_become_one(widest_field, dilations):
    assert dilations_within(widest_field) == dilations


@pytest.mark.parametrize("spatial_dims", [2, 3])
def test_the_block_is_the_sum_written_out(spatial_dims):
    block = EESPBlock(16, 16, spatial_dims=spatial_dims).eval()
    x = torch.randn(2, 16, *(7, 9, 8)[:spatial_dims])
    t = block.transform
    reduced = t.reduce(x)
    o = [branch(reduced) for branch in t.branches]
    # Unlike in ESP, the first branch takes part in the sums.
    fused = torch.cat([o[0], o[0] + o[1], o[0] + o[1] + o[2], o[0] + o[1] + o[2] + o[3]], dim=1)
    expected = block.act(t.merge(t.join(fused)) + x)
    torch.testing.assert_close(block(x), expected)


def test_the_strided_block_pools_concatenates_and_adds_the_image():
    block = StridedEESPBlock(8, 24, image_channels=3).eval()
    x, image = torch.randn(1, 8, 9, 10), torch.randn(1, 3, 5, 5)
    pooled = torch.nn.functional.avg_pool2d(x, 3, stride=2, padding=1)
    merged = torch.cat([pooled, block.transform(x)], dim=1) + block.reinforce(image)
    assert torch.equal(block(x, image), block.act(merged))


def test_the_image_is_given_exactly_if_the_block_was_built_for_it():
    x, image = torch.randn(1, 8, 8, 8), torch.randn(1, 3, 4, 4)
    with pytest.raises(ShapeError, match="built without and got one"):
        StridedEESPBlock(8, 24)(x, image)
    with pytest.raises(ShapeError, match="built with and got none"):
        StridedEESPBlock(8, 24, image_channels=3)(x)


@pytest.mark.parametrize(("in_channels", "out_channels"), [(16, 24), (18, 16), (16, 0)])
def test_channels_that_do_not_split_and_group_are_refused(in_channels, out_channels):
    with pytest.raises(ShapeError, match="divide by"):
        EESPBlock(in_channels, out_channels, is_residual=False)


def test_a_residual_of_unequal_channels_is_refused():
    with pytest.raises(ShapeError, match="is_residual=False"):
        EESPBlock(16, 32)


def test_no_dilations_are_refused():
    with pytest.raises(ShapeError, match="dilations \\(\\)"):
        EESPBlock(16, 16, dilations=())


def test_a_strided_block_that_adds_no_channels_is_refused():
    with pytest.raises(ShapeError, match="more channels out than in"):
        StridedEESPBlock(16, 16)
