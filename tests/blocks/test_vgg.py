"""VGG's stack: cheaper than the one kernel that sees as much; and depth-wise separable's share."""

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from atrous.blocks import ConvBiasAct, DepthwiseSeparableBlock, VGGBlock, batch_norm
from atrous.errors import ShapeError


def weights(module):
    return sum(p.numel() for p in module.parameters() if p.dim() > 1)


@pytest.mark.parametrize(("num_convs", "share"), [(2, Fraction(18, 25)), (3, Fraction(27, 49))])
def test_a_stack_costs_less_than_the_kernel_that_sees_as_much(num_convs, share):
    stack = VGGBlock(6, 6, num_convs=num_convs)
    whole = nn.Conv2d(6, 6, 2 * num_convs + 1)
    assert Fraction(weights(stack), weights(whole)) == share


def test_convolutions_keep_their_bias_with_and_without_normalisation():
    # torchvision's counts: batch normalisation adds two per channel and takes nothing away.
    plain, normed = VGGBlock(3, 8, num_convs=2), VGGBlock(3, 8, num_convs=2, norm=batch_norm)

    def count(module):
        return sum(p.numel() for p in module.parameters())

    assert count(plain) == 27 * 8 + 8 + 72 * 8 + 8
    assert count(normed) - count(plain) == 2 * 8 * 2


def test_an_empty_stack_is_refused():
    with pytest.raises(ShapeError, match="at least one convolution, but got 0"):
        VGGBlock(3, 8, num_convs=0)


@given(
    in_channels=st.integers(1, 30), out_channels=st.integers(1, 30), k=st.sampled_from([1, 3, 5])
)
@settings(deadline=None, max_examples=25)
def test_separable_weights_are_one_over_n_plus_one_over_k_squared(in_channels, out_channels, k):
    separable = DepthwiseSeparableBlock(in_channels, out_channels, k)
    standard = ConvBiasAct(in_channels, out_channels, k)
    share = Fraction(weights(separable), weights(standard))
    assert share == Fraction(1, out_channels) + Fraction(1, k * k)
