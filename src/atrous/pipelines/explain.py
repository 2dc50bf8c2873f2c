"""What a layer, a chain of layers or a block costs and sees, with the working."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from atrous.arithmetic import chain_costs, parse_expression, parse_size
from atrous.arithmetic.expression import LAYER_NAMES
from atrous.arithmetic.syntax import LayerCall, parse_calls
from atrous.errors import ExpressionError
from atrous.reports.explanation.blocks import BLOCKS, blocks_json, blocks_lines
from atrous.reports.explanation.layers import MACS_NOTE, layers_json, layers_lines


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """The costs and the field of an expression.

    Attributes:
        record: Numbers as JSON values; docs/json.md says which.
        lines: The same for people, with the working.
    """

    record: Mapping[str, object]
    lines: tuple[str, ...]

    def __str__(self) -> str:
        return "\n".join(self.lines)

    def to_json(self) -> str:
        """The record as text."""
        return json.dumps(self.record)


def explain(
    expression: str, size: str | None = None, *, plot: str | Path | None = None
) -> Explanation:
    """What a convolution, a chain of layers or one of our blocks costs and sees, with the working.

    Args:
        expression: A layer in torch's words, several joined by `>`, or a block by its name and
            arguments, such as `ESPBlock(96, 96)`.
        size: Size of the input: `64` (every axis), `64x48` or `16x64x64`; None for costs that do
            not depend on it.
        plot: A picture file to draw into which inputs one output reads.

    Raises:
        ExpressionError: If the expression cannot be read, or a plot is asked for of a block.
        ShapeError: If the layers do not fit together, or not the size.

    Example:
        >>> explain("Conv2d(12, 24, 3)").record["params"]
        2616
    """
    calls = parse_calls(expression, LAYER_NAMES, BLOCKS)
    if any(call.name in BLOCKS for call in calls):
        return _blocks(calls, size, plot)
    layers = parse_expression(expression)
    lengths = None if size is None else parse_size(size, spatial_dims=len(layers[0].axes))
    costs = chain_costs(layers, lengths)
    if plot is not None:
        from atrous.reports.profile.taps import plot_taps  # matplotlib loads here

        plot_taps(layers, Path(plot))
    return Explanation(record=layers_json(costs), lines=tuple(layers_lines(costs, lengths)))


def _blocks(calls: Sequence[LayerCall], size: str | None, plot: str | Path | None) -> Explanation:
    if plot is not None:
        raise ExpressionError(
            "--plot draws the taps of torch's layers, but the expression names a block of many "
            "paths; leave it out, or draw one of its layers."
        )
    from atrous.analysis.explain_blocks import explain_blocks, spatial_dims_of  # torch loads here

    lengths = None if size is None else parse_size(size, spatial_dims=spatial_dims_of(calls))
    found = explain_blocks(calls, lengths)
    lines = tuple(blocks_lines(found, lengths, MACS_NOTE))
    return Explanation(record=blocks_json(found, lengths), lines=lines)
