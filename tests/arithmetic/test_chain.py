"""Receptive fields and costs of chains agree with gradients, papers' networks and algebra."""

from fractions import Fraction
from itertools import pairwise
from math import prod

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.functional import conv1d, conv_transpose1d, pad

from atrous.arithmetic import (
    ConvSpec,
    PoolSpec,
    TransposedConvSpec,
    chain_costs,
    check_chain,
    coverage,
    parse_expression,
    receptive_field,
)
from atrous.errors import ShapeError

VGG = {
    11: (1, 1, 2, 2, 2),
    13: (2, 2, 2, 2, 2),
    16: (2, 2, 3, 3, 3),
    19: (2, 2, 4, 4, 4),
}
ALEXNET = (
    "Conv2d(3, 64, 11, stride=4, padding=2) > MaxPool2d(3, 2) > Conv2d(64, 192, 5, padding=2) > "
    "MaxPool2d(3, 2) > Conv2d(192, 384, 3, padding=1) > Conv2d(384, 256, 3, padding=1) > "
    "Conv2d(256, 256, 3, padding=1) > MaxPool2d(3, 2)"
)


def vgg(depth):
    layers, channels = [], 3
    for repeats, width in zip(VGG[depth], (64, 128, 256, 512, 512), strict=True):
        for _ in range(repeats):
            layers.append(f"Conv2d({channels}, {width}, 3, padding=1)")
            channels = width
        layers.append("MaxPool2d(2)")
    return parse_expression(" > ".join(layers))


def same_conv(**arguments):
    return ConvSpec(**({"in_channels": 4, "out_channels": 4, "kernel_size": 3} | arguments))


