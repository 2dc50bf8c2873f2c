"""ConvSpec agrees with the deck and, for any settings, with torch itself."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from atrous.arithmetic import ConvSpec, activation_bytes
from atrous.errors import ShapeError

CONV = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}


def num_macs(layer, x):
    """What torch counts, in multiply-accumulates; it counts a multiply and an add as two."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        layer(x)
    return counter.get_total_flops() // 2


@pytest.mark.parametrize(
    ("arguments", "num_weights", "num_params"),
    [
        pytest.param({"out_channels": 24}, 2592, 2616, id="standard"),
        pytest.param({"out_channels": 12}, 1296, 1308, id="as many out as in"),
        pytest.param({"out_channels": 12, "groups": 12}, 108, 120, id="depth-wise"),
        pytest.param({"out_channels": 12, "dilation": 2}, 1296, 1308, id="dilated"),
    ],
)
def test_counts_printed_in_the_deck(arguments, num_weights, num_params):
    conv = ConvSpec(in_channels=12, kernel_size=3, **arguments)
    assert (conv.num_weights, conv.num_params) == (num_weights, num_params)


def test_the_decks_kernel_of_5_sees_5x5_and_has_7224_parameters():
    conv = ConvSpec(in_channels=12, out_channels=24, kernel_size=5)
    assert conv.effective_kernel_size == (5, 5)
    assert conv.num_params == 12 * 24 * 25 + 24


def test_the_decks_dilated_kernel_spans_5x5_with_nine_taps():
    conv = ConvSpec(in_channels=12, out_channels=12, kernel_size=3, dilation=2)
    assert conv.effective_kernel_size == (5, 5)
    assert conv.axes[0].reads(0) == [0, 2, 4]


def per_axis(spatial_dims, low, high):
    numbers = st.integers(low, high)
    full = st.tuples(*[numbers] * spatial_dims)
    return numbers | full | st.lists(numbers, max_size=spatial_dims + 1).map(tuple)


@st.composite
def conv_arguments(draw):
    """Settings good and bad, with the size of an input."""
    dims = draw(st.sampled_from([1, 2, 2, 3]))
    padding_mode = draw(st.sampled_from(["zeros", "zeros", "reflect", "replicate", "circular"]))
    # Torch crops by negative padding where a layer of its own does the padding; here all refuse.
    least_padding = -1 if padding_mode == "zeros" else 0
    arguments = {
        "in_channels": draw(st.sampled_from([1, 2, 4, 6])),
        "out_channels": draw(st.sampled_from([1, 2, 4, 6])),
        "kernel_size": draw(per_axis(dims, 0 if draw(st.booleans()) else 1, 5)),
        "stride": draw(st.just(1) | per_axis(dims, 0, 3)),
        "padding": draw(st.sampled_from(["same", "valid"]) | per_axis(dims, least_padding, 3)),
        "dilation": draw(per_axis(dims, 1, 3) | per_axis(dims, 0, 1)),
        "groups": draw(st.sampled_from([1, 1, 2, 3, 0, -1])),
        "bias": draw(st.booleans()),
        "padding_mode": padding_mode,
    }
    size = draw(st.tuples(*[st.integers(1, 11)] * dims))
    return dims, arguments, size


def pads_one_axis_alone(dims, arguments):
    """Whether torch leaves out axes that `padding="same"` should pad (its fault, refused by us)."""
    kernel, dilation = arguments["kernel_size"], arguments["dilation"]
    kernels = (kernel,) * dims if isinstance(kernel, int) else kernel
    return (
        arguments["padding"] == "same"
        and arguments["padding_mode"] != "zeros"
        and isinstance(dilation, tuple)
        and len(dilation) == 1
        and any(k > 1 for k in kernels[1:])
    )


