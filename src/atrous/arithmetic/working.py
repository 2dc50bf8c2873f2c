"""The working of one layer's numbers: formula, the numbers put in, and the result."""

from math import prod

from atrous.arithmetic.axis import SlidingAxis, TransposedAxis
from atrous.arithmetic.chain import receptive_field
from atrous.arithmetic.layer import BYTES_PER_FLOAT32, LayerSpec, LearnedLayerSpec
from atrous.arithmetic.settings import by
from atrous.arithmetic.step import Step, each
from atrous.arithmetic.transposed import TransposedConvSpec
from atrous.arithmetic.unit_working import is_unit, unit_working
from atrous.types import Size


def working(layer: LayerSpec, size: Size | None = None) -> tuple[Step, ...]:
    """How each number of a layer comes about; those that depend on the size only if it is given.

    Axes that agree are written once, others in the tensor's order with commas between.

    Raises:
        ShapeError: If the layer cannot take an input of that size.

    Example:
        >>> from atrous.arithmetic import ConvSpec
        >>> steps = working(ConvSpec(in_channels=12, out_channels=24, kernel_size=3))
        >>> steps[0].formula, steps[0].numbers, steps[0].result
        ('in x out x taps / groups', '12 x 24 x 3x3 / 1', '2,592')
    """
    if is_unit(layer):
        return unit_working(layer, size)
    steps = [*_params(layer), _effective_kernel(layer), *_receptive_field(layer)]
    if size is not None:
        steps += [_output_size(layer, size), _macs(layer, size), *_memory(layer, size)]
    return tuple(steps)


def _params(layer: LayerSpec) -> tuple[Step, ...]:
    if not isinstance(layer, LearnedLayerSpec):
        return (Step(name="params", formula="pooling learns nothing", numbers="", result="0"),)
    taps = by(tuple(axis.kernel_size for axis in layer.axes))
    weights = Step(
        name="weights",
        formula="in x out x taps / groups",
        numbers=f"{layer.in_channels} x {layer.out_channels} x {taps} / {layer.groups}",
        result=f"{layer.num_weights:,}",
    )
    biases = Step(
        name="biases",
        formula="one per output channel" if layer.bias else "none, as bias=False",
        numbers="",
        result=f"{layer.num_biases:,}",
    )
    params = Step(
        name="params",
        formula="weights + biases",
        numbers=f"{layer.num_weights:,} + {layer.num_biases:,}",
        result=f"{layer.num_params:,}",
    )
    return weights, biases, params


def _effective_kernel(layer: LayerSpec) -> Step:
    return Step(
        name="effective kernel",
        formula="dilation x (kernel - 1) + 1",
        numbers=each(layer.axes, lambda axis: f"{axis.dilation} x ({axis.kernel_size} - 1) + 1"),
        result=by(layer.effective_kernel_size),
    )


def _receptive_field(layer: LayerSpec) -> tuple[Step, ...]:
    field = receptive_field([layer])
    if isinstance(layer, TransposedConvSpec):
        size_formula = "inputs that the taps of an output meet, at its widest phase"
        size_numbers = each(
            layer.axes,
            lambda axis: (
                f"{axis.kernel_size} taps {axis.dilation} apart, an input every {axis.stride}"
            ),
        )
        jump_formula, start_formula = "1 / stride", "first input that output 0 reads"
        if any(not axis.reads(0) for axis in layer.axes):
            start_formula = "first input of the first output that reads any, less output x jump"
        start_numbers = ""
    else:
        size_formula = "1 + (effective kernel - 1) x 1"
        size_numbers = each(layer.effective_kernel_size, lambda span: f"1 + ({span} - 1) x 1")
        jump_formula, start_formula = "stride x 1", "0 - padding before x 1"
        start_numbers = each(layer.axes, lambda axis: f"0 - {axis.padding_before} x 1")
    return (
        Step(
            name="receptive field",
            formula=size_formula,
            numbers=size_numbers,
            result=by(field.size),
        ),
        Step(name="jump", formula=jump_formula, numbers="", result=each(field.jump, str)),
        Step(
            name="start",
            formula=start_formula,
            numbers=start_numbers,
            result=each(field.start, str),
        ),
        Step(
            name="centre",
            formula="middle of the window of output 0",
            numbers="",
            result=each(field.centre, str),
        ),
    )


def _output_size(layer: LayerSpec, size: Size) -> Step:
    if isinstance(layer, TransposedConvSpec):
        formula = "(in - 1) x stride - padding + effective kernel + output_padding"
        numbers = each(
            tuple(zip(layer.axes, size, strict=True)), lambda pair: _transposed_length(*pair)
        )
    else:
        sliding = [axis for axis in layer.axes if isinstance(axis, SlidingAxis)]
        rounding = "ceil" if sliding[0].ceil_mode else "floor"
        formula = f"{rounding}((in + padding - effective kernel) / stride) + 1"
        numbers = each(tuple(zip(sliding, size, strict=True)), lambda pair: _sliding_length(*pair))
    return Step(
        name="output size", formula=formula, numbers=numbers, result=by(layer.output_size(size))
    )


def _sliding_length(axis: SlidingAxis, length: int) -> str:
    rounding = "ceil" if axis.ceil_mode else "floor"
    padding = axis.padding_before + axis.padding_after
    room = f"({length} + {padding} - {axis.effective_kernel_size})"
    text = f"{rounding}({room} / {axis.stride}) + 1"
    exact = length + padding - axis.effective_kernel_size
    if axis.ceil_mode and axis.output_length(length) < -(-exact // axis.stride) + 1:
        text += " - 1 (the last window would start in the padding)"
    return text


def _transposed_length(axis: TransposedAxis, length: int) -> str:
    return (
        f"({length} - 1) x {axis.stride} - {2 * axis.padding} + {axis.effective_kernel_size} "
        f"+ {axis.output_padding}"
    )


def _macs(layer: LayerSpec, size: Size) -> Step:
    if not isinstance(layer, LearnedLayerSpec):
        return Step(name="MACs", formula="pooling multiplies nothing", numbers="", result="0")
    is_transposed = isinstance(layer, TransposedConvSpec)
    grid = size if is_transposed else layer.output_size(size)
    return Step(
        name="MACs",
        formula=f"{'input' if is_transposed else 'output'} positions x weights",
        numbers=f"{by(grid)} x {layer.num_weights:,}",
        result=f"{layer.macs(size):,}",
    )


def _memory(layer: LayerSpec, size: Size) -> tuple[Step, ...]:
    if layer.channels_out is None:
        return ()
    output = layer.output_size(size)
    num_bytes = layer.channels_out * prod(output) * BYTES_PER_FLOAT32
    return (
        Step(
            name="activation memory",
            formula="out x positions x bytes of a float32",
            numbers=f"{layer.channels_out} x {by(output)} x {BYTES_PER_FLOAT32}",
            result=f"{num_bytes:,} bytes",
        ),
    )
