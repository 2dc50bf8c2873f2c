"""Draws which inputs one output position reads: the taps of a layer, or the hits of a chain."""

import textwrap
from collections.abc import Sequence
from math import prod
from pathlib import Path
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import LinearSegmentedColormap, ListedColormap
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.patches import Patch, Rectangle
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from atrous._files import write_atomically
from atrous.arithmetic import Coverage, LayerSpec, coverage
from atrous.errors import DataError, ShapeError
from atrous.types import Size

FORMATS: Final = ("png", "svg", "pdf", "jpg", "jpeg", "webp", "tif", "tiff", "eps", "ps")
MAX_FIELD: Final = 3000
"""Positions along an axis that are still drawn."""
MAX_LINED: Final = 60
"""Positions along an axis up to which cells are outlined."""
MAX_NUMBERED: Final = 13
"""Positions along an axis up to which a heat map's counts are written into its cells."""

READ: Final = "#1f5fa8"
SKIPPED: Final = "#f6e7c8"
BOX: Final = "#d1495b"
LINES: Final = "#c8ccd2"
HEAT: Final = LinearSegmentedColormap.from_list("paths", ["#cfe0f1", "#5b9bd0", READ, "#0a2a52"])
"""Cool and never pale, so that a position with one path is told from one that is skipped."""
MAX_COUNTED: Final = 10**6
"""Most paths that a colour bar counts; beyond, it shows shares of the most."""


def plot_taps(layers: Sequence[LayerSpec], path: Path) -> None:
    """Write a picture of the inputs that one output position of the layers reads.

    Raises:
        DataError: If the file's ending names no format, or the file cannot be written.
        ShapeError: If the layers do not fit together or see too much to draw.
    """
    file_format = path.suffix.lstrip(".").lower()
    if file_format not in FORMATS:
        raise DataError(
            f"The plot {str(path)!r} ends in {path.suffix!r}, but plots are written as "
            f"{', '.join(FORMATS)}; choose one of these endings."
        )
    if not path.parent.is_dir():
        raise DataError(
            f"The plot {str(path)!r} is to go into {str(path.parent)!r}, but that is no folder; "
            "make it first."
        )
    figure = draw_taps(layers)
    with write_atomically(path) as file:
        figure.savefig(file, format=file_format)


def draw_taps(layers: Sequence[LayerSpec]) -> Figure:
    """Draw the inputs that one output position of the layers reads.

    One layer is drawn as its taps on the input grid, so that a dilation shows its holes; several
    as a heat map of how many paths lead from the output to each input. Two axes are drawn as they
    are, one as a row, and of three a slice through the middle.

    Raises:
        ShapeError: If the layers do not fit together or see too much to draw.
    """
    seen = coverage(layers)
    if max(seen.size) > MAX_FIELD:
        raise ShapeError(
            f"The receptive field is {_by(seen.size)}, but at most {MAX_FIELD:,} positions along "
            "an axis are drawn; plot fewer layers or smaller kernels."
        )
    paths, depth = _slice(seen)
    height, width = paths.shape
    layout = ConstrainedLayoutEngine(h_pad=0.07)
    figure = Figure(figsize=_figure_size(height, width), layout=layout, dpi=150)
    axes = figure.add_subplot()
    axes.add_patch(Rectangle((-0.5, -0.5), width, height, facecolor=SKIPPED, zorder=0))
    if len(layers) == 1:
        _colour_taps(figure, axes, paths)
    else:
        _colour_hits(figure, axes, paths)
    _grid(axes, height, width)
    if len(seen.size) == 1:
        axes.set_aspect("auto")
    axes.add_patch(
        Rectangle((-0.5, -0.5), width, height, fill=False, edgecolor=BOX, linewidth=2.5, zorder=4)
    )
    _label(figure, axes, layers, seen, depth)
    return figure


def _slice(seen: Coverage) -> tuple[NDArray[np.object_], int | None]:
    """Paths `(H, W)` from the output to each position of the field, and the slice's depth if 3D.

    Counts are Python ints: they outgrow 64 bits in deep chains.
    """
    rows = [
        np.array([counts.get(start + i, 0) for i in range(length)], dtype=object)
        for counts, start, length in zip(seen.counts, seen.start, seen.size, strict=True)
    ]
    if len(rows) == 1:
        return rows[0][np.newaxis, :], None
    if len(rows) == 2:
        return np.outer(rows[0], rows[1]), None
    middle = (len(rows[0]) - 1) / 2
    depth = int(min(np.flatnonzero(rows[0]), key=lambda index: abs(index - middle)))
    return rows[0][depth] * np.outer(rows[1], rows[2]), depth


