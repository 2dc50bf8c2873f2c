"""What a block of ours costs and sees, layer by layer, from its name and its literal arguments."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from fractions import Fraction
from inspect import Parameter, signature
from typing import TYPE_CHECKING, Any, Final, get_type_hints

import torch
from torch import Tensor, nn

from atrous import blocks
from atrous.analysis import profile, receptive_field
from atrous.arithmetic import LayerSpec, parse_expression, working
from atrous.arithmetic.literals import shortened
from atrous.arithmetic.syntax import LayerCall
from atrous.errors import ExpressionError
from atrous.types import Size

if TYPE_CHECKING:
    from atrous.analysis import Field, LayerProfile, Profile, ReceptiveField

USUAL_LENGTH: Final = 64
"""Input length along each axis that fields are followed at, if no size is given."""
_CHANNELS: Final = ("in_channels", "channels", "num_channels")


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainedLayer:
    """One layer of a block, in order of execution.

    Attributes:
        name: Dotted name in the block.
        expression: The layer in torch's words; its class, if it has no such words.
        weights: Learned numbers without the biases.
        biases: Learned numbers that are added.
        weights_working: The numbers that multiply to `weights`; empty if there are none.
        kernel: Positions from the first to the last tap per axis; None where that says nothing.
        field: What one output sees of the block's input; None if it sees nothing.
        output_shape: Channels and spatial lengths; None if the layer did not run.
        macs: Multiply-accumulates at the size of the run, biases not counted.
    """

    name: str
    expression: str
    weights: int
    biases: int
    weights_working: str
    kernel: Size | None
    field: "Field | None"
    output_shape: tuple[int, ...] | None
    macs: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """A block, or a chain with one in it: its layers, and all of it together.

    Attributes:
        expression: What was asked for.
        size: Spatial lengths of the input that it was run at.
        layers: One row for each layer that holds no others.
        cost: Parameters and MACs of all of it.
        seen: Field of its output.
    """

    expression: str
    size: Size
    layers: tuple[ExplainedLayer, ...]
    cost: "Profile"
    seen: "ReceptiveField"


def explain_blocks(calls: Sequence[LayerCall], size: Size | None) -> Explained:
    """Build the layers and blocks that an expression names, and measure them in eval mode.

    Args:
        calls: First to last; each is a layer of torch that is known on paper, or a block.
        size: Spatial lengths of the input; `USUAL_LENGTH` along each axis if None.

    Raises:
        ExpressionError: If the arguments of a block cannot be used.
        ShapeError: If a block refuses its settings, or the layers do not fit together.
    """
    lengths = (USUAL_LENGTH,) * spatial_dims_of(calls) if size is None else size
    modules = [_build(call) for call in calls]
    model = (modules[0] if len(modules) == 1 else nn.Sequential(*modules)).eval()
    channels = next((c for c in map(_channels_in, calls) if c is not None), None)
    cost = profile(model, lengths, in_channels=channels, with_fields=True)
    leaves = {name for name, module in model.named_modules() if not list(module.children())}
    return Explained(
        expression=" > ".join(call.text for call in calls),
        size=tuple(lengths),
        layers=tuple(
            _explained(row, model.get_submodule(row.name), calls[0].name)
            for row in cost.layers
            if row.name in leaves
        ),
        cost=cost,
        seen=receptive_field(model, lengths, in_channels=channels, counts_holes=False),
    )


def spatial_dims_of(calls: Sequence[LayerCall]) -> int:
    """Spatial axes that the first layer or block which tells works on; two if none does."""
    return next((d for d in map(_spatial_dims, calls) if d is not None), 2)


def _explained(row: "LayerProfile", module: nn.Module, whole: str) -> ExplainedLayer:
    spec = _spec(module)
    steps = {} if spec is None else {step.name: step for step in working(spec)}
    return ExplainedLayer(
        name=row.name or whole,
        expression=row.kind if spec is None else spec.expression,
        weights=row.weights,
        biases=row.biases,
        weights_working=steps["weights"].numbers if "weights" in steps else "",
        kernel=None if spec is None else spec.effective_kernel_size,
        field=row.field,
        output_shape=None if row.output_shape is None else row.output_shape[1:],
        macs=row.own_macs,
    )


def _spec(module: nn.Module) -> LayerSpec | None:
    """A layer of torch as it stands on paper; None if it is none of those that are known."""
    described = _DESCRIBED.get(re.sub(r"[123]d$", "", type(module).__name__))
    if described is None:
        return None
    text = f"{type(module).__name__}({', '.join(described(module))})"
    try:
        (spec,) = parse_expression(text)
    except (ExpressionError, ValueError):  # another class of that name
        return None
    return spec


def _keywords(module: nn.Module, *names: str) -> list[str]:
    """Settings as they are written: one number where all axes agree."""
    found = []
    for name in names:
        value = getattr(module, name)
        is_alike = isinstance(value, tuple) and len(set(value)) == 1
        found.append(f"{name}={value[0] if is_alike else value!r}")
    return found


_DESCRIBED: Final[Mapping[str, Callable[[nn.Module], list[str]]]] = {
    "Conv": lambda m: [
        *_keywords(m, "in_channels", "out_channels", "kernel_size", "stride", "padding"),
        *_keywords(m, "dilation", "groups", "padding_mode"),
        f"bias={m.bias is not None}",
    ],
    "ConvTranspose": lambda m: [
        *_keywords(m, "in_channels", "out_channels", "kernel_size", "stride", "padding"),
        *_keywords(m, "output_padding", "groups", "dilation"),
        f"bias={m.bias is not None}",
    ],
    "BatchNorm": lambda m: _keywords(m, "num_features", "affine", "track_running_stats"),
    "MaxPool": lambda m: _keywords(m, "kernel_size", "stride", "padding", "dilation", "ceil_mode"),
    "AvgPool": lambda m: _keywords(m, "kernel_size", "stride", "padding", "ceil_mode"),
    "PReLU": lambda m: _keywords(m, "num_parameters"),
    "ReLU": lambda _: [],
    "SiLU": lambda _: [],
    "Sigmoid": lambda _: [],
    "Identity": lambda _: [],
    "Dropout": lambda _: [],
}
"""Arguments by which each class of torch, without its dimension, is written on paper."""


def _build(call: LayerCall) -> nn.Module:
    if not hasattr(blocks, call.name):
        parse_expression(call.text)  # refuses what torch would refuse, in our words
        return getattr(nn, call.name)(*call.positional, **call.keywords)
    kind = getattr(blocks, call.name)
    bound = _bind(call, kind)
    block = kind(**bound)
    if call.name in _SECOND_INPUTS:
        return _Widened(block, _SECOND_INPUTS[call.name], bound)
    return block


def _bind(call: LayerCall, kind: type[nn.Module]) -> dict[str, object]:
    """Literal arguments by name, made into what the block takes."""
    wanted = signature(kind)
    try:
        arguments = wanted.bind(*call.positional, **call.keywords).arguments
    except TypeError as error:
        names = ", ".join(
            name if p.default is Parameter.empty else f"{name}=…"
            for name, p in wanted.parameters.items()
        )
        raise ExpressionError(
            f"{shortened(call.text)!r} cannot be built: {error}; {call.name} takes: {names}."
        ) from error
    hints = get_type_hints(kind.__init__)
    return {name: _value(value, hints.get(name)) for name, value in arguments.items()}


def _value(value: object, hint: object) -> object:
    """A tuple for a table of widths, and a text such as `"1, 1/2"` for fractions."""
    if is_dataclass(hint) and isinstance(hint, type) and isinstance(value, tuple):
        return hint(**{f.name: v for f, v in zip(fields(hint), value, strict=False)})
    if "Fraction" in str(hint) and isinstance(value, str):
        try:
            return tuple(Fraction(piece.strip()) for piece in value.split(","))
        except (ValueError, ZeroDivisionError) as error:
            raise ExpressionError(
                f"{shortened(value)!r} is no list of fractions; write it as '1, 1/2, 1/4'."
            ) from error
    return value


class _Widened(nn.Module):
    """A level of a decoder as a block of one input; the other has twice the size, and zeros."""

    def __init__(self, block: nn.Module, second: str, arguments: Mapping[str, Any]) -> None:
        super().__init__()
        self.block, self.second = block, second
        self.channels = arguments.get("skip_channels", 0)

    def forward(self, x: Tensor) -> Tensor:
        size = tuple(2 * n for n in x.shape[2:])
        if self.second == "size":
            return self.block(x, size)
        return self.block(x, torch.zeros(x.shape[0], self.channels, *size, dtype=x.dtype))


_SECOND_INPUTS: Final[Mapping[str, str]] = {"DecoderLevel": "size", "SkipLevel": "skip"}
"""Blocks that take a second input, and what that is."""


def _spatial_dims(call: LayerCall) -> int | None:
    if hasattr(blocks, call.name):
        wanted = signature(getattr(blocks, call.name)).parameters.get("spatial_dims")
        dims = call.keywords.get("spatial_dims", 2 if wanted is None else wanted.default)
        return dims if isinstance(dims, int) else None
    (spec,) = parse_expression(call.text)
    return len(spec.axes) if spec.channels_in is not None else None


def _channels_in(call: LayerCall) -> int | None:
    if not hasattr(blocks, call.name):
        return parse_expression(call.text)[0].channels_in
    bound = _bind(call, getattr(blocks, call.name))
    given = [bound[name] for name in _CHANNELS if name in bound]
    return next((count for count in given if isinstance(count, int)), None)
