"""Line and scatter charts as SVG that takes the colours of the page it stands in."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

_INK = "#010203"
"""A colour that nothing else has; it is replaced by the page's own in the finished SVG."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One network in a chart of cost against field."""

    name: str
    macs: float
    params: float
    field: float
    """Longest axis of the receptive field, pixels."""
    is_global: bool = False


def growth_chart(fields: Sequence[tuple[str, float]], *, input_length: int) -> str:
    """The field's length after every layer, in order of execution, with the input's length.

    Args:
        fields: Layer and length of its field along one axis, pixels.
        input_length: Length of the input along that axis.
    """
    figure, axes = _figure(height=3.2)
    values = [value for _, value in fields]
    steps = range(1, len(values) + 1)
    axes.plot(steps, list(accumulate(values, max)), color="#0969da", linewidth=1.8)
    axes.scatter(steps, values, s=5, color="#8250df", zorder=3)
    axes.axhline(input_length, color="#cf222e", linewidth=1, linestyle="--")
    axes.annotate(
        f"input, {input_length} px", (1, input_length), xytext=(0, 3), textcoords="offset points",
        color="#cf222e", fontsize=9,
    )  # fmt: skip
    if values and max(values) > 20 * max(min(values), 1):
        axes.set_yscale("log")
        _label_plainly(axes.yaxis)
    axes.set_xlabel("layer, in order of execution (line: the widest so far)")
    axes.set_ylabel("receptive field, px")
    return svg_text(figure)


def cost_chart(points: Sequence[Point]) -> str:
    """Networks by MACs and receptive field; the area of a disc grows with the parameters."""
    return svg_text(cost_figure(points))


def cost_figure(points: Sequence[Point]) -> "Figure":
    """The figure of `cost_chart`, to be saved in any format."""
    figure, axes = _figure(height=4.2)
    largest = max(point.params for point in points)
    for number, point in enumerate(points, 1):
        marker, colour = ("s", "#8250df") if point.is_global else ("o", "#0969da")
        axes.scatter(
            point.macs / 1e9,
            point.field,
            s=120 + 900 * point.params / max(largest, 1),
            alpha=0.45,
            marker=marker,
            color=colour,
            label=f"{number}  {point.name}" + (", sees the whole input" if point.is_global else ""),
        )
        axes.annotate(
            str(number),
            (point.macs / 1e9, point.field),
            ha="center",
            va="center",
            fontsize=9,
            color=_INK,
        )
    axes.set_xscale("log")
    axes.set_yscale("log")
    _label_plainly(axes.xaxis)
    _label_plainly(axes.yaxis)
    axes.margins(0.2)
    axes.set_xlabel("GMACs per input")
    axes.set_ylabel("receptive field, px (longest axis)")
    legend = figure.legend(
        loc="outside lower center", ncols=2, frameon=False, fontsize=9, labelcolor=_INK
    )
    for handle in legend.legend_handles:
        if handle is not None:
            handle.set_sizes([40])  # type: ignore[attr-defined]  # all are of scatter
    return figure


def _label_plainly(axis: "Axis") -> None:
    """Plain numbers at 1, 2 and 5 of every decade of a logarithmic axis."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axis.set_major_locator(LogLocator(base=10, subs=(1, 2, 5), numticks=12))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def _figure(*, height: float) -> tuple["Figure", "Axes"]:
    figure, panels = svg_figure(height=height, columns=1)
    return figure, panels[0]


def svg_figure(*, height: float, columns: int) -> tuple["Figure", list["Axes"]]:
    """An empty figure of panels side by side, in the colours of the page; `svg_text` ends it."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8 if columns == 1 else 12, height), layout="constrained")
    figure.patch.set_alpha(0)
    panels = list(figure.subplots(1, columns, squeeze=False)[0])
    for axes in panels:
        axes.patch.set_alpha(0)
        for side, spine in axes.spines.items():
            spine.set_color(_INK)
            spine.set_visible(side in ("left", "bottom"))
        axes.tick_params(which="both", colors=_INK, labelsize=9)
        axes.xaxis.label.set_color(_INK)
        axes.yaxis.label.set_color(_INK)
        axes.grid(visible=True, color=_INK, alpha=0.12)
    return figure, panels


def svg_text(figure: "Figure") -> str:
    """The finished figure as SVG, without a prologue."""
    import matplotlib as mpl

    text = io.StringIO()
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "atrous"}):
        figure.savefig(
            text, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type"))
        )
    svg = text.getvalue()
    svg = svg[svg.index("<svg") :]  # without the XML prologue, to stand inside HTML
    return svg.replace(_INK, "currentColor")
