"""What `atrous explain` prints of our own blocks; torch loads when one is asked for."""

from collections.abc import Iterator
from fractions import Fraction
from typing import TYPE_CHECKING, Final

from atrous.reports.explanation.tables import alike, by, table, thousands
from atrous.types import Size

if TYPE_CHECKING:
    from atrous.analysis import Field
    from atrous.analysis.explain_blocks import Explained, ExplainedLayer

BLOCKS: Final = (
    *("AtrousPyramidPooling", "BilinearUp", "BottleneckBlock", "ContextModule"),
    *("ConvBiasAct", "ConvNormAct", "DecoderLevel", "DepthwisePyramid"),
    *("DepthwiseSeparableBlock", "DilatedPyramid", "EESPBlock", "ESPBlock"),
    *("EfficientPyramidPooling", "GatedConv", "HalvingPyramid", "InceptionA"),
    *("InceptionB", "InceptionBlock", "InceptionC", "InceptionD"),
    *(
        "InceptionE",
        "InvertedResidualBlock",
        "KernelPyramid",
        "LineConvNormAct",
        "LocalResponseNorm",
    ),
    *("NormAct", "NormedESPBlock", "PyramidPooling", "PyramidPoolingModule"),
    *("ResidualBlock", "SeparableConvNormAct", "ShuffleV1Block", "ShuffleV2Block"),
    *("SkipLevel", "StridedEESPBlock", "StridedESPBlock", "StridedShuffleV1Block"),
    *("StridedShuffleV2Block", "VGGBlock", "ValidConvNormAct", "WideESPBlock"),
)
"""Our blocks by name: written out, so that knowing them loads nothing."""


def blocks_lines(found: "Explained", size: Size | None, note: str) -> Iterator[str]:
    """The table, the working of every weight, and the field of the whole.

    Args:
        found: What was measured.
        size: The size that was asked for; without one nothing that depends on it is printed.
        note: What MACs are.
    """
    yield found.expression if size is None else f"{found.expression} on {by(size)}"
    yield ""
    header = ["name", "layer", "weights", "biases", "params", "kernel", "field", "jump", "start"]
    cost = found.cost
    totals = ["", "total", f"{cost.weights:,}", f"{cost.biases:,}", f"{cost.params:,}", *[""] * 4]
    if size is not None:
        header += ["output", "MACs"]
        totals += ["", f"{'at least ' if cost.uncounted else ''}{cost.macs:,}"]
    rows = [_row(layer, with_size=size is not None) for layer in found.layers]
    yield from table([header, *rows, totals], left=(0, 1))
    yield ""
    yield "weights = in x out x taps / groups:"
    for layer in found.layers:
        if layer.weights_working:
            yield f"  {layer.name}: {layer.weights_working} = {layer.weights:,}"
    yield ""
    yield _field_line(found)
    yield ""
    yield "kernel = dilation x (k - 1) + 1; the field is that of all paths to a layer together."
    yield note


def blocks_json(found: "Explained", size: Size | None) -> dict[str, object]:
    """The object that `--json` prints; see docs/json.md."""
    has_size = size is not None
    output = next((x.output_shape for x in found.cost.layers if not x.name), None)
    return {
        "output_size": None if output is None or not has_size else output[2:],
        "weights": found.cost.weights,
        "biases": found.cost.biases,
        "params": found.cost.params,
        "macs": found.cost.macs if has_size else None,
        "counted": found.cost.counted,
        "receptive_field": {**_field_json(found.seen.field), "exact": found.seen.is_exact},
        "layers": [
            {
                "name": layer.name,
                "layer": layer.expression,
                "channels": None if layer.output_shape is None else layer.output_shape[0],
                "output_size": layer.output_shape[1:] if layer.output_shape and has_size else None,
                "weights": layer.weights,
                "biases": layer.biases,
                "params": layer.weights + layer.biases,
                "macs": layer.macs if has_size else None,
                "effective_kernel": layer.kernel,
                "receptive_field": None if layer.field is None else _field_json(layer.field),
            }
            for layer in found.layers
        ],
    }


def _row(layer: "ExplainedLayer", *, with_size: bool) -> list[str]:
    field = layer.field
    row = [
        layer.name,
        layer.expression,
        f"{layer.weights:,}",
        f"{layer.biases:,}",
        f"{layer.weights + layer.biases:,}",
        "" if layer.kernel is None else by(layer.kernel),
        "" if field is None else _sizes(field),
        "" if field is None else alike([_fraction(n) for n in field.jump]),
        "" if field is None else alike([_fraction(n) for n in field.start]),
    ]
    if with_size and layer.output_shape is not None:
        channels, *lengths = layer.output_shape
        row += [f"{channels} x {by(lengths)}" if lengths else f"{channels}", thousands(layer.macs)]
    elif with_size:
        row += ["not run", ""]
    return row


def _sizes(field: "Field") -> str:
    return "whole" if set(field.extent) == {"whole"} else by(field.size)


def _field_line(found: "Explained") -> str:
    field = found.seen.field
    if set(field.extent) == {"whole"}:
        most = "" if found.seen.is_exact else "at most "
        return f"One output sees {most}the whole input, however large."
    bound = {"at most": "at most ", "at least": "at least ", "a bound": "a bound, "}
    return (
        f"One output sees a field of {bound.get(found.seen.bound, '')}{by(field.size)} from "
        f"{alike([_fraction(n) for n in field.start])} for output 0, and moves "
        f"{alike([_fraction(n) for n in field.jump])} per step."
    )


def _fraction(number: float | None) -> str:
    """A whole number or a fraction, as it was before it became a float."""
    return "?" if number is None else str(Fraction(number).limit_denominator(10_000))


def _plain(number: float | None) -> int | str | None:
    text = _fraction(number)
    return None if number is None else text if "/" in text else int(text)


def _field_json(field: "Field") -> dict[str, object]:
    return {
        "size": field.size,
        "jump": [_plain(number) for number in field.jump],
        "start": [_plain(number) for number in field.start],
        "centre": [_plain(number) for number in field.centre],
        "extent": field.extent,
    }
