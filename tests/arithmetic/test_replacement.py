"""Cheaper convolutions cost what the deck says, and keep the shape they replace."""

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atrous.arithmetic import (
    ConvSpec,
    dense_equivalent,
    depthwise_separable,
    dilated,
    receptive_field,
)
from atrous.errors import ShapeError


def test_separable_12_to_24_has_396_weights_instead_of_2592():
    swap = depthwise_separable(ConvSpec(in_channels=12, out_channels=24, kernel_size=3))
    assert [layer.num_weights for layer in swap.layers] == [108, 288]
    assert (swap.num_weights, swap.standard.num_weights) == (396, 2592)
    assert swap.num_params == 108 + 12 + 288 + 24


@settings(deadline=None, max_examples=100)
@given(
    in_channels=st.integers(1, 32),
    out_channels=st.integers(1, 32),
    kernel_size=st.integers(1, 5),
    stride=st.integers(1, 3),
    dilation=st.integers(1, 3),
    padding=st.integers(0, 3),
    spatial_dims=st.sampled_from([1, 2, 3]),
)
def test_the_share_is_one_over_outputs_plus_one_over_taps(spatial_dims, **arguments):
    standard = ConvSpec(spatial_dims=spatial_dims, **arguments)
    swap = depthwise_separable(standard)
    taps = arguments["kernel_size"] ** spatial_dims
    share = Fraction(1, arguments["out_channels"]) + Fraction(1, taps)
    size = (17, 16, 15)[:spatial_dims]
    assert swap.weight_share == share
    assert Fraction(swap.macs(size), standard.macs(size)) == share
    depthwise, pointwise = swap.layers
    assert pointwise.output_size(depthwise.output_size(size)) == standard.output_size(size)
    assert receptive_field(swap.layers) == receptive_field([standard])


def test_the_decks_dilated_kernel_fills_the_field_of_a_5x5_with_9_of_25_weights():
    conv = ConvSpec(in_channels=12, out_channels=12, kernel_size=3, dilation=2)
    swap = dense_equivalent(conv)
    assert swap.standard.kernel_size == (5, 5)
    assert (swap.num_params, swap.standard.num_params) == (1308, 12 * 12 * 25 + 12)
    assert swap.weight_share == Fraction(9, 25)
    assert swap.standard.output_size((20, 20)) == conv.output_size((20, 20))


@pytest.mark.parametrize(("kernel_size", "dilation"), [(5, 2), (7, 3), ((5, 9), (2, 4))])
def test_a_dilated_replacement_has_the_same_field(kernel_size, dilation):
    standard = ConvSpec(in_channels=4, out_channels=4, kernel_size=kernel_size, padding="same")
    swap = dilated(standard)
    assert swap.layers[0].dilation == (dilation if isinstance(dilation, tuple) else (dilation,) * 2)
    assert receptive_field(swap.layers) == receptive_field([standard])
    assert swap.macs((20, 20)) == 20 * 20 * 4 * 4 * 9


@pytest.mark.parametrize("kernel_size", [1, 4, (5, 4)])
def test_fields_that_no_dilation_spans_are_refused(kernel_size):
    with pytest.raises(ShapeError, match="choose another kernel_size"):
        dilated(ConvSpec(in_channels=1, out_channels=1, kernel_size=kernel_size))


def test_a_grouped_convolution_is_not_replaced():
    with pytest.raises(ShapeError, match="start from groups=1"):
        depthwise_separable(ConvSpec(in_channels=4, out_channels=4, kernel_size=3, groups=2))
