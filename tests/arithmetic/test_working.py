"""The working shows formulas whose numbers really give the results."""

import re
from math import ceil, floor, prod

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atrous.arithmetic import ConvSpec, PoolSpec, TransposedConvSpec, parse_expression, working


def steps_of(layer, size=None):
    return {step.name: step for step in working(layer, size)}


def value(numbers):
    """What the numbers of a step come to, axes multiplied."""
    text = re.sub(r"\(the last.*?\)", "", numbers).replace("x", "*")
    text = re.sub(r"(?<=\d),(?=\d{3}\b)", "", text)
    return [
        eval(part, {"floor": floor, "ceil": ceil, "__builtins__": {}})  # noqa: S307 - our own text
        for part in text.split(", ")
    ]


LAYERS = st.builds(
    ConvSpec,
    in_channels=st.sampled_from([2, 4]),
    out_channels=st.sampled_from([2, 24]),
    kernel_size=st.integers(1, 4) | st.tuples(st.integers(1, 4), st.integers(1, 4)),
    stride=st.integers(1, 3),
    padding=st.integers(0, 3),
    dilation=st.integers(1, 3),
    groups=st.sampled_from([1, 2]),
    bias=st.booleans(),
) | st.builds(
    TransposedConvSpec,
    in_channels=st.sampled_from([2, 4]),
    out_channels=st.sampled_from([2, 24]),
    kernel_size=st.integers(1, 4) | st.tuples(st.integers(1, 4), st.integers(1, 4)),
    stride=st.integers(1, 3),
    padding=st.integers(0, 2),
    dilation=st.integers(1, 3),
)


@settings(deadline=None, max_examples=100)
@given(LAYERS)
def test_the_numbers_put_in_give_the_result(layer):
    size = (20, 31)
    steps = steps_of(layer, size)
    output = layer.output_size(size)
    per_axis = value(steps["output size"].numbers)
    assert per_axis == list(output) or per_axis == [output[0]] == [output[1]]
    assert value(steps["weights"].numbers) == [layer.num_weights]
    assert value(steps["params"].numbers) == [layer.num_params]
    assert value(steps["MACs"].numbers) == [layer.macs(size)]
    assert value(steps["activation memory"].numbers) == [4 * layer.out_channels * prod(output)]
    assert steps["MACs"].result == f"{layer.macs(size):,}"


@settings(deadline=None, max_examples=100)
@given(
    kernel_size=st.integers(1, 4),
    stride=st.integers(1, 4),
    length=st.integers(4, 20),
    ceil_mode=st.booleans(),
    data=st.data(),
)
def test_a_pools_numbers_give_its_output_size(kernel_size, stride, length, ceil_mode, data):
    pool = PoolSpec(
        kind="max",
        kernel_size=kernel_size,
        stride=stride,
        padding=data.draw(st.integers(0, kernel_size // 2)),
        ceil_mode=ceil_mode,
        spatial_dims=1,
    )
    numbers = steps_of(pool, (length,))["output size"].numbers
    assert value(numbers) == list(pool.output_size((length,)))


def test_without_a_size_nothing_that_depends_on_it_is_shown():
    (layer,) = parse_expression("Conv2d(12, 24, 3)")
    assert set(steps_of(layer, (64, 64))) - set(steps_of(layer)) == {
        "output size",
        "MACs",
        "activation memory",
    }


@pytest.mark.parametrize("text", ["MaxPool2d(2)", "AvgPool3d(2)"])
def test_pooling_learns_and_multiplies_nothing(text):
    (layer,) = parse_expression(text)
    steps = steps_of(layer, (8,) * len(layer.axes))
    assert (steps["params"].result, steps["MACs"].result) == ("0", "0")
