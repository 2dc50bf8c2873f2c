"""Coverage of dilated stacks equals the measured table; the HDC rule is the paper's recursion."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atrous.arithmetic import ConvSpec, coverage, dilated_stack, hybrid_dilation_rule
from atrous.errors import ShapeError


@pytest.mark.parametrize(
    ("dilations", "size", "num_read", "percent_2d"),
    [
        ((2, 2, 2), 13, 7, 29),
        ((2, 4, 8), 29, 15, 27),
        ((1, 2, 9), 25, 21, 71),
        ((1, 2, 3), 13, 13, 100),
        ((1, 2, 4), 15, 15, 100),
        ((1, 2, 5), 17, 17, 100),
        ((1, 2, 4, 8), 31, 31, 100),
        ((1, 2, 4, 8, 16), 63, 63, 100),
        ((1, 2, 5, 9), 35, 35, 100),
        ((3, 4, 1), 17, 17, 100),
    ],
)
def test_positions_read_are_those_measured_by_gradients(dilations, size, num_read, percent_2d):
    seen = coverage(dilated_stack(dilations))
    assert seen.size == (size, size)
    assert seen.num_read == (num_read, num_read)
    assert round(100 * seen.share) == percent_2d


@pytest.mark.parametrize("spatial_dims", [1, 2, 3])
def test_the_share_is_the_product_over_the_axes(spatial_dims):
    seen = coverage(dilated_stack((2, 2, 2), spatial_dims=spatial_dims))
    assert float(seen.share) == pytest.approx((7 / 13) ** spatial_dims)


def test_counts_of_plain_3x3_layers_are_trinomial_coefficients():
    (counts, _) = coverage(dilated_stack((1, 1, 1))).counts
    assert counts == {0: 1, 1: 3, 2: 6, 3: 7, 4: 6, 5: 3, 6: 1}


@settings(deadline=None, max_examples=100)
@given(st.lists(st.integers(1, 5), min_size=1, max_size=4), st.integers(1, 4))
def test_every_path_ends_somewhere_and_the_order_of_layers_does_not_matter(dilations, kernel_size):
    seen = coverage(dilated_stack(dilations, kernel_size=kernel_size, spatial_dims=1))
    assert sum(seen.counts[0].values()) == kernel_size ** len(dilations)
    assert coverage(
        dilated_stack(dilations[::-1], kernel_size=kernel_size, spatial_dims=1)
    ) == seen  # fmt: skip


@settings(deadline=None, max_examples=100)
@given(st.integers(2, 5), st.lists(st.integers(1, 4), min_size=1, max_size=4))
def test_a_common_factor_always_leaves_holes_and_the_rule_refuses_it(factor, dilations):
    stack = [factor * dilation for dilation in dilations]
    assert coverage(dilated_stack(stack)).share < 1
    assert not hybrid_dilation_rule(stack).passes


def test_the_rule_passes_125_and_fails_129():
    # By hand for 1, 2, 9: M_3 = 9, M_2 = max(9 - 4, 9 - 14, 2) = 5 > 3.
    assert hybrid_dilation_rule([1, 2, 5]).max_distances[1:] == (2, 5)
    assert hybrid_dilation_rule([1, 2, 5]).passes
    assert hybrid_dilation_rule([1, 2, 9]).max_distances[1:] == (5, 9)
    assert not hybrid_dilation_rule([1, 2, 9]).passes
    assert hybrid_dilation_rule([1, 2, 9], kernel_size=5).passes


def test_the_rule_refuses_equal_dilations_for_their_common_factor():
    verdict = hybrid_dilation_rule([2, 2, 2])
    assert (verdict.common_factor, verdict.passes) == (2, False)


def test_the_rule_is_neither_needed_nor_enough_for_full_coverage():
    # 2, 3: no path adds up to 4 on either side; 3, 4, 1 is full in the measured table.
    assert hybrid_dilation_rule([2, 3]).passes
    assert set(range(11)) - set(coverage(dilated_stack([2, 3])).counts[0]) == {1, 9}
    assert not hybrid_dilation_rule([3, 4, 1]).passes


@pytest.mark.parametrize("dilations", [[], [0], [1, -2], [1.5]])
def test_dilations_that_are_none_are_refused(dilations):
    with pytest.raises(ShapeError, match="dilation"):
        hybrid_dilation_rule(dilations)


def test_a_kernel_too_large_to_count_is_refused():
    huge = ConvSpec(in_channels=1, out_channels=1, kernel_size=10**9)
    with pytest.raises(ShapeError, match="use smaller kernels or fewer layers"):
        coverage([huge])
