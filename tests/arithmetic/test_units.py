"""What stands between convolutions agrees with torch: sizes, counts, fields, refusals."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from atrous.arithmetic import (
    BatchNormSpec,
    LinearSpec,
    UpsampleSpec,
    chain_costs,
    parse_expression,
    receptive_field,
    working,
)
from atrous.arithmetic.signatures import LAYERS
from atrous.arithmetic.unit_signatures import UNITS
from atrous.errors import ExpressionError, ShapeError


@pytest.mark.parametrize("name", UNITS)
def test_argument_names_stand_in_torchs_order(name):
    import inspect

    assert (
        list(UNITS[name][0])
        == [*inspect.signature(getattr(nn, name)).parameters][: len(UNITS[name][0])]
    )
    assert len(UNITS[name][0]) >= sum(
        p.default is inspect.Parameter.empty
        for p in inspect.signature(getattr(nn, name)).parameters.values()
        if p.kind is p.POSITIONAL_OR_KEYWORD
    )


CHAINS = [
    "Conv2d(3, 8, 3) > BatchNorm2d(8) > ReLU(inplace=True) > MaxPool2d(2)",
    "Sequential(Conv2d(3, 8, 3, padding=1), PReLU(8), Sequential(Dropout2d(0.5), GELU()))",
    "Conv2d(3, 4, 3, stride=2) > Upsample(scale_factor=2, mode='bilinear') > Conv2d(4, 2, 3)",
    "Conv2d(3, 4, 3) > Upsample(scale_factor=(2, 3)) > Sigmoid()",
    "Conv2d(3, 4, 3, stride=2) > Flatten() > Linear(252, 10) > ReLU() > Linear(10, 2, bias=False)",
    "Conv2d(3, 4, 3, stride=2) > Flatten() > BatchNorm1d(252, eps=1e-5, momentum=0.1)",
    "Conv1d(3, 4, 3) > BatchNorm1d(4, affine=False) > Upsample(scale_factor=3, mode='linear')",
    "Conv3d(3, 2, 3) > BatchNorm3d(2, 0.001, None) > LeakyReLU(0.2) > Upsample(None, 2)",
    "Upsample(scale_factor=2, mode='trilinear') > Conv3d(3, 2, 1)",
    "Linear(12, 8) > BatchNorm1d(8) > Tanh() > Linear(8, 2)",
]


def build(text):
    """The same chain of torch's own classes."""
    return eval(f"nn.Sequential({text.replace(' > ', ', ')})", {"nn": nn, **vars(nn)})  # noqa: S307


@pytest.mark.parametrize("text", CHAINS)
def test_sizes_and_counts_are_torchs(text):
    layers = parse_expression(text)
    dims = len(layers[0].axes)
    size = (15, 19, 17)[:dims]
    torch.manual_seed(0)
    model = build(text).eval()
    y = model(torch.zeros(1, 12 if not dims else 3, *size))
    costs = chain_costs(layers, size)
    assert sum(cost.layer.num_params for cost in costs) == sum(
        p.numel() for p in model.parameters()
    )
    assert (costs[-1].num_channels, *costs[-1].output_size) == y.shape[1:]
    assert costs[-1].num_bytes == y.numel() * 4
    linear = [cost for cost in costs if isinstance(cost.layer, LinearSpec)]
    assert all(cost.macs == cost.layer.num_weights for cost in linear)


def test_batch_norm_keeps_a_mean_a_variance_and_a_count():
    for text in ("BatchNorm2d(24)", "BatchNorm2d(24, track_running_stats=False)"):
        (spec,) = parse_expression(text)
        assert isinstance(spec, BatchNormSpec)
        assert spec.num_buffers == sum(b.numel() for b in build(text).buffers())


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 5), st.sampled_from(["nearest", "linear"]), st.integers(3, 7))
def test_an_upsampled_position_reads_what_its_gradient_says(factor, mode, length):
    spec = UpsampleSpec(scale_factor=factor, mode=mode, spatial_dims=1)
    layer = nn.Upsample(scale_factor=factor, mode=mode)
    assert spec.output_size((length,)) == (length * factor,)
    x = torch.zeros(1, 1, length, dtype=torch.float64, requires_grad=True)
    y = layer(x)
    for output in range(factor, (length - 1) * factor):  # beyond the border torch reads its edge
        (gradient,) = torch.autograd.grad(y[0, 0, output], x, retain_graph=True)
        read = (gradient[0, 0].abs() > 1e-12).nonzero().flatten().tolist()
        assert spec.axes[0].reads(output) == read


def test_a_linear_layer_behind_flatten_is_a_convolution_as_large_as_its_map():
    dense = parse_expression("Conv2d(3, 4, 3, stride=2) > Flatten() > Linear(252, 10)")
    conv = parse_expression("Conv2d(3, 4, 3, stride=2) > Conv2d(4, 10, (7, 9))")
    assert receptive_field(dense, (15, 19)) == receptive_field(conv)
    with pytest.raises(ShapeError, match="give the size"):
        receptive_field(dense)
    with pytest.raises(ShapeError, match="takes 252, but what is before it gives 280"):
        chain_costs(dense, (15, 21))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Conv2d(3, 4, 3) > Linear(4, 2)", "put Flatten"),
        ("Conv2d(3, 4, 3) > BatchNorm2d(8)", "takes 8 channels"),
        ("Conv2d(3, 4, 3) > BatchNorm3d(4)", "use BatchNorm2d"),
        ("Conv2d(3, 4, 3) > Upsample(scale_factor=2, mode='trilinear')", "for 3 spatial axes"),
        ("Upsample(scale_factor=2, mode='bicubic')", "nearest, linear"),
        ("Upsample(scale_factor=2, mode='bilinear', align_corners=True)", "align_corners"),
        ("Upsample(size=7)", "must be None"),
        ("Upsample(scale_factor=1.5)", "whole number"),
        ("Flatten(0)", "start_dim must be 1"),
        ("BatchNorm2d(True)", "whole number"),
        ("ReLU(3)", "True or False"),
        ("Dropout('x')", "must be a number"),
        ("Linear(3)", "lacks out_features"),
        ("Linear(0, 3)", "at least 1"),
        ("Sequential(a=ReLU())", "by name"),
        ("Sequential()", "no layers"),
        ("Flatten() > Conv2d(3, 4, 3)", "flattened"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(text, message):
    with pytest.raises((ExpressionError, ShapeError), match=message) as caught:
        parse_expression(text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["BatchNorm2d(24)", "PReLU(3)", "Linear(7, 5)", "ReLU()"])
def test_the_working_adds_up(text):
    (layer,) = parse_expression(text)
    steps = {step.name: step for step in working(layer)}
    assert steps["params"].result == f"{layer.num_params:,}"
    if "weights" in steps:
        assert int(steps["weights"].result) + int(steps["biases"].result) == layer.num_params


def test_torchs_names_are_known_once():
    assert not set(UNITS) & set(LAYERS)
