"""Costs and fields as text: what `print` shows of a profile, and what the command line prints."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from atrous.analysis.fields.field import Field
    from atrous.analysis.profile import Profile


def profile_text(cost: "Profile") -> str:
    """The totals of a network, then a table of its layers."""
    at_least = "" if cost.counted == "all" else "at least "
    shapes = ", ".join("x".join(map(str, shape)) for shape in cost.input_shapes)
    frozen = f", {cost.frozen:,} of them frozen" if cost.frozen else ""
    lines = [
        f"{cost.network} on {shapes}",
        "",
        f"parameters        {cost.params:>16,}   {cost.weights:,} weights, {cost.biases:,} biases"
        f"{frozen}",
        f"MACs              {at_least + format(cost.macs, ','):>16}   FLOPs: twice that",
        f"peak memory       {scaled(cost.peak_activation_bytes) + 'B':>16}   maps, inference",
        f"training memory   {scaled(cost.training_bytes) + 'B':>16}   estimate, Adam"
        + (", at least" if cost.unmeasured else ""),
        *(f"not counted: {op}" for op in cost.uncounted),
    ]
    return "\n".join([*lines, "", layer_table(cost)])


def layer_table(cost: "Profile") -> str:
    """One row per layer, indented by what holds it; fields where they were asked for."""
    rows = [("layer", "kind", "output", "params", "MACs", "field")]
    for layer in cost.layers:
        output = "x".join(map(str, layer.output_shape[1:])) if layer.output_shape else "not run"
        field = field_text(layer.field) if layer.field else ""
        name = "  " * layer.depth + (layer.name.rpartition(".")[2] or "(all)")
        rows.append((name, layer.kind, output, f"{layer.params:,}", f"{layer.macs:,}", field))
    widths = [max(len(row[column]) for row in rows) for column in range(6)]
    return "\n".join(
        "  ".join(
            text.ljust(width) if column < 2 else text.rjust(width)
            for column, (text, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )


def field_text(field: "Field") -> str:
    """`33x33`, with `whole` for an axis that is seen from end to end, `>=` for a cut one."""
    words = {"finite": "{}", "whole": "whole", "cut": ">= {}"}
    parts = [
        words[extent].format(size) for size, extent in zip(field.size, field.extent, strict=True)
    ]
    return "whole input" if set(field.extent) == {"whole"} else "x".join(parts)


def numbers_text(values: Sequence[float | None]) -> str:
    """One number where all axes agree, else one per axis; `-` where there is none."""
    texts = ["-" if value is None else f"{value:g}" for value in values]
    return texts[0] if len(set(texts)) == 1 else "x".join(texts)


def scaled(value: float) -> str:
    """`4.780 G` for 4.78e9, ready for a unit."""
    for limit, unit in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= limit:
            return f"{value / limit:.3f} {unit}"
    return f"{value:g} "
