"""Torch's layers that stand between convolutions, as the expression reader knows them."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Final, TypeAlias, cast

from atrous.arithmetic.dense import FlattenSpec, LinearSpec
from atrous.arithmetic.layer import LayerSpec
from atrous.arithmetic.literals import Arguments, flag, lengths, number, only, real
from atrous.arithmetic.pointwise import ActivationSpec, BatchNormSpec
from atrous.arithmetic.upsample import LINEAR_DIMS, UpsampleMode, UpsampleSpec
from atrous.errors import ExpressionError, ShapeError

UnitBuilder: TypeAlias = Callable[[str, Arguments, int], LayerSpec]
"""From torch's name, the arguments, and the spatial axes of the map before the layer."""

_NORM = (
    "num_features", "eps", "momentum", "affine", "track_running_stats", "device", "dtype",
)  # fmt: skip


def _activation(layer: str, arguments: Arguments, spatial_dims: int) -> ActivationSpec:
    flag(layer, arguments, "inplace", default=False)
    for name in ("p", "alpha", "negative_slope"):
        real(layer, arguments, name)
    return ActivationSpec(kind=layer, spatial_dims=spatial_dims)


def _prelu(layer: str, arguments: Arguments, spatial_dims: int) -> ActivationSpec:
    real(layer, arguments, "init")
    return ActivationSpec(
        kind=layer,
        num_parameters=number(layer, arguments, "num_parameters", 1),
        spatial_dims=spatial_dims,
    )


def _batch_norm(layer: str, arguments: Arguments, spatial_dims: int) -> BatchNormSpec:
    map_dims = int(layer.removeprefix("BatchNorm").removesuffix("d"))
    if spatial_dims != map_dims and (map_dims, spatial_dims) != (1, 0):
        raise ShapeError(
            f"{layer} works on {map_dims} spatial axes, but what is before it has {spatial_dims}; "
            f"use BatchNorm{max(spatial_dims, 1)}d."
        )
    for name in ("eps", "momentum"):
        real(layer, arguments, name)
    return BatchNormSpec(
        num_features=number(layer, arguments, "num_features"),
        affine=flag(layer, arguments, "affine", default=True),
        track_running_stats=flag(layer, arguments, "track_running_stats", default=True),
        map_dims=map_dims,
        spatial_dims=spatial_dims,
    )


def _linear(layer: str, arguments: Arguments, spatial_dims: int) -> LinearSpec:
    if spatial_dims:
        raise ShapeError(
            f"Linear works on features, but what is before it is a map of {spatial_dims} spatial "
            "axes; put Flatten() between them."
        )
    return LinearSpec(
        in_features=number(layer, arguments, "in_features"),
        out_features=number(layer, arguments, "out_features"),
        bias=flag(layer, arguments, "bias", default=True),
    )


def _flatten(layer: str, arguments: Arguments, spatial_dims: int) -> FlattenSpec:
    only(layer, arguments, "start_dim", 1)
    only(layer, arguments, "end_dim", -1)
    return FlattenSpec(spatial_dims=spatial_dims)


def _upsample(layer: str, arguments: Arguments, spatial_dims: int) -> UpsampleSpec:
    only(layer, arguments, "size", None)
    if arguments.get("align_corners"):
        raise ExpressionError(
            "Upsample has align_corners=True, by which what an output reads depends on the size; "
            "leave it out, or measure a model by atrous profile."
        )
    mode = arguments.get("mode", "nearest")
    if "scale_factor" not in arguments:
        raise ExpressionError("Upsample lacks scale_factor, a whole number; write it so.")
    return UpsampleSpec(
        scale_factor=lengths(layer, arguments, "scale_factor", 1),
        mode=cast("UpsampleMode", mode),  # any other word is refused by UpsampleSpec
        spatial_dims=spatial_dims,
    )


def axes_wanted(layer: str, arguments: Arguments) -> int | None:
    """Spatial axes that a unit can only stand behind; None if it takes any map."""
    if layer == "Linear":
        return 0
    if layer.startswith("BatchNorm"):
        return int(layer.removeprefix("BatchNorm").removesuffix("d"))
    if layer == "Upsample":
        factor = arguments.get("scale_factor")
        mode = arguments.get("mode")
        return len(factor) if isinstance(factor, tuple) else LINEAR_DIMS.get(str(mode))
    return None


UNITS: Final[Mapping[str, tuple[Sequence[str], Sequence[str], UnitBuilder]]] = MappingProxyType(
    {
        "ReLU": (("inplace",), (), _activation),
        "ReLU6": (("inplace",), (), _activation),
        "LeakyReLU": (("negative_slope", "inplace"), (), _activation),
        "PReLU": (("num_parameters", "init", "device", "dtype"), (), _prelu),
        "ELU": (("alpha", "inplace"), (), _activation),
        "GELU": (("approximate",), (), _activation),
        "SiLU": (("inplace",), (), _activation),
        "Hardswish": (("inplace",), (), _activation),
        "Sigmoid": ((), (), _activation),
        "Tanh": ((), (), _activation),
        "Dropout": (("p", "inplace"), (), _activation),
        "Dropout2d": (("p", "inplace"), (), _activation),
        "Dropout3d": (("p", "inplace"), (), _activation),
        "Identity": ((), (), _activation),
        "BatchNorm1d": (_NORM, ("num_features",), _batch_norm),
        "BatchNorm2d": (_NORM, ("num_features",), _batch_norm),
        "BatchNorm3d": (_NORM, ("num_features",), _batch_norm),
        "Linear": (
            ("in_features", "out_features", "bias", "device", "dtype"),
            ("in_features", "out_features"),
            _linear,
        ),
        "Flatten": (("start_dim", "end_dim"), (), _flatten),
        "Upsample": (
            ("size", "scale_factor", "mode", "align_corners", "recompute_scale_factor"),
            (),
            _upsample,
        ),
    }
)
"""Torch's argument names in order, those that must be given, and the builder, by layer."""
