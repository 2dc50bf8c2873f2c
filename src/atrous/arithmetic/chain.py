"""Layers one after another: what each costs, and how far back one output position sees."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import lcm

from atrous.arithmetic.axis import LayerAxis
from atrous.arithmetic.dense import FlattenSpec
from atrous.arithmetic.flattened import before_flatten, field_axes
from atrous.arithmetic.layer import LayerSpec, activation_bytes
from atrous.errors import ShapeError
from atrous.types import Size

MAX_READS = 2_000_000
"""Taps that may be followed one by one before a chain is refused; about a second of work."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceptiveField:
    """What one output position of a chain of layers sees of the input, per axis.

    Borders are not clipped: `start` is negative inside the padding. Behind a transposed
    convolution with a stride, neighbouring outputs (its phases) see different extents, since each
    tap meets an input only at some of them; the fields say what that means for each.
    """

    size: Size
    """Positions from the first to the last that an output reads; the largest over the phases.
    There can be holes between (see `coverage`). 0 only if no output reads anything."""
    jump: tuple[Fraction, ...]
    """Input positions per step on the output: whole, or a fraction after a step up. Exact, as the
    mean over the phases."""
    start: tuple[Fraction, ...]
    """First position that output 0 reads. If that output reads nothing (a transposed kernel shorter
    than its stride), the first position that the first output `i` reads that does read, carried
    back by `i * jump`, which may be a fraction."""
    centre: tuple[Fraction, ...]
    """Middle of the window of output 0; that of output `i` is `centre + i * jump`, in all phases.
    Without transposed convolutions it is `start + (size - 1) / 2`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerCost:
    """One row of a chain's table: a layer, and what it makes of the chain's input."""

    layer: LayerSpec
    receptive_field: ReceptiveField
    """Of this layer's output in the chain's input."""
    num_channels: int | None
    """After the layer; None before the first layer that fixes them (pools alone do not)."""
    output_size: Size | None
    """None, as `macs` and `num_bytes` are, if the size of the input was not given."""
    macs: int | None
    num_bytes: int | None
    """Memory of the layer's output for one float32 sample."""


def check_chain(layers: Sequence[LayerSpec]) -> None:
    """Pass if each layer can take what the layer before it gives.

    Raises:
        ShapeError: If there is no layer, or neighbours differ in spatial axes or in channels.
    """
    if not layers:
        raise ShapeError("The chain has no layers, but it needs at least one; add a layer.")
    first = layers[0]
    giver: LayerSpec | None = None
    is_flat = False
    for number, layer in enumerate(layers, start=1):
        if len(layer.axes) != (0 if is_flat else len(first.axes)):
            giving = "is flattened before it" if is_flat else f"works on {len(first.axes)}"
            raise ShapeError(
                f"Layer {number}, {layer.expression}, works on {len(layer.axes)} spatial axes, "
                f"but layer 1, {first.expression}, {giving}; use layers of one dimension, and "
                "Flatten() before Linear."
            )
        if isinstance(layer, FlattenSpec):
            is_flat, giver = True, None
        if giver is not None and layer.channels_in not in (None, giver.channels_out):
            raise ShapeError(
                f"Layer {number}, {layer.expression}, takes {layer.channels_in} channels, but "
                f"{giver.expression} before it gives {giver.channels_out}; make them equal."
            )
        if layer.channels_out is not None:
            giver = layer


def receptive_field(layers: Sequence[LayerSpec], size: Size | None = None) -> ReceptiveField:
    """The theoretical receptive field of the last layer's output in the first layer's input.

    Exact for every setting: size and start are those of the set of inputs that are really read.

    Args:
        layers: First to last.
        size: Of the first layer's input; only a linear layer behind `Flatten` needs it.

    Raises:
        ShapeError: If the layers do not fit together, upsample by so much that their phases cannot
            be followed one by one, or need a size that is not given.

    Example:
        Three 3x3 convolutions see what one 7x7 sees; a dilation of 2 makes 3x3 see 5x5.

        >>> from atrous.arithmetic import ConvSpec
        >>> plain = ConvSpec(in_channels=8, out_channels=8, kernel_size=3)
        >>> receptive_field([plain, plain, plain]).size
        (7, 7)
        >>> dilated = ConvSpec(in_channels=8, out_channels=8, kernel_size=3, dilation=2, padding=2)
        >>> field = receptive_field([dilated])
        >>> field.size, [str(position) for position in field.start]
        ((5, 5), ['-2', '-2'])

    Source: the recursion r += (k_e - 1) * j, j *= s, start -= p * j; transposed convolutions by
        following their taps backwards.
    """
    check_chain(layers)
    return _field(field_axes(layers, size))