def _colour_taps(figure: Figure, axes: Axes, paths: NDArray[np.object_]) -> None:
    read = np.ma.masked_equal((paths > 0).astype(np.uint8), 0)
    axes.imshow(read, cmap=ListedColormap([READ]), interpolation="nearest", zorder=1)
    _legend(figure, paths, [Patch(facecolor=READ, edgecolor=LINES, label="read")])


def _colour_hits(figure: Figure, axes: Axes, paths: NDArray[np.object_]) -> None:
    most = int(paths.max())
    is_counted = most <= MAX_COUNTED
    heat = (paths if is_counted else paths / most).astype(np.float64)
    shown = np.ma.masked_where(paths == 0, heat)
    image = axes.imshow(shown, cmap=HEAT, vmin=0, interpolation="nearest", zorder=1)
    ticks = MaxNLocator(integer=True, nbins=6) if is_counted else None
    bar = figure.colorbar(image, ax=axes, shrink=0.9, pad=0.02, ticks=ticks)
    bar.set_label(
        "paths to the output" if is_counted else "paths, as a share of the most", fontsize=9
    )
    bar.ax.tick_params(labelsize=8)
    bar.outline.set_visible(False)
    _legend(figure, paths, [])
    if max(paths.shape) > MAX_NUMBERED or most >= 10_000:
        return
    for (row, column), number in np.ndenumerate(paths):
        if number:
            colour = "white" if number / most > 0.3 else "#20303c"
            axes.text(
                column, row, str(number), ha="center", va="center", fontsize=8, color=colour,
                zorder=3,
            )  # fmt: skip


def _grid(axes: Axes, height: int, width: int) -> None:
    margin = max(1, round(0.06 * max(height, width)))
    margin_rows = margin if height > 1 else 0
    left, right = -margin - 0.5, width + margin - 0.5
    top, bottom = -margin_rows - 0.5, height + margin_rows - 0.5
    axes.set_xlim(left, right)
    axes.set_ylim(bottom, top)
    if max(height, width) > MAX_LINED:
        return
    columns = [((x, top), (x, bottom)) for x in np.arange(left, right + 1)]
    rows = [((left, y), (right, y)) for y in np.arange(top, bottom + 1)]
    axes.add_collection(LineCollection(columns + rows, colors=LINES, linewidths=0.8, zorder=2))


def _label(
    figure: Figure, axes: Axes, layers: Sequence[LayerSpec], seen: Coverage, depth: int | None
) -> None:
    figure.suptitle(_title(layers), fontsize=10, fontweight="bold", parse_math=False)
    facts = (
        f"one output reads {prod(seen.num_read):,} of the {prod(seen.size):,} inputs in its "
        f"field of {_by(seen.size)} ({float(seen.share):.1%})"
    )
    if depth is not None:
        facts += f"\nshown: slice {depth} of 0 to {seen.size[0] - 1}"
    axes.set_title(facts, fontsize=9, parse_math=False)
    axes.set_xlabel("input column within the field" if len(seen.size) > 1 else "input position")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=10))
    axes.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=10))
    if len(seen.size) > 1:
        axes.set_ylabel("input row within the field")
    else:
        axes.set_yticks([])
    axes.tick_params(labelsize=8)
    for spine in axes.spines.values():
        spine.set_color(LINES)


def _title(layers: Sequence[LayerSpec]) -> str:
    """The expression in three lines at most, broken between layers where it can be."""
    unbreakable = [layer.expression.replace(" ", "\N{NO-BREAK SPACE}") for layer in layers]
    lines = textwrap.wrap("\N{NO-BREAK SPACE}> ".join(unbreakable), width=72)
    if len(lines) > 3:
        lines = [*lines[:2], f"... {lines[-1]}"]
    return "\n".join(lines)


def _legend(figure: Figure, paths: NDArray[np.object_], handles: list[Patch]) -> None:
    if not (paths > 0).all():
        handles.append(Patch(facecolor=SKIPPED, edgecolor=LINES, label="skipped"))
    handles.append(Patch(fill=False, edgecolor=BOX, linewidth=2, label="receptive field"))
    figure.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False, fontsize=9)


def _figure_size(height: int, width: int) -> tuple[float, float]:
    """Width and height in inches, near the field's shape but neither tiny nor endless."""
    if height == 1:
        return 8.0, 2.4
    scale = 5.5 / max(height, width)
    return max(width * scale, 3.5) + 2.0, max(height * scale, 1.5) + 1.8


def _by(lengths: Size) -> str:
    return "x".join(map(str, lengths))
