"""Layer expressions are read as torch reads its arguments, and nothing else is read at all."""

import inspect
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from atrous.arithmetic import (
    ConvSpec,
    PoolSpec,
    TransposedConvSpec,
    parse_expression,
    parse_size,
)
from atrous.arithmetic.signatures import LAYERS
from atrous.errors import ExpressionError, ShapeError


@pytest.mark.parametrize("name", LAYERS)
def test_argument_names_stand_in_torchs_order(name):
    parameters = list(inspect.signature(getattr(nn, name)).parameters)
    assert list(LAYERS[name][0]) == parameters


def conv(**arguments):
    return ConvSpec(**({"in_channels": 3, "out_channels": 16, "kernel_size": 3} | arguments))


@pytest.mark.parametrize(
    ("text", "layer"),
    [
        ("Conv2d(3, 16, 3)", conv()),
        ("  Conv2d( 3,16 ,3, )\n", conv()),
        ("nn.Conv2d(3, 16, 3)", conv()),
        ("torch.nn.Conv2d(3, 16, 3)", conv()),
        ("(Conv2d(3, 16, 3))", conv()),
        ("Conv2d(3, 16, kernel_size=(3, 5))", conv(kernel_size=(3, 5))),
        ("Conv2d(3, 16, [3, 5])", conv(kernel_size=(3, 5))),
        (
            "Conv2d(3, 16, 3, 2, 1, 4, 1, False, 'reflect', None, None)",
            conv(stride=2, padding=1, dilation=4, bias=False, padding_mode="reflect"),
        ),
        ('Conv2d(3, 16, 3, padding="same")', conv(padding="same")),
        ("Conv1d(3, 16, 3, padding='valid')", conv(padding="valid", spatial_dims=1)),
        ("Conv3d(3, 3, 3, groups=3)", conv(out_channels=3, groups=3, spatial_dims=3)),
        (
            "ConvTranspose2d(4, 6, 3, 2, 1, 1, 2, True, 1, 'zeros')",
            TransposedConvSpec(
                in_channels=4, out_channels=6, kernel_size=3, stride=2, padding=1,
                output_padding=1, groups=2,
            ),
        ),
        (
            "MaxPool2d(3, 2, 1, 1, False, True)",
            PoolSpec(kind="max", kernel_size=3, stride=2, padding=1, ceil_mode=True),
        ),
        (
            "AvgPool3d(2, None, 0, False, False, 7)",
            PoolSpec(kind="average", kernel_size=2, spatial_dims=3),
        ),
        (
            "AvgPool1d(2, 1, 1, count_include_pad=False)",
            PoolSpec(kind="average", kernel_size=2, stride=1, padding=1, spatial_dims=1),
        ),
    ],
)  # fmt: skip
def test_a_layer_is_read(text, layer):
    assert parse_expression(text) == (layer,)


def test_a_chain_is_read_in_order():
    layers = parse_expression("Conv2d(3,16,3,stride=2) > MaxPool2d(2) > nn.Conv2d(16, 8, 1)")
    assert [layer.expression for layer in layers] == [
        "Conv2d(3, 16, 3, stride=2)",
        "MaxPool2d(2)",
        "Conv2d(16, 8, 1)",
    ]


@settings(deadline=None, max_examples=100)
@given(
    stride=st.integers(1, 3) | st.tuples(st.integers(1, 3), st.integers(1, 3)),
    padding=st.integers(0, 2),
    dilation=st.integers(1, 3),
    bias=st.booleans(),
)
def test_what_a_layer_writes_is_read_back_as_itself(stride, padding, dilation, bias):
    shared = {"stride": stride, "padding": padding, "dilation": dilation}
    layers = (
        conv(**shared, bias=bias),
        TransposedConvSpec(in_channels=16, out_channels=2, kernel_size=3, bias=bias, **shared),
        PoolSpec(kind="max", kernel_size=5, ceil_mode=bias, **shared),
    )
    assert parse_expression(" > ".join(layer.expression for layer in layers)) == layers


