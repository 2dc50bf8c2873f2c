"""Torch's layers as the expression reader knows them: argument names, and a builder each."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Final, Literal, TypeAlias, cast

from atrous.arithmetic.conv import ConvSpec, PaddingMode
from atrous.arithmetic.layer import LayerSpec
from atrous.arithmetic.pool import PoolSpec
from atrous.arithmetic.transposed import TransposedConvSpec
from atrous.errors import ExpressionError, ShapeError
from atrous.types import Size

Value: TypeAlias = int | str | tuple[int, ...] | None
"""A literal argument; bools are ints to the type checker and told apart where it matters."""
Arguments: TypeAlias = Mapping[str, Value]

_CONV = (
    "in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation", "groups", "bias",
    "padding_mode", "device", "dtype",
)  # fmt: skip
_TRANSPOSED = (
    "in_channels", "out_channels", "kernel_size", "stride", "padding", "output_padding", "groups",
    "bias", "dilation", "padding_mode", "device", "dtype",
)  # fmt: skip
_MAX_POOL = ("kernel_size", "stride", "padding", "dilation", "return_indices", "ceil_mode")
_AVG_POOL_1D = ("kernel_size", "stride", "padding", "ceil_mode", "count_include_pad")
_AVG_POOL = (*_AVG_POOL_1D, "divisor_override")


def _conv(layer: str, arguments: Arguments, spatial_dims: int) -> ConvSpec:
    _only(layer, arguments, "device", None)
    _only(layer, arguments, "dtype", None)
    return ConvSpec(
        in_channels=_number(layer, arguments, "in_channels"),
        out_channels=_number(layer, arguments, "out_channels"),
        kernel_size=_lengths(layer, arguments, "kernel_size", 1),
        stride=_lengths(layer, arguments, "stride", 1),
        padding=_padding(layer, arguments),
        dilation=_lengths(layer, arguments, "dilation", 1),
        groups=_number(layer, arguments, "groups", 1),
        bias=_flag(layer, arguments, "bias", default=True),
        # Any other word is refused by ConvSpec, which lists the four.
        padding_mode=cast("PaddingMode", arguments.get("padding_mode", "zeros")),
        spatial_dims=spatial_dims,
    )


def _transposed(layer: str, arguments: Arguments, spatial_dims: int) -> TransposedConvSpec:
    _only(layer, arguments, "device", None)
    _only(layer, arguments, "dtype", None)
    _only(layer, arguments, "padding_mode", "zeros")
    return TransposedConvSpec(
        in_channels=_number(layer, arguments, "in_channels"),
        out_channels=_number(layer, arguments, "out_channels"),
        kernel_size=_lengths(layer, arguments, "kernel_size", 1),
        stride=_lengths(layer, arguments, "stride", 1),
        padding=_lengths(layer, arguments, "padding", 0),
        output_padding=_lengths(layer, arguments, "output_padding", 0),
        groups=_number(layer, arguments, "groups", 1),
        bias=_flag(layer, arguments, "bias", default=True),
        dilation=_lengths(layer, arguments, "dilation", 1),
        spatial_dims=spatial_dims,
    )


def _max_pool(layer: str, arguments: Arguments, spatial_dims: int) -> PoolSpec:
    _flag(layer, arguments, "return_indices", default=False)
    return PoolSpec(
        kind="max",
        kernel_size=_lengths(layer, arguments, "kernel_size", 1),
        stride=_stride_or_none(layer, arguments),
        padding=_lengths(layer, arguments, "padding", 0),
        dilation=_lengths(layer, arguments, "dilation", 1),
        ceil_mode=_flag(layer, arguments, "ceil_mode", default=False),
        spatial_dims=spatial_dims,
    )


def _avg_pool(layer: str, arguments: Arguments, spatial_dims: int) -> PoolSpec:
    _flag(layer, arguments, "count_include_pad", default=True)
    if arguments.get("divisor_override") is not None and not _number(
        layer, arguments, "divisor_override"
    ):
        raise ShapeError(f"{layer} has divisor_override=0, but it divides by it; use another.")
    return PoolSpec(
        kind="average",
        kernel_size=_lengths(layer, arguments, "kernel_size", 1),
        stride=_stride_or_none(layer, arguments),
        padding=_lengths(layer, arguments, "padding", 0),
        ceil_mode=_flag(layer, arguments, "ceil_mode", default=False),
        spatial_dims=spatial_dims,
    )


Builder: TypeAlias = Callable[[str, Arguments, int], LayerSpec]
LAYERS: Final[Mapping[str, tuple[Sequence[str], Builder, int]]] = MappingProxyType(
    {
        "Conv1d": (_CONV, _conv, 1),
        "Conv2d": (_CONV, _conv, 2),
        "Conv3d": (_CONV, _conv, 3),
        "ConvTranspose1d": (_TRANSPOSED, _transposed, 1),
        "ConvTranspose2d": (_TRANSPOSED, _transposed, 2),
        "ConvTranspose3d": (_TRANSPOSED, _transposed, 3),
        "MaxPool1d": (_MAX_POOL, _max_pool, 1),
        "MaxPool2d": (_MAX_POOL, _max_pool, 2),
        "MaxPool3d": (_MAX_POOL, _max_pool, 3),
        "AvgPool1d": (_AVG_POOL_1D, _avg_pool, 1),
        "AvgPool2d": (_AVG_POOL, _avg_pool, 2),
        "AvgPool3d": (_AVG_POOL, _avg_pool, 3),
    }
)
"""Torch's argument names in order, the builder, and the number of spatial axes, by layer."""


def _number(layer: str, arguments: Arguments, name: str, default: int = 1) -> int:
    value = arguments.get(name, default)
    if not isinstance(value, int) or isinstance(value, bool):
        raise _wrong_kind(layer, name, value, "a whole number")
    return value


def _lengths(layer: str, arguments: Arguments, name: str, default: int) -> int | Size:
    value = arguments.get(name, default)
    if not isinstance(value, int | tuple) or isinstance(value, bool):
        raise _wrong_kind(layer, name, value, "a whole number or a tuple of them")
    return value


def _stride_or_none(layer: str, arguments: Arguments) -> int | Size | None:
    return None if arguments.get("stride") is None else _lengths(layer, arguments, "stride", 1)


def _padding(layer: str, arguments: Arguments) -> int | Size | Literal["same", "valid"]:
    match arguments.get("padding", 0):
        case "same":
            return "same"
        case "valid":
            return "valid"
        case str() as word:
            raise _wrong_kind(layer, "padding", word, "numbers, 'same' or 'valid'")
        case _:
            return _lengths(layer, arguments, "padding", 0)


def _flag(layer: str, arguments: Arguments, name: str, *, default: bool) -> bool:
    value = arguments.get(name, default)
    if not isinstance(value, bool):
        raise _wrong_kind(layer, name, value, "True or False")
    return value


def _only(layer: str, arguments: Arguments, name: str, accepted: Value) -> None:
    if name in arguments and arguments[name] != accepted:
        raise _wrong_kind(layer, name, arguments[name], repr(accepted))


def _wrong_kind(layer: str, name: str, value: Value, expected: str) -> ExpressionError:
    return ExpressionError(
        f"{layer} has {name}={shortened(repr(value))}, but {name} must be {expected}; write it so."
    )


def shortened(text: str) -> str:
    """A piece of an expression on one line of at most 60 characters."""
    line = " ".join(text.split())
    return line if len(line) <= 60 else f"{line[:57]}..."