def chain_costs(layers: Sequence[LayerSpec], size: Size | None = None) -> tuple[LayerCost, ...]:
    """What each layer of a chain costs and sees; sizes and operations only if `size` is given.

    Raises:
        ShapeError: If the layers do not fit together, or one cannot take what reaches it; the
            message names the layer.
    """
    check_chain(layers)
    costs = []
    axes = field_axes(layers, size)
    given = [layer.channels_in for layer in before_flatten(layers)]
    channels = next((count for count in given if count is not None), None)
    for number, layer in enumerate(layers, start=1):
        channels = _channels_after(layer, channels, size)
        macs = None
        if size is not None:
            try:
                macs, size = layer.macs(size), layer.output_size(size)
            except ShapeError as error:
                if len(layers) == 1:
                    raise
                raise ShapeError(f"Layer {number} of {len(layers)}: {error}") from error
        costs.append(
            LayerCost(
                layer=layer,
                receptive_field=_field(axes[:number]),
                num_channels=channels,
                output_size=size,
                macs=macs,
                num_bytes=None
                if size is None or channels is None
                else activation_bytes(channels, size),
            )
        )
    return tuple(costs)


def _channels_after(layer: LayerSpec, channels: int | None, size: Size | None) -> int | None:
    """Channels, or features, that a layer gives; None if they are not known."""
    if isinstance(layer, FlattenSpec):
        return None if channels is None or size is None else layer.features(channels, size)
    if layer.channels_in is not None and channels not in (None, layer.channels_in):
        raise ShapeError(
            f"{layer.expression} takes {layer.channels_in}, but what is before it gives {channels} "
            "on an input of this size; make them equal."
        )
    return channels if layer.channels_out is None else layer.channels_out


def _field(layer_axes: Sequence[Sequence[LayerAxis]]) -> ReceptiveField:
    chains = list(zip(*layer_axes, strict=True))
    extents = [extent(axes) for axes in chains]
    lines = [_centre_line(axes) for axes in chains]
    return ReceptiveField(
        size=tuple(one.size for one in extents),
        jump=tuple(jump for _, jump in lines),
        start=tuple(one.start for one in extents),
        centre=tuple(centre for centre, _ in lines),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """First read of output 0, the widest read of any output, and an output that has it."""

    start: Fraction
    size: int
    widest_output: int


def extent(axes: Sequence[LayerAxis]) -> Extent:
    """Exact extent of a chain along one axis.

    Sliding windows keep the ends of an interval exact, so an interval is enough for them. Behind a
    step up the taps meet inputs only here and there, so from the output back to the first step up
    the positions are followed one by one, for each phase.
    """
    window_start, last = _interval(axes, 0, 0)
    start = Fraction(window_start)
    steps_up = [number for number, axis in enumerate(axes) if axis.jump_factor < 1]
    if not steps_up:
        return Extent(start=start, size=last - window_start + 1, widest_output=0)
    begin, jump = steps_up[0], _centre_line(axes)[1]
    size, widest_output, budget = 0, 0, MAX_READS
    for phase in range(_num_phases(axes)):
        positions, budget = _positions(axes[begin:], phase, budget)
        if not positions:
            continue
        first, last = _interval(axes[:begin], min(positions), max(positions))
        if not size:  # the first output that reads anything
            start = first - phase * jump
        if last - first + 1 > size:
            size, widest_output = last - first + 1, phase
    return Extent(start=start, size=size, widest_output=widest_output)


def _positions(axes: Sequence[LayerAxis], output: int, budget: int) -> tuple[set[int], int]:
    """Input positions that one output reads, and what is left of the budget."""
    positions = {output}
    for axis in reversed(axes):
        budget -= len(positions) * axis.kernel_size
        if budget < 0:
            raise ShapeError(
                f"More than {MAX_READS:,} taps would have to be followed behind the transposed "
                "convolutions, which is the limit; use smaller kernels or strides, or fewer layers."
            )
        positions = {read for position in positions for read in axis.reads(position)}
    return positions, budget


def _interval(axes: Sequence[LayerAxis], first: int, last: int) -> tuple[int, int]:
    for axis in reversed(axes):
        first, last = axis.window(first, last)
    return first, last


def _num_phases(axes: Sequence[LayerAxis]) -> int:
    """Output positions after which what is read repeats, moved by a whole number of inputs."""
    moved = Fraction(1)
    phases = 1
    for axis in reversed(axes):
        moved *= axis.jump_factor
        phases = lcm(phases, moved.denominator)
    if phases > MAX_READS:
        raise ShapeError(
            f"The transposed convolutions make {phases:,} phases along an axis, but at most "
            f"{MAX_READS:,} are followed; use smaller strides."
        )
    return phases


def _centre_line(axes: Sequence[LayerAxis]) -> tuple[Fraction, Fraction]:
    """Centre of output 0's window in the input, and the input positions per output step."""
    centre, jump = Fraction(0), Fraction(1)
    for axis in axes:
        centre += axis.centre * jump
        jump *= axis.jump_factor
    return centre, jump