ATTACKS = [
    "",
    " ",
    "\n",
    "3",
    "Conv2d",
    "Conv2d(3, 16, 3",
    "Conv2d(3, 16, 3) >",
    "> Conv2d(3, 16, 3)",
    "Conv2d(3, 16, 3) < MaxPool2d(2)",
    "Conv2d(3, 16, 3) > MaxPool2d(2) >= MaxPool2d(2)",
    "Conv2d(3, 16, 3) >> MaxPool2d(2)",
    "Conv2d(3, 16, 3), MaxPool2d(2)",
    "Conv2d(3, 16, 3); MaxPool2d(2)",
    "(Conv2d(3, 16, 3) > MaxPool2d(2)) > MaxPool2d(2)",
    "Conv2d(3, 16, 3) > (MaxPool2d(2) > MaxPool2d(2))",
    "Conv2d(3, 16, 3).weight",
    "Conv2d(3, 16, 3)(1)",
    "Conv2d.__init__(3, 16, 3)",
    "Conv2d.__class__",
    "nn.functional.Conv2d(3, 16, 3)",
    "os.nn.Conv2d(3, 16, 3)",
    "torch.Conv2d(3, 16, 3)",
    "__import__('os').system('true')",
    "__import__('os')",
    "Conv2d(__import__('os').getpid(), 16, 3)",
    "Conv2d(len('abc'), 16, 3)",
    "Conv2d(1 + 2, 16, 3)",
    "Conv2d(2 ** 99999999, 16, 3)",
    "Conv2d(--3, 16, 3)",
    "Conv2d(+3, 16, 3)",
    "Conv2d(~3, 16, 3)",
    "Conv2d(-True, 16, 3)",
    "Conv2d(not 3, 16, 3)",
    "Conv2d(3 if 1 else 2, 16, 3)",
    "Conv2d(1if 1else 2, 16, 3)",
    "Conv2d(1.if 1 else 2, 16, 3)",
    "Conv2d(x, 16, 3)",
    "Conv2d(x := 3, 16, 3)",
    "Conv2d((x := 3), 16, 3)",
    "Conv2d(lambda: 3, 16, 3)",
    "lambda: Conv2d(3, 16, 3)",
    "Conv2d(f'{3}', 16, 3)",
    "f'{Conv2d(3, 16, 3)}'",
    "Conv2d('3', 16, 3)",
    "Conv2d(b'3', 16, 3)",
    "Conv2d(3.0, 16, 3)",
    "Conv2d(3j, 16, 3)",
    "Conv2d(1e3, 16, 3)",
    "Conv2d(0x10, 16, 3)",
    "Conv2d(1_0, 16, 3)",
    "Conv2d(3x3, 16, 3)",
    "Conv2d(..., 16, 3)",
    "Conv2d(True, 16, 3)",
    "Conv2d(None, 16, 3)",
    "Conv2d(3, 16, None)",
    "Conv2d(3, 16, (3, 3.0))",
    "Conv2d(3, 16, (3, True))",
    "Conv2d(3, 16, ((3, 3), 3))",
    "Conv2d(3, 16, {3: 3})",
    "Conv2d(3, 16, {3, 5})",
    "Conv2d(3, 16, (i for i in (3, 3)))",
    "Conv2d(3, 16, [i for i in (3, 3)])",
    "Conv2d(*(3, 16, 3))",
    "Conv2d(3, 16, (*(3, 3),))",
    "Conv2d(**{'in_channels': 3})",
    "Conv2d(3, 16)",
    "Conv2d()",
    "Conv2d(3, 16, 3, in_channels=3)",
    "Conv2d(3, 16, 3, stride=1, stride=2)",
    "Conv2d(3, 16, 3, strides=2)",
    "Conv2d(3, 16, 3, 1, 0, 1, 1, True, 'zeros', None, None, 5)",
    "Conv2d(3, 16, 3, bias=1)",
    "Conv2d(3, 16, 3, bias='True')",
    "Conv2d(3, 16, 3, padding='full')",
    "Conv2d(3, 16, 3, device='cuda')",
    "Conv2d(3, 16, 3, dtype=torch.float64)",
    "ConvTranspose2d(3, 16, 3, padding='same')",
    "ConvTranspose2d(3, 16, 3, padding_mode='reflect')",
    "MaxPool2d(2, 'same')",
    "MaxPool2d(2, return_indices=0)",
    "AvgPool2d(2, count_include_pad=None)",
    "AvgPool1d(2, divisor_override=3)",
    "AvgPool2d(2, dilation=2)",
    "Conv2D(3, 16, 3)",
    "conv2d(3, 16, 3)",
    "await Conv2d(3, 16, 3)",
    "import os",
    "x = Conv2d(3, 16, 3)",
    "Conv2d(3, 16, 3)\nConv2d(3, 16, 3)",
    "Conv2d(3, 16, 3, padding='\\d')",
    "Conv2d(3, 16, 3\x00)",
    "Conv２d(3, 16, 3)",  # noqa: RUF001 - a full-width 2, which Python would take for a 2
    "Conv2d(3, 16, ٣)",
    "Conv2d(99999999999999999999, 16, 3)",
    "Conv2d(3, 16, 2147483648)",
    "(" * 5000 + ")" * 5000,
    "-" * 9000 + "1",
    "[" * 90 + "]" * 90,
    "Conv2d(3, 16, 3)" + ".a" * 4000,
    "Conv2d(" + "-" * 50 + "3, 16, 3)",
    "Conv2d(3, 16, 3) > " * 600 + "Conv2d(3, 16, 3)",
    "Conv2d(" + "9" * 5000 + ", 16, 3)",
    "A" * 1_000_000,
]


