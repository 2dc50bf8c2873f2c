"""Layers out of expressions such as `Conv2d(3, 16, 3) > ReLU() > MaxPool2d(2)`."""

import re
from collections.abc import Sequence
from typing import Final

from atrous.arithmetic.chain import check_chain
from atrous.arithmetic.layer import LayerSpec
from atrous.arithmetic.literals import Arguments, Value
from atrous.arithmetic.signatures import LAYERS
from atrous.arithmetic.syntax import LayerCall, nearest, parse_calls, quoted
from atrous.arithmetic.unit_signatures import UNITS, axes_wanted
from atrous.errors import ExpressionError, ShapeError
from atrous.types import Size

LAYER_NAMES: Final = (*LAYERS, *UNITS)
"""Torch's layers that are known on paper."""
_REQUIRED: Final = frozenset({"in_channels", "out_channels", "kernel_size"})


def parse_expression(text: str) -> tuple[LayerSpec, ...]:
    """The layers that an expression names, first to last.

    Layers are Conv, ConvTranspose, MaxPool and AvgPool in 1d, 2d and 3d, what stands between them
    (activations, BatchNorm, Dropout, Upsample, Flatten, Linear) and `Sequential` around any of
    them, with or without `nn.` or `torch.nn.` before; arguments are torch's, by position or by
    name, as literals. What does not alter sizes or counts (`count_include_pad`, `eps`, `inplace`)
    is taken and has no effect.

    Raises:
        ExpressionError: If the text is anything else; the message quotes the piece.
        ShapeError: If torch would refuse a layer's settings, or neighbours do not fit together.

    Example:
        >>> conv, relu, pool = parse_expression("Conv2d(3, 16, 3) > ReLU() > nn.MaxPool2d(2)")
        >>> conv.num_params, relu.expression, pool.expression
        (448, 'ReLU()', 'MaxPool2d(2)')
        >>> parse_expression("Conv2d(3, 16)")
        Traceback (most recent call last):
        atrous.errors.ExpressionError: 'Conv2d(3, 16)' lacks kernel_size, but Conv2d needs \
in_channels, out_channels, kernel_size; add what is missing.
    """
    calls = parse_calls(text, LAYER_NAMES)
    bound = [(call.name, _arguments(call)) for call in calls]
    layers: list[LayerSpec] = []
    spatial_dims = _first_dims(bound)
    for name, arguments in bound:
        if name in LAYERS:
            _, build, own_dims = LAYERS[name]
            layers.append(build(name, arguments, own_dims))
        else:
            layers.append(UNITS[name][2](name, arguments, spatial_dims))
        if name == "Flatten":
            spatial_dims = 0
    check_chain(layers)
    return tuple(layers)


def _first_dims(bound: Sequence[tuple[str, Arguments]]) -> int:
    """Spatial axes of what the first layer takes: those of the first layer that wants a number.

    Two, if none does, or if none does before the map is flattened.
    """
    for name, arguments in bound:
        dims = LAYERS[name][2] if name in LAYERS else axes_wanted(name, arguments)
        if dims is not None:
            return dims
        if name == "Flatten":
            break
    return 2


def parse_size(text: str, *, spatial_dims: int) -> Size:
    """A spatial size from `64` (every axis alike), `64x48` or `16x64x64`.

    Raises:
        ExpressionError: If the text is not positive whole numbers joined by `x`.
        ShapeError: If the number of axes is neither one nor `spatial_dims`, or there is no axis.

    Example:
        >>> parse_size("64", spatial_dims=2), parse_size("64x48", spatial_dims=2)
        ((64, 64), (64, 48))
    """
    pieces = text.split("x")
    if not all(re.fullmatch(r"0*[1-9][0-9]{0,8}", piece) for piece in pieces):
        raise ExpressionError(
            f"The size {quoted(text)} is not positive whole numbers joined by x; write it as 64, "
            "64x48 or 16x64x64."
        )
    lengths = tuple(int(piece) for piece in pieces)
    if not spatial_dims:
        raise ShapeError(
            f"The size {quoted(text)} is given, but features have no spatial axes; leave it out."
        )
    if len(lengths) == 1:
        return lengths * spatial_dims
    if len(lengths) != spatial_dims:
        raise ShapeError(
            f"The size {quoted(text)} has {len(lengths)} axes, but the layer works on "
            f"{spatial_dims}; give {spatial_dims} lengths, or one for all."
        )
    return lengths


def _arguments(call: LayerCall) -> Arguments:
    """Arguments by torch's names.

    Raises:
        ExpressionError: If there are too many, unknown ones, one twice, or too few.
    """
    layer = call.name
    names = LAYERS[layer][0] if layer in LAYERS else UNITS[layer][0]
    needed = [n for n in names if n in _REQUIRED] if layer in LAYERS else UNITS[layer][1]
    if len(call.positional) > len(names):
        raise ExpressionError(
            f"{quoted(call.text)} has {len(call.positional)} arguments, but {layer} takes at most "
            f"{len(names)}: {', '.join(names)}; leave some out."
        )
    arguments: dict[str, Value] = dict(zip(names, call.positional, strict=False))
    for name, value in call.keywords.items():
        if name not in names:
            raise ExpressionError(
                f"{layer} has no argument {quoted(name)}."
                f"{nearest(name, names)} It takes: {', '.join(names)}."
            )
        if name in arguments:
            raise ExpressionError(
                f"{quoted(call.text)} gives {name} twice, but it can have one value; leave one out."
            )
        arguments[name] = value
    missing = [name for name in needed if name not in arguments]
    if missing:
        raise ExpressionError(
            f"{quoted(call.text)} lacks {' and '.join(missing)}, but {layer} needs "
            f"{', '.join(needed)}; add what is missing."
        )
    return arguments
