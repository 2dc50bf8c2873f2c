"""Settings as numbers and as tuples of every length: what torch computes or refuses, all of them.

Exhaustive over small values, for one to three axes. `()` stands for a tuple that names no axis.
"""

from collections.abc import Callable, Iterator
from itertools import product

import pytest
import torch
from torch import nn

from atrous.arithmetic import ConvSpec, PoolSpec, TransposedConvSpec
from atrous.errors import ShapeError
from atrous.types import Size

CONV = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
TRANSPOSED = {1: nn.ConvTranspose1d, 2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
MAX_POOL = {1: nn.MaxPool1d, 2: nn.MaxPool2d, 3: nn.MaxPool3d}
AVERAGE_POOL = {1: nn.AvgPool1d, 2: nn.AvgPool2d, 3: nn.AvgPool3d}
REFUSED = "refused"


def forms(dims: int, low: int, high: int) -> list[int | Size]:
    """Every number, every tuple of a number each axis, and tuples of all other lengths."""
    numbers = range(low, high + 1)
    full = [values for values in product(numbers, repeat=dims) if dims < 3 or len(set(values)) > 1]
    single = [(number,) for number in numbers]
    others = [(high,) * length for length in range(dims + 2) if length not in (1, dims)]
    return list(dict.fromkeys([*numbers, *full, *single, *others]))


def from_torch(make: Callable[[], nn.Module], size: Size) -> Size | str:
    try:
        with torch.no_grad():
            y = make()(torch.zeros(1, 1, *size))
    except (RuntimeError, ValueError, TypeError, IndexError):
        return REFUSED
    return tuple(y.shape[2:]) if y.numel() else REFUSED  # in 1D, torch gives an empty output


def from_atrous(make: Callable[[], ConvSpec | PoolSpec | TransposedConvSpec], size: Size) -> object:
    try:
        return make().output_size(size)
    except ShapeError:
        return REFUSED


def sizes(dims: int) -> list[Size]:
    return [(1,) * dims, (4,) * dims, (5, 3, 6)[:dims]]


def conv_settings(dims: int) -> Iterator[dict[str, object]]:
    kernels = [1, 2, 3, (2,), (2, 3, 1)[:dims], (3,) * (dims + 1)]
    paddings = ["same", "valid", *forms(dims, 0, 2 if dims < 3 else 1)]
    dilations = forms(dims, 1, 2)
    strides = [1, (1,), (2,) * dims, (2,) * (dims + 1)]
    for kernel, padding, dilation, stride in product(kernels, paddings, dilations, strides):
        yield {
            "kernel_size": kernel,
            "padding": padding,
            "dilation": dilation,
            "stride": stride,
        }


@pytest.mark.filterwarnings("ignore:Using padding='same'")
@pytest.mark.parametrize("mode", ["zeros", "reflect", "replicate", "circular"])
@pytest.mark.parametrize("dims", [1, 2, 3])
def test_convolutions(dims, mode):
    apart = []
    for number, chosen in enumerate(conv_settings(dims)):
        arguments = {**chosen, "padding_mode": mode}
        size = sizes(dims)[number % 3]
        torchs = from_torch(lambda a=arguments: CONV[dims](1, 1, **a), size)
        ours = from_atrous(
            lambda a=arguments: ConvSpec(in_channels=1, out_channels=1, spatial_dims=dims, **a),
            size,
        )
        if ours != torchs and not is_odd(arguments, ours):
            apart.append((arguments, size, torchs, ours))
    assert apart == []


def is_odd(arguments: dict[str, object], ours: object) -> bool:
    """Whether we refuse the one thing that torch answers in a way nobody can mean."""
    return (
        ours == REFUSED
        and arguments["padding"] == "same"
        and arguments["padding_mode"] != "zeros"
        and arguments["dilation"] in [(1,), (2,)]
    )


@pytest.mark.parametrize("dilation", [(1,), (2,)])
@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
def test_same_padding_of_one_axis_alone_is_refused_where_it_is_not_the_same(dilation, mode):
    arguments = {"in_channels": 1, "out_channels": 1, "padding": "same", "padding_mode": mode}
    with pytest.raises(ShapeError, match="tuple of one number, with which torch pads the first"):
        ConvSpec(kernel_size=2, dilation=dilation, **arguments)
    # Only the first axis has anything to pad here, so that torch's answer is the plain one.
    tall = ConvSpec(kernel_size=(3, 1), dilation=dilation, **arguments)
    assert tall.output_size((7, 7)) == (7, 7)


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_transposed_convolutions(dims):
    few = {1: forms(1, 0, 2), 2: forms(2, 0, 1), 3: [0, 1, (1,), (0, 1, 1), (1, 1), (1,) * 4, ()]}
    apart = []
    choices = product(
        [1, 3, (2,), (2, 3, 1)[:dims], (2,) * (dims + 1)],
        [1, 2, 0, (2,), (1, 2, 2)[:dims], (1,) * (dims + 1), ()],
        few[dims],
        few[dims],
        [1, 2, (2,), (1, 2, 1)[:dims], (1,) * (dims + 1), ()],
    )
    names = ("kernel_size", "stride", "padding", "output_padding", "dilation")
    for number, values in enumerate(choices):
        arguments = dict(zip(names, values, strict=True))
        size = sizes(dims)[number % 3]
        torchs = from_torch(lambda a=arguments: TRANSPOSED[dims](1, 1, **a), size)
        ours = from_atrous(
            lambda a=arguments: TransposedConvSpec(
                in_channels=1, out_channels=1, spatial_dims=dims, **a
            ),
            size,
        )
        if ours != torchs:
            apart.append((arguments, size, torchs, ours))
    assert apart == []


@pytest.mark.parametrize("kind", ["max", "average"])
@pytest.mark.parametrize("dims", [1, 2, 3])
def test_pools(dims, kind):
    apart = []
    choices = product(
        [1, 2, 3, (2,), (2, 3, 2)[:dims], (2,) * (dims + 1), ()],
        [None, *forms(dims, 0, 2)],
        [0, 1, (1,), (0, 1, 1)[:dims], (1,) * (dims + 1), ()],
        [1, 2, (2,), (1, 2, 1)[:dims], (1,) * (dims + 1), ()] if kind == "max" else [1],
        [False, True],
    )
    pool = MAX_POOL[dims] if kind == "max" else AVERAGE_POOL[dims]
    for number, (kernel, stride, padding, dilation, ceil_mode) in enumerate(choices):
        arguments = {
            "kernel_size": kernel,
            "stride": stride,
            "padding": padding,
            "ceil_mode": ceil_mode,
        }
        if kind == "max":
            arguments["dilation"] = dilation
        size = sizes(dims)[number % 3]
        torchs = from_torch(lambda a=arguments: pool(**a), size)
        ours = from_atrous(lambda a=arguments: PoolSpec(kind=kind, spatial_dims=dims, **a), size)
        if ours != torchs:
            apart.append((arguments, size, torchs, ours))
    assert apart == []
