"""PoolSpec agrees with torch for any settings, its refusals included."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from atrous.arithmetic import PoolSpec
from atrous.errors import ShapeError

POOL = {
    ("max", 1): nn.MaxPool1d,
    ("max", 2): nn.MaxPool2d,
    ("max", 3): nn.MaxPool3d,
    ("average", 1): nn.AvgPool1d,
    ("average", 2): nn.AvgPool2d,
    ("average", 3): nn.AvgPool3d,
}


@st.composite
def pool_arguments(draw):
    kind, dims = draw(st.sampled_from(sorted(POOL)))

    def per_axis(low, high):
        numbers = st.integers(low, high)
        full = st.tuples(*[numbers] * dims)
        return draw(numbers | full | st.lists(numbers, max_size=dims + 1).map(tuple))

    arguments = {
        "kernel_size": per_axis(1, 5),
        "stride": draw(st.none()) if draw(st.booleans()) else per_axis(1, 4),
        "padding": per_axis(0, 2),
        "ceil_mode": draw(st.booleans()),
    }
    if kind == "max":
        arguments["dilation"] = per_axis(1, 3)
    size = draw(st.tuples(*[st.integers(1, 9)] * dims))
    return kind, dims, arguments, size


@settings(deadline=None, max_examples=600)
@given(pool_arguments())
def test_agrees_with_torch_on_sizes_and_on_what_is_refused(case):
    kind, dims, arguments, size = case
    try:
        y = POOL[kind, dims](**arguments)(torch.zeros(1, 1, *size))
    except (RuntimeError, ValueError, TypeError, IndexError):
        with pytest.raises(ShapeError):
            PoolSpec(kind=kind, spatial_dims=dims, **arguments).output_size(size)
        return
    pool = PoolSpec(kind=kind, spatial_dims=dims, **arguments)
    assert pool.output_size(size) == y.shape[2:]
    assert (pool.num_params, pool.macs(size)) == (0, 0)


def test_a_last_window_that_would_start_in_the_padding_is_dropped():
    # ceil((1 + 2 - 2) / 2) + 1 is 2, but the second window would start behind the only input.
    pool = PoolSpec(kind="max", kernel_size=2, padding=1, ceil_mode=True)
    assert pool.output_size((1, 1)) == (1, 1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"kind": "min"}, "'max' or 'average'"),
        ({"padding": 2}, "at most half its kernel"),
        ({"padding": 2, "dilation": 2}, "at most half its kernel"),
        ({"kind": "average", "dilation": 2}, "knows no dilation"),
        ({"stride": 0}, "stride=0"),
        ({"ceil_mode": "yes"}, "True or False"),
    ],
)
def test_a_refusal_names_the_setting_and_the_rule(arguments, message):
    with pytest.raises(ShapeError, match=message):
        PoolSpec(**({"kind": "max", "kernel_size": 3} | arguments))