@pytest.mark.parametrize("text", ATTACKS, ids=range(len(ATTACKS)))
def test_anything_else_is_refused_in_one_short_line(text):
    with pytest.raises(ExpressionError) as caught:
        parse_expression(text)
    message = str(caught.value)
    assert "\n" not in message
    assert message.isprintable()
    assert len(message) < 450


@settings(deadline=None, max_examples=300)
@given(st.text(alphabet="Conv2dMaxPl(),=>.'-31 nN[]{}*:_\\\"#f\n", max_size=60))
def test_no_text_does_anything_but_give_layers_or_a_refusal(text):
    try:
        layers = parse_expression(text)
    except (ExpressionError, ShapeError):
        return
    assert all(layer.name in LAYERS for layer in layers)


def test_nothing_is_ever_imported_or_run():
    before = set(sys.modules)
    with pytest.raises(ExpressionError):
        parse_expression("Conv2d(__import__('this'), 1, 1)")
    assert "this" not in set(sys.modules) - before


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Conv2D(3, 16, 3)", "No layer is named 'Conv2D'. Did you mean 'Conv2d'? Known: Conv1d,"),
        ("MaxPol2d(2)", "Did you mean 'MaxPool2d'"),
        ("Conv2d(3, 16, 3, strid=2)", "has no argument 'strid'. Did you mean 'stride'? It takes:"),
        ("Conv2d(3, 16)", "lacks kernel_size"),
        ("Conv2d(3, 16, 1 + 2)", "'1 + 2' is not a literal value; write whole numbers"),
        ("Conv2d(3, 16, lambda: 3)", "'lambda: 3' is not a literal value"),
        ("Conv2d(3, 16, 3, bias=1)", "bias=1, but bias must be True or False"),
        ("f(1) + 3", "'f(1) + 3' is not a layer; write a layer such as Conv2d"),
        ("Conv2d(3, 16, 3, padding='ful')", "padding='ful', but padding must be"),
        ("Conv2d(3, 16, 3x3)", "'3x3' is not part of a layer or a plain number"),
    ],
)
def test_a_refusal_quotes_the_piece_and_says_what_is_accepted(text, message):
    with pytest.raises(ExpressionError) as caught:
        parse_expression(text)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Conv2d(3, 16, 3) > Conv2d(8, 8, 3)", r"Layer 2, Conv2d\(8, 8, 3\), takes 8 channels"),
        ("Conv2d(3, 16, 3) > MaxPool1d(2)", "1 spatial axes, but layer 1"),
        ("Conv2d(3, 16, 3, groups=2)", "divisible by groups"),
        ("Conv2d(3, 16, -3)", "kernel_size=-3"),
        ("Conv2d(3, 16, (3, 3, 3))", "3 numbers, but it has 2 spatial axes"),
        ("Conv2d(3, 16, 3, 2, 'same')", "'same' needs stride 1"),
        ("Conv2d(3, 16, 3, padding_mode='mirror')", "padding_mode='mirror'"),
        ("ConvTranspose2d(3, 16, 3, 2, 0, 2)", "output_padding=2"),
        ("MaxPool2d(2, padding=2)", "half its kernel"),
        ("AvgPool2d(2, divisor_override=0)", "divisor_override=0"),
    ],
)
def test_settings_that_torch_refuses_are_refused(text, message):
    with pytest.raises(ShapeError, match=message):
        parse_expression(text)


@pytest.mark.parametrize(
    ("text", "spatial_dims", "size"),
    [
        ("64", 1, (64,)),
        ("64", 2, (64, 64)),
        ("64x48", 2, (64, 48)),
        ("16x64x64", 3, (16, 64, 64)),
        ("007", 1, (7,)),
    ],
)
def test_a_size_is_read(text, spatial_dims, size):
    assert parse_size(text, spatial_dims=spatial_dims) == size


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "0x5",
        "5x0",
        "abc",
        "-1",
        "64x",
        "x64",
        "6 4",
        "64,48",
        "1e3",
        "\uff16\uff14",
        "9" * 99,
        "\n",
    ],
)
def test_what_is_no_size_is_refused(text):
    with pytest.raises(ExpressionError, match="write it as 64, 64x48 or 16x64x64"):
        parse_size(text, spatial_dims=2)


@pytest.mark.parametrize(("text", "spatial_dims"), [("64x48", 1), ("64x48", 3), ("1x2x3", 2)])
def test_a_size_with_the_wrong_number_of_axes_is_refused(text, spatial_dims):
    with pytest.raises(ShapeError, match=f"works on {spatial_dims}"):
        parse_size(text, spatial_dims=spatial_dims)
