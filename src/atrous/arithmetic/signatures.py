"""Torch's layers as the expression reader knows them: argument names, and a builder each."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Final, Literal, TypeAlias, cast

from atrous.arithmetic.conv import ConvSpec, PaddingMode
from atrous.arithmetic.layer import LayerSpec
from atrous.arithmetic.literals import Arguments, flag, lengths, number, only, wrong_kind
from atrous.arithmetic.pool import PoolSpec
from atrous.arithmetic.transposed import TransposedConvSpec
from atrous.errors import ShapeError
from atrous.types import Size

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
    only(layer, arguments, "device", None)
    only(layer, arguments, "dtype", None)
    return ConvSpec(
        in_channels=number(layer, arguments, "in_channels"),
        out_channels=number(layer, arguments, "out_channels"),
        kernel_size=lengths(layer, arguments, "kernel_size", 1),
        stride=lengths(layer, arguments, "stride", 1),
        padding=_padding(layer, arguments),
        dilation=lengths(layer, arguments, "dilation", 1),
        groups=number(layer, arguments, "groups", 1),
        bias=flag(layer, arguments, "bias", default=True),
        # Any other word is refused by ConvSpec, which lists the four.
        padding_mode=cast("PaddingMode", arguments.get("padding_mode", "zeros")),
        spatial_dims=spatial_dims,
    )


def _transposed(layer: str, arguments: Arguments, spatial_dims: int) -> TransposedConvSpec:
    only(layer, arguments, "device", None)
    only(layer, arguments, "dtype", None)
    only(layer, arguments, "padding_mode", "zeros")
    return TransposedConvSpec(
        in_channels=number(layer, arguments, "in_channels"),
        out_channels=number(layer, arguments, "out_channels"),
        kernel_size=lengths(layer, arguments, "kernel_size", 1),
        stride=lengths(layer, arguments, "stride", 1),
        padding=lengths(layer, arguments, "padding", 0),
        output_padding=lengths(layer, arguments, "output_padding", 0),
        groups=number(layer, arguments, "groups", 1),
        bias=flag(layer, arguments, "bias", default=True),
        dilation=lengths(layer, arguments, "dilation", 1),
        spatial_dims=spatial_dims,
    )


def _max_pool(layer: str, arguments: Arguments, spatial_dims: int) -> PoolSpec:
    flag(layer, arguments, "return_indices", default=False)
    return PoolSpec(
        kind="max",
        kernel_size=lengths(layer, arguments, "kernel_size", 1),
        stride=_stride_or_none(layer, arguments),
        padding=lengths(layer, arguments, "padding", 0),
        dilation=lengths(layer, arguments, "dilation", 1),
        ceil_mode=flag(layer, arguments, "ceil_mode", default=False),
        spatial_dims=spatial_dims,
    )


def _avg_pool(layer: str, arguments: Arguments, spatial_dims: int) -> PoolSpec:
    flag(layer, arguments, "count_include_pad", default=True)
    if arguments.get("divisor_override") is not None and not number(
        layer, arguments, "divisor_override"
    ):
        raise ShapeError(f"{layer} has divisor_override=0, but it divides by it; use another.")
    return PoolSpec(
        kind="average",
        kernel_size=lengths(layer, arguments, "kernel_size", 1),
        stride=_stride_or_none(layer, arguments),
        padding=lengths(layer, arguments, "padding", 0),
        ceil_mode=flag(layer, arguments, "ceil_mode", default=False),
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


def _stride_or_none(layer: str, arguments: Arguments) -> int | Size | None:
    return None if arguments.get("stride") is None else lengths(layer, arguments, "stride", 1)


def _padding(layer: str, arguments: Arguments) -> int | Size | Literal["same", "valid"]:
    match arguments.get("padding", 0):
        case "same":
            return "same"
        case "valid":
            return "valid"
        case str() as word:
            raise wrong_kind(layer, "padding", word, "numbers, 'same' or 'valid'")
        case _:
            return lengths(layer, arguments, "padding", 0)
