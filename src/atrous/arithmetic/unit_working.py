"""The working of what stands between convolutions: formula, the numbers put in, the result."""

from math import prod
from typing import TypeAlias, TypeGuard

from atrous.arithmetic.chain import receptive_field
from atrous.arithmetic.dense import FlattenSpec, LinearSpec
from atrous.arithmetic.layer import BYTES_PER_FLOAT32, LayerSpec
from atrous.arithmetic.pointwise import ActivationSpec, BatchNormSpec
from atrous.arithmetic.settings import by
from atrous.arithmetic.step import Step, each
from atrous.arithmetic.upsample import UpsampleSpec
from atrous.types import Size

Unit: TypeAlias = ActivationSpec | BatchNormSpec | FlattenSpec | LinearSpec | UpsampleSpec


def is_unit(layer: LayerSpec) -> TypeGuard[Unit]:
    """Whether a layer is none of convolution and pooling."""
    units = (ActivationSpec, BatchNormSpec, FlattenSpec, LinearSpec, UpsampleSpec)
    return isinstance(layer, units)


def unit_working(layer: Unit, size: Size | None = None) -> tuple[Step, ...]:
    """How each number of a unit comes about; those that depend on the size only if it is given.

    Raises:
        ShapeError: If the layer cannot take an input of that size.

    Example:
        >>> steps = unit_working(BatchNormSpec(num_features=24))
        >>> [(step.name, step.result) for step in steps[:3]]
        [('weights', '24'), ('biases', '24'), ('params', '48')]
    """
    steps = [*_params(layer)]
    if layer.axes:
        steps += _receptive_field(layer)
    if isinstance(layer, LinearSpec) or size is not None:
        steps += _at_size(layer, size or ())
    return tuple(steps)


def _step(name: str, formula: str, numbers: str, result: str) -> Step:
    return Step(name=name, formula=formula, numbers=numbers, result=result)


def _params(layer: Unit) -> list[Step]:
    match layer:
        case LinearSpec():
            weights = _step(
                "weights",
                "in x out",
                f"{layer.in_features} x {layer.out_features}",
                f"{layer.num_weights:,}",
            )
            biases = "one per output" if layer.bias else "none, as bias=False"
        case BatchNormSpec():
            learned = "per channel" if layer.affine else "none, as affine=False"
            weights = _step("weights", f"one scale {learned}", "", f"{layer.num_weights:,}")
            biases = f"one shift {learned}"
        case ActivationSpec(num_parameters=count) if count:
            weights = _step("weights", "one slope per parameter", "", f"{count:,}")
            biases = "none"
        case UpsampleSpec():
            return [_step("params", "interpolation learns nothing", "", "0")]
        case FlattenSpec():
            return [_step("params", "laying out anew learns nothing", "", "0")]
        case _:
            return [_step("params", "an activation learns nothing", "", "0")]
    params = _step(
        "params",
        "weights + biases",
        f"{layer.num_weights:,} + {layer.num_biases:,}",
        f"{layer.num_params:,}",
    )
    steps = [weights, _step("biases", biases, "", f"{layer.num_biases:,}"), params]
    if isinstance(layer, BatchNormSpec):
        formula = "a mean and a variance per channel, and a count"
        numbers = f"2 x {layer.num_features} + 1" if layer.track_running_stats else ""
        steps.append(_step("buffers", formula, numbers, f"{layer.num_buffers:,}"))
    return steps


def _receptive_field(layer: Unit) -> list[Step]:
    field = receptive_field([layer])
    if isinstance(layer, UpsampleSpec):
        reads = "the nearest input" if layer.mode == "nearest" else "the two inputs around it"
        kernel = _step(
            "effective kernel",
            f"as a transposed convolution with stride {each(layer.factors, str)}",
            "",
            by(layer.effective_kernel_size),
        )
        jump = f"1 / {each(layer.factors, str)}"
    else:
        reads, jump = "its own position", "1"
        kernel = _step("effective kernel", "one position", "", by(layer.effective_kernel_size))
    return [
        kernel,
        _step("receptive field", reads, "", by(field.size)),
        _step("jump", jump, "", each(field.jump, str)),
        _step("start", "first input that output 0 reads", "", each(field.start, str)),
        _step("centre", "middle of the window of output 0", "", each(field.centre, str)),
    ]


def _at_size(layer: Unit, size: Size) -> list[Step]:
    output = layer.output_size(size)
    match layer:
        case LinearSpec():
            macs = _step("MACs", "each weight once", "", f"{layer.macs(size):,}")
            return [macs, _memory(layer.out_features, output)]
        case FlattenSpec():
            sizes = _step(
                "output features", "channels x positions", f"C x {by(size)}", f"C x {prod(size):,}"
            )
        case UpsampleSpec():
            pairs = tuple(zip(size, layer.factors, strict=True))
            sizes = _step(
                "output size", "in x factor", each(pairs, lambda p: f"{p[0]} x {p[1]}"), by(output)
            )
        case _:
            sizes = _step("output size", "as before it", "", by(output))
    counts = "interpolation is not counted" if isinstance(layer, UpsampleSpec) else "no products"
    macs = _step("MACs", counts, "", "0")
    if isinstance(layer, BatchNormSpec):
        macs = _step("MACs", "one scale and shift per number, not counted", "", "0")
        return [sizes, macs, _memory(layer.num_features, output)]
    return [sizes, macs]


def _memory(channels: int, size: Size) -> Step:
    positions = f" x {by(size)}" if size else ""
    return _step(
        "activation memory",
        "out x positions x bytes of a float32" if size else "out x bytes of a float32",
        f"{channels}{positions} x {BYTES_PER_FLOAT32}",
        f"{channels * prod(size) * BYTES_PER_FLOAT32:,} bytes",
    )