@pytest.mark.filterwarnings("ignore:Using padding='same'", "ignore:Initializing zero-element")
@settings(deadline=None, max_examples=400)
@given(conv_arguments())
def test_agrees_with_torch_on_sizes_and_counts_and_on_what_is_refused(case):
    dims, arguments, size = case
    x = torch.zeros(1, arguments["in_channels"], *size)
    try:
        layer = CONV[dims](**arguments)
        y = layer(x)
    except (RuntimeError, ValueError, NotImplementedError, TypeError, IndexError):
        with pytest.raises(ShapeError):
            ConvSpec(**arguments, spatial_dims=dims).output_size(size)
        return
    if any(isinstance(value, tuple) and len(value) > dims for value in arguments.values()):
        # Torch's padding of a layer's own then reaches into the channels, by nothing if it is 0.
        with pytest.raises(ShapeError, match=f"but it has {dims} spatial axes"):
            ConvSpec(**arguments, spatial_dims=dims)
        return
    if pads_one_axis_alone(dims, arguments):
        with pytest.raises(ShapeError, match="torch pads the first axis alone"):
            ConvSpec(**arguments, spatial_dims=dims)
        return
    conv = ConvSpec(**arguments, spatial_dims=dims)
    assert conv.output_size(size) == y.shape[2:]
    assert conv.num_weights == layer.weight.numel()
    assert conv.num_params == sum(p.numel() for p in layer.parameters())
    assert conv.macs(size) == num_macs(layer, x)
    assert activation_bytes(conv.out_channels, conv.output_size(size)) == y.nbytes


@settings(deadline=None, max_examples=60)
@given(
    kernel_size=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    dilation=st.tuples(st.integers(1, 3), st.integers(1, 3)),
)
@pytest.mark.filterwarnings("ignore:Using padding='same'")
def test_same_padding_lies_where_torch_puts_it(kernel_size, dilation):
    conv = ConvSpec(
        in_channels=1, out_channels=1, kernel_size=kernel_size, dilation=dilation, padding="same"
    )
    layer = nn.Conv2d(1, 1, kernel_size, dilation=dilation, padding="same", bias=False)
    nn.init.ones_(layer.weight)
    x = torch.zeros(1, 1, 31, 31, requires_grad=True)
    layer(x)[0, 0, 15, 15].backward()
    read = x.grad[0, 0].nonzero()
    for axis, layer_axis in enumerate(conv.axes):
        assert sorted(set(read[:, axis].tolist())) == layer_axis.reads(15)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"groups": 5}, "divisible by groups"),
        ({"stride": 0}, "stride=0, but it must be a whole number of at least 1"),
        ({"kernel_size": 2.5}, "kernel_size=2.5"),
        ({"kernel_size": True}, "kernel_size=True"),
        ({"padding": -1}, "padding=-1"),
        ({"padding": "full"}, "'same' and 'valid'"),
        ({"padding": "same", "stride": 2}, "'same' needs stride 1"),
        ({"dilation": (1, 2, 3)}, "3 numbers, but it has 2 spatial axes"),
        ({"in_channels": 0}, "in_channels=0"),
        ({"bias": 1}, "True or False"),
        ({"padding_mode": "mirror"}, "'zeros', 'reflect'"),
        ({"spatial_dims": 4}, "1, 2 and 3"),
    ],
)
def test_a_refusal_names_the_setting_and_the_rule(arguments, message):
    arguments = {"in_channels": 12, "out_channels": 24, "kernel_size": 3} | arguments
    with pytest.raises(ShapeError, match=message):
        ConvSpec(**arguments)


def test_an_input_smaller_than_the_kernel_is_refused_with_advice():
    conv = ConvSpec(in_channels=1, out_channels=1, kernel_size=3, dilation=4)
    with pytest.raises(ShapeError, match=r"input of 8x8 would give .* use a larger input"):
        conv.output_size((8, 8))


@pytest.mark.parametrize("size", [(64,), (64, 64, 64), (64, 0), (64, -1)])
def test_a_size_that_does_not_fit_is_refused(size):
    with pytest.raises(ShapeError, match="64"):
        ConvSpec(in_channels=1, out_channels=1, kernel_size=3).output_size(size)
