"""Curves of a training: losses, scores and the learning rate by epoch, as one SVG."""

from collections.abc import Sequence

from atrous.reports.charts import svg_figure, svg_text

_COLOURS = ("#0969da", "#8250df", "#1a7f37", "#bf8700", "#cf222e", "#57606a")


def curves(history: Sequence[dict[str, object]]) -> str:
    """Three panels over epochs, from the lines of `metrics.jsonl`.

    Args:
        history: Records with `epoch`, `losses`, `scores` in percent and `learning_rate`.
    """
    figure, panels = svg_figure(height=2.9, columns=3)
    epochs = [record["epoch"] for record in history]
    titles = ("training loss", "validation, %", "learning rate")
    series = (
        _by_name([record["losses"] for record in history]),
        _by_name([record["scores"] for record in history]),
        {"learning rate": [record["learning_rate"] for record in history]},
    )
    for axes, title, lines in zip(panels, titles, series, strict=True):
        for (name, values), colour in zip(lines.items(), _COLOURS, strict=False):
            points = [(x, y) for x, y in zip(epochs, values, strict=True) if y is not None]
            marker = "o" if len(points) < 2 else None
            xs, ys = zip(*points, strict=True) if points else ((), ())
            axes.plot(
                xs, ys, color=colour, label=name.replace("_", " "), linewidth=1.5, marker=marker
            )
        axes.set_title(title, fontsize=10)
        axes.set_xlabel("epoch")
        if len(lines) > 1:
            axes.legend(frameon=False, fontsize=8)
    return svg_text(figure)


def _by_name(records: Sequence[object]) -> dict[str, list[object]]:
    """Values by name over all records; None where a record lacks the name."""
    tables = [record for record in records if isinstance(record, dict)]
    names = dict.fromkeys(name for table in tables for name in table)
    return {name: [table.get(name) for table in tables] for name in names}
