"""TransposedConvSpec agrees with torch for any settings, its refusals included."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from atrous.arithmetic import TransposedConvSpec
from atrous.errors import ShapeError

TRANSPOSED = {1: nn.ConvTranspose1d, 2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}


@st.composite
def transposed_arguments(draw):
    dims = draw(st.sampled_from([1, 2, 2, 3]))

    def per_axis(low, high):
        numbers = st.integers(low, high)
        full = st.tuples(*[numbers] * dims)
        return draw(numbers | full | st.lists(numbers, max_size=dims + 1).map(tuple))

    arguments = {
        "in_channels": draw(st.sampled_from([1, 2, 4, 6])),
        "out_channels": draw(st.sampled_from([1, 2, 4, 6])),
        "kernel_size": per_axis(1, 4),
        "stride": per_axis(draw(st.sampled_from([0, 1, 1])), 3),
        "padding": per_axis(draw(st.sampled_from([-1, 0, 0])), 3),
        "output_padding": per_axis(draw(st.sampled_from([-1, 0, 0])), 2),
        "groups": draw(st.sampled_from([1, 1, 2, 3])),
        "bias": draw(st.booleans()),
        "dilation": per_axis(1, 3),
    }
    size = draw(st.tuples(*[st.integers(1, 5)] * dims))
    return dims, arguments, size


@settings(deadline=None, max_examples=400)
@given(transposed_arguments())
def test_agrees_with_torch_on_sizes_and_counts_and_on_what_is_refused(case):
    dims, arguments, size = case
    x = torch.zeros(1, arguments["in_channels"], *size)
    try:
        layer = TRANSPOSED[dims](**arguments)
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            y = layer(x)
        # For 1D torch gives an empty tensor where for 2D it refuses; here both are refused.
        is_refused = y.numel() == 0
    except (RuntimeError, ValueError, TypeError, IndexError):
        is_refused = True
    if is_refused:
        with pytest.raises(ShapeError):
            TransposedConvSpec(**arguments, spatial_dims=dims).output_size(size)
        return
    conv = TransposedConvSpec(**arguments, spatial_dims=dims)
    assert conv.output_size(size) == y.shape[2:]
    assert conv.num_weights == layer.weight.numel()
    assert conv.num_params == sum(p.numel() for p in layer.parameters())
    assert conv.macs(size) == counter.get_total_flops() // 2


def test_operations_are_counted_at_the_input_grid():
    up = TransposedConvSpec(in_channels=16, out_channels=8, kernel_size=2, stride=2)
    assert up.output_size((10, 12)) == (20, 24)
    assert up.macs((10, 12)) == 10 * 12 * 16 * 8 * 4


def test_output_padding_as_large_as_stride_and_dilation_is_refused():
    with pytest.raises(ShapeError, match=r"output_padding=2, but .* smaller than the stride \(2\)"):
        TransposedConvSpec(in_channels=1, out_channels=1, kernel_size=3, stride=2, output_padding=2)


@pytest.mark.parametrize("setting", ["kernel_size", "stride", "dilation"])
def test_a_zero_is_refused(setting):
    arguments = {"in_channels": 1, "out_channels": 1, "kernel_size": 3, setting: 0}
    with pytest.raises(ShapeError, match=f"{setting}=0"):
        TransposedConvSpec(**arguments)


def test_padding_that_leaves_nothing_is_refused():
    conv = TransposedConvSpec(in_channels=1, out_channels=1, kernel_size=2, padding=1)
    with pytest.raises(ShapeError, match=r"would give an output of 0x0"):
        conv.macs((1, 1))
