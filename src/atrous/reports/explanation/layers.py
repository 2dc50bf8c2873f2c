"""Torch's layers with their working: one alone, or a chain of them, as text and as JSON."""

from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from math import prod

from atrous.arithmetic import (
    ConvSpec,
    FlattenSpec,
    LayerCost,
    ReceptiveField,
    Replacement,
    coverage,
    dense_equivalent,
    depthwise_separable,
    working,
)
from atrous.errors import ShapeError
from atrous.reports.explanation.tables import alike, by, table, thousands
from atrous.types import Size

MACS_NOTE = "MACs = multiply-accumulates; FLOPs = 2 x MACs; biases not counted."


def layers_lines(costs: Sequence[LayerCost], size: Size | None) -> Iterator[str]:
    """The working of one layer, or a table of several, for people."""
    yield from (_one_layer if len(costs) == 1 else _chain)(costs, size)


def _one_layer(costs: Sequence[LayerCost], size: Size | None) -> Iterator[str]:
    layer = costs[0].layer
    yield layer.expression if size is None else f"{layer.expression} on {by(size)}"
    yield ""
    for step in working(layer, size):
        yield f"{step.name:<18}{step.result:>18}   {step.formula}"
        if step.numbers:
            yield f"{'':<36}   = {step.numbers}"
    yield ""
    yield MACS_NOTE
    if not isinstance(layer, ConvSpec):
        return
    if layer.groups == 1 and prod(axis.kernel_size for axis in layer.axes) > 1:
        swap = depthwise_separable(layer)
        yield from _comparison("Depth-wise separable instead", "standard", "separable", swap, size)
    if layer.effective_kernel_size != tuple(axis.kernel_size for axis in layer.axes):
        swap = dense_equivalent(layer)
        yield from _comparison("Dense kernel of the same field", "dense", "dilated", swap, size)
        yield ""
        yield from _coverage_line(costs)


def _comparison(
    title: str, standard: str, replacement: str, swap: Replacement, size: Size | None
) -> Iterator[str]:
    rows = [
        ("weights", swap.standard.num_weights, swap.num_weights),
        ("params", swap.standard.num_params, swap.num_params),
    ]
    if size is not None:
        rows.append(("MACs", swap.standard.macs(size), swap.macs(size)))
    yield ""
    yield f"{title}:"
    yield f"  {standard:<10} {swap.standard.expression}"
    yield f"  {replacement:<10} {' > '.join(layer.expression for layer in swap.layers)}"
    yield f"  {'':<10}{standard:>18}{replacement:>18}{'share':>9}"
    for name, before, after in rows:
        yield f"  {name:<10}{before:>18,}{after:>18,}{after / before:>9.1%}"


def _chain(costs: Sequence[LayerCost], size: Size | None) -> Iterator[str]:
    yield f"{len(costs)} layers" if size is None else f"{len(costs)} layers on {by(size)}"
    yield ""
    header = ["", "layer", "weights", "biases", "params", "kernel", "field", "jump", "start"]
    totals = [
        "",
        "total",
        f"{sum(cost.layer.num_weights for cost in costs):,}",
        f"{sum(cost.layer.num_biases for cost in costs):,}",
        f"{sum(cost.layer.num_params for cost in costs):,}",
        *[""] * 4,
    ]
    if size is not None:
        header += ["output", "MACs", "bytes"]
        totals += ["", thousands(_total_macs(costs)), thousands(_total_bytes(costs))]
    rows = [_row(number, cost) for number, cost in enumerate(costs, start=1)]
    yield from table([header, *rows, totals])
    yield ""
    field = costs[-1].receptive_field
    if field.size:
        yield (
            f"One output sees a field of {by(field.size)} from {alike(field.start)} for output 0 "
            f"(centre {alike(field.centre)}), and moves {alike(field.jump)} per step."
        )
    is_dilated = any(axis.dilation > 1 for cost in costs for axis in cost.layer.axes)
    if is_dilated and not any(isinstance(cost.layer, FlattenSpec) for cost in costs):
        yield from _coverage_line(costs)
    yield ""
    yield "kernel = dilation x (k - 1) + 1; field += (kernel - 1) x jump; start -= padding x jump;"
    yield "jump x= stride (/= where transposed; the field is then that of the widest phase)."
    yield MACS_NOTE
    if size is not None:
        yield "bytes = a layer's float32 output for one sample: channels x positions x 4."


def _row(number: int, cost: LayerCost) -> list[str]:
    layer, field = cost.layer, cost.receptive_field
    row = [
        str(number),
        layer.expression,
        f"{layer.num_weights:,}",
        f"{layer.num_biases:,}",
        f"{layer.num_params:,}",
        by(layer.effective_kernel_size),
        by(field.size),
        alike(field.jump),
        alike(field.start),
    ]
    if cost.output_size is not None:
        channels = "?" if cost.num_channels is None else str(cost.num_channels)
        row.append(f"{channels} x {by(cost.output_size)}" if cost.output_size else channels)
        row += [thousands(cost.macs), thousands(cost.num_bytes)]
    return row


def _coverage_line(costs: Sequence[LayerCost]) -> Iterator[str]:
    try:
        seen = coverage([cost.layer for cost in costs])
    except ShapeError as error:  # the other numbers stand, however large the kernel
        yield f"Positions read: not counted. {error}"
        return
    yield (
        f"Of its {by(seen.size)} field one output reads {prod(seen.num_read):,} of "
        f"{prod(seen.size):,} positions ({float(seen.share):.1%})."
    )


def layers_json(costs: Sequence[LayerCost]) -> dict[str, object]:
    """The numbers of all layers and of the chain, as docs/json.md says."""
    facts: dict[str, object] = {
        "output_size": costs[-1].output_size,
        "weights": sum(cost.layer.num_weights for cost in costs),
        "biases": sum(cost.layer.num_biases for cost in costs),
        "params": sum(cost.layer.num_params for cost in costs),
        "macs": _total_macs(costs),
        "activation_bytes": _total_bytes(costs),
        "receptive_field": _field_json(costs[-1].receptive_field),
    }
    if len(costs) == 1:
        return facts | {"effective_kernel": costs[0].layer.effective_kernel_size}
    return facts | {"layers": [_layer_json(cost) for cost in costs]}


def _layer_json(cost: LayerCost) -> dict[str, object]:
    layer = cost.layer
    return {
        "layer": layer.expression,
        "channels": cost.num_channels,
        "output_size": cost.output_size,
        "weights": layer.num_weights,
        "biases": layer.num_biases,
        "params": layer.num_params,
        "macs": cost.macs,
        "activation_bytes": cost.num_bytes,
        "effective_kernel": layer.effective_kernel_size,
        "receptive_field": _field_json(cost.receptive_field),
    }


def _field_json(field: ReceptiveField) -> dict[str, object]:
    return {
        "size": field.size,
        "jump": [_plain(number) for number in field.jump],
        "start": [_plain(number) for number in field.start],
        "centre": [_plain(number) for number in field.centre],
    }


def _plain(number: Fraction) -> int | str:
    """An int where the number is whole, else a string such as `1/2`, which JSON keeps exact."""
    return number.numerator if number.denominator == 1 else str(number)


def _total_macs(costs: Sequence[LayerCost]) -> int | None:
    return _total(cost.macs for cost in costs)


def _total_bytes(costs: Sequence[LayerCost]) -> int | None:
    return _total(cost.num_bytes for cost in costs)


def _total(numbers: Iterable[int | None]) -> int | None:
    """The sum, or None if a number is unknown."""
    known = list(numbers)
    return None if None in known else sum(number or 0 for number in known)