@st.composite
def layers_1d(draw, *, steps_up=True):
    kinds = ["conv", "conv", "pool"] + ["up"] * steps_up
    layers = []
    for kind in draw(st.lists(st.sampled_from(kinds), min_size=1, max_size=4)):
        kernel, stride = draw(st.integers(1, 4)), draw(st.integers(1, 3))
        dilation = draw(st.sampled_from([1, 1, 2, 3]))
        shared = {"kernel_size": kernel, "stride": stride, "dilation": dilation, "spatial_dims": 1}
        if kind == "conv":
            padding = draw(st.integers(0, 3) | (st.just("same") if stride == 1 else st.nothing()))
            layers.append(ConvSpec(in_channels=1, out_channels=1, padding=padding, **shared))
        elif kind == "pool":
            padding = draw(st.integers(0, kernel // 2))
            layers.append(PoolSpec(kind="max", padding=padding, **shared))
        else:
            padding = draw(st.integers(0, 3))
            extra = draw(st.integers(0, max(stride, dilation) - 1))
            layers.append(
                TransposedConvSpec(
                    in_channels=1, out_channels=1, padding=padding, output_padding=extra, **shared
                )
            )
    return layers


def run_with_ones(layers, x):
    """The layers with every weight 1 and pools summing: a gradient counts paths."""
    for layer in layers:
        (axis,) = layer.axes
        ones = torch.ones(1, 1, axis.kernel_size, dtype=x.dtype)
        if isinstance(layer, TransposedConvSpec):
            x = conv_transpose1d(
                x, ones, stride=axis.stride, padding=axis.padding,
                output_padding=axis.output_padding, dilation=axis.dilation,
            )  # fmt: skip
        else:
            x = pad(x, (axis.padding_before, axis.padding_after))
            x = conv1d(x, ones, stride=axis.stride, dilation=axis.dilation)
    return x


def path_counts(layers, *, num_phases, length=700):
    """For `num_phases` neighbouring outputs in the middle: the first of them, and counts each."""
    x = torch.zeros(num_phases, 1, length, dtype=torch.float64, requires_grad=True)
    y = run_with_ones(layers, x)
    output = y.shape[-1] // 2 // num_phases * num_phases
    y[range(num_phases), 0, range(output, output + num_phases)].sum().backward()
    return output, [
        {int(i): int(row[i]) for i in row.nonzero().flatten()} for row in x.grad[:, 0].round()
    ]


def span(counts):
    return max(counts) - min(counts) + 1 if counts else 0


@settings(deadline=None, max_examples=250)
@given(layers_1d())
def test_field_and_coverage_equal_the_support_of_the_gradient_in_every_phase(layers):
    phases = 1
    for layer in layers:  # a multiple of the true number of phases
        phases *= layer.stride if isinstance(layer, TransposedConvSpec) else 1
    output, counts = path_counts(layers, num_phases=phases)
    field = receptive_field(layers)
    shift = output * field.jump[0]
    assert field.size == (max(map(span, counts)),)
    assert shift.denominator == 1
    reading = next((phase for phase, found in enumerate(counts) if found), None)
    if reading is not None:
        assert min(counts[reading]) == field.start[0] + shift + reading * field.jump[0]
    if not any(counts):
        with pytest.raises(ShapeError, match="No output of these layers reads any input"):
            coverage(layers)
        return
    widest = max(counts, key=span)
    assert coverage(layers).counts[0] == {i - shift: number for i, number in widest.items()}


@settings(deadline=None, max_examples=60)
@given(layers_1d(), st.integers(0, 5))
def test_the_centre_line_runs_through_the_middle_of_what_all_phases_read(layers, step):
    # Follow the middle of the taps: for a transposed convolution o = i * stride - p + t.
    field = receptive_field(layers)
    position = Fraction(step)
    for layer in reversed(layers):
        (axis,) = layer.axes
        middle = Fraction(axis.effective_kernel_size - 1, 2)
        if isinstance(layer, TransposedConvSpec):
            position = (position + axis.padding - middle) / axis.stride
        else:
            position = position * axis.stride - axis.padding_before + middle
    assert field.centre[0] + step * field.jump[0] == position


@settings(deadline=None, max_examples=60)
@given(layers_1d(steps_up=False))
def test_without_steps_up_the_centre_is_the_middle_of_the_field(layers):
    field = receptive_field(layers)
    assert field.centre[0] == field.start[0] + Fraction(field.size[0] - 1, 2)


@st.composite
def networks_2d(draw):
    """Names and arguments of torch modules whose axes differ."""
    layers, channels = [], 1
    for name in draw(
        st.lists(
            st.sampled_from(["Conv2d", "ConvTranspose2d", "AvgPool2d"]), min_size=1, max_size=3
        )
    ):
        kernel, stride, dilation = (
            (draw(st.integers(1, high)), draw(st.integers(1, high))) for high in (3, 2, 2)
        )
        if name == "AvgPool2d":
            layers.append((name, (kernel, stride)))
            continue
        wider = draw(st.integers(1, 3))
        settings_ = (1, dilation) if name == "Conv2d" else (1, 0, 1, True, dilation)
        layers.append((name, (channels, wider, kernel, stride, *settings_)))
        channels = wider
    return layers


def widest_support(x, y, axis, phases):
    """Largest extent along an axis that a row or column of neighbouring outputs reads."""
    start = y.shape[2 + axis] // 2 // phases[axis] * phases[axis]
    widest = 0
    for output in range(start, start + phases[axis]):
        x.grad = None
        # The other axis in all its phases, for in some nothing may be read at all.
        y.select(2 + axis, output).sum().backward(retain_graph=True)
        read = x.grad[0, 0].nonzero()[:, axis]
        widest = max(widest, int(read.max() - read.min() + 1) if len(read) else 0)
    return widest


@settings(deadline=None, max_examples=60)
@given(networks_2d())
def test_agrees_with_gradients_of_positive_networks_in_2d(layers):
    network = nn.Sequential(*(getattr(nn, name)(*arguments) for name, arguments in layers)).double()
    for weights in network.parameters():
        nn.init.constant_(weights, 0.5)
    x = torch.ones(1, 1, 96, 100, dtype=torch.float64, requires_grad=True)
    y = network(x)
    steps_up = [arguments[3] for name, arguments in layers if name == "ConvTranspose2d"]
    phases = [prod(stride[axis] for stride in steps_up) for axis in (0, 1)]
    spans = [widest_support(x, y, axis, phases) for axis in (0, 1)]
    expression = " > ".join(f"{name}{arguments}" for name, arguments in layers)
    size = receptive_field(parse_expression(expression)).size
    assert spans == ([0, 0] if 0 in size else list(size))


@pytest.mark.parametrize(
    ("depth", "sizes"),
    [
        (11, (4, 10, 30, 70, 150)),
        (13, (6, 16, 36, 76, 156)),
        (16, (6, 16, 44, 100, 212)),
        (19, (6, 16, 52, 124, 268)),
    ],
)
def test_vgg_fields_after_each_pool_are_those_measured_by_gradients(depth, sizes):
    costs = chain_costs(vgg(depth))
    pools = [cost.receptive_field for cost in costs if isinstance(cost.layer, PoolSpec)]
    assert [field.size for field in pools] == [(size, size) for size in sizes]
    assert [field.jump for field in pools] == [(2**i, 2**i) for i in range(1, 6)]


@pytest.mark.parametrize(("depth", "start"), [(11, -59), (13, -62), (16, -90), (19, -118)])
def test_vgg_fields_start_where_measured(depth, start):
    assert receptive_field(vgg(depth)).start == (start, start)


def test_alexnet_sees_195_pixels_from_minus_66_in_steps_of_32():
    field = receptive_field(parse_expression(ALEXNET))
    assert (field.size, field.start, field.jump) == ((195, 195), (-66, -66), (32, 32))


def test_vgg16_costs_are_the_published_ones_less_its_three_linear_layers():
    costs = chain_costs(vgg(16), (224, 224))
    linear = 25088 * 4096 + 4096 * 4096 + 4096 * 1000
    assert sum(cost.layer.num_params for cost in costs) == 138_357_544 - linear - 4096 * 2 - 1000
    assert round((sum(cost.macs for cost in costs) + linear) / 1e9, 3) == 15.470
    assert (costs[-1].num_channels, costs[-1].output_size) == (512, (7, 7))
    assert costs[0].num_bytes == 64 * 224 * 224 * 4


@pytest.mark.parametrize(("num_layers", "size"), [(2, 5), (3, 7)])
def test_stacked_3x3_convolutions_see_what_one_larger_kernel_sees(num_layers, size):
    assert receptive_field([same_conv()] * num_layers).size == (size, size)


def test_a_unet_step_up_keeps_the_field_and_halves_the_jump():
    # By hand: 3, 5, pool 6 at jump 2, then 10 and 14; two taps at stride 2 meet one input each.
    down = [same_conv(padding=1)] * 2 + [PoolSpec(kind="max", kernel_size=2)]
    down += [same_conv(padding=1)] * 2
    up = TransposedConvSpec(in_channels=4, out_channels=4, kernel_size=2, stride=2)
    before, after = receptive_field(down), receptive_field([*down, up])
    assert before.size == after.size == (14, 14)
    assert (before.jump, after.jump) == ((2, 2), (1, 1))


def test_a_jump_below_one_is_an_exact_fraction():
    up = TransposedConvSpec(in_channels=1, out_channels=1, kernel_size=3, stride=3)
    assert receptive_field([up]).jump == (Fraction(1, 3), Fraction(1, 3))
    assert receptive_field([up, up]).jump == (Fraction(1, 9), Fraction(1, 9))


def test_outputs_that_no_tap_reaches_see_nothing():
    up = TransposedConvSpec(in_channels=1, out_channels=1, kernel_size=1, stride=2)
    odd_only = ConvSpec(in_channels=1, out_channels=1, kernel_size=1, stride=2, padding=1)
    assert receptive_field([up]).size == (1, 1)
    assert receptive_field([up, odd_only]).size == (0, 0)


def test_pools_before_the_first_convolution_take_its_channels():
    costs = chain_costs(parse_expression("AvgPool2d(2) > Conv2d(3, 8, 3)"), (16, 16))
    assert [cost.num_channels for cost in costs] == [3, 8]
    assert costs[0].num_bytes == 3 * 8 * 8 * 4


def test_pools_alone_leave_channels_and_memory_unknown():
    (cost,) = chain_costs([PoolSpec(kind="max", kernel_size=2)], (8, 8))
    assert (cost.num_channels, cost.num_bytes, cost.output_size) == (None, None, (4, 4))


def test_a_layer_that_does_not_fit_is_named_with_its_place():
    layers = parse_expression("Conv2d(3, 8, 3) > MaxPool2d(4) > Conv2d(8, 8, 5)")
    with pytest.raises(ShapeError, match=r"Layer 3 of 3: Conv2d\(8, 8, 5\) on an input of 3x3"):
        chain_costs(layers, (16, 16))


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([], "no layers"),
        ([same_conv(), same_conv(in_channels=8)], r"takes 8 channels, but Conv2d\(4, 4, 3\)"),
        (
            [same_conv(), PoolSpec(kind="max", kernel_size=2), same_conv(in_channels=8)],
            "Layer 3, .* takes 8 channels",
        ),
        ([same_conv(), same_conv(spatial_dims=3)], "3 spatial axes, but layer 1"),
    ],
)
def test_layers_that_do_not_fit_together_are_refused(layers, message):
    with pytest.raises(ShapeError, match=message):
        check_chain(layers)


def test_steps_up_beyond_what_can_be_followed_are_refused():
    up = TransposedConvSpec(in_channels=1, out_channels=1, kernel_size=3, stride=10**6)
    with pytest.raises(ShapeError, match="use smaller strides"):
        receptive_field([up, up])


def test_reported_sizes_follow_each_other():
    costs = chain_costs(vgg(11), (64, 96))
    for before, after in pairwise(costs):
        assert after.output_size == after.layer.output_size(before.output_size)
