"""Layers, fields and numbers as text, for `print` and for the command line."""

from collections.abc import Sequence

from atrous.analysis.fields.field import Field
from atrous.analysis.tracing.layers import LayerProfile


def layer_table(layers: Sequence[LayerProfile]) -> str:
    """One row per layer, indented by what holds it; fields where they were asked for."""
    rows = [("layer", "kind", "output", "params", "MACs", "field")]
    for layer in layers:
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


def field_text(field: Field) -> str:
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
