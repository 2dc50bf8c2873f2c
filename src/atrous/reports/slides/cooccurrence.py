"""Which tissues lie beside which, as a picture."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from atrous.errors import ShapeError
from atrous.metrics.tissue_features import TissueFeatures

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def cooccurrence_figure(features: TissueFeatures, *, class_names: Sequence[str]) -> "Figure":
    """A matrix of tissues: what part of a tissue's border is shared with which; for `write_figure`.

    Each row sums to 100 %; on the right stand the tissue's share of the area and the length of its
    border. Tissues that do not occur are left out.

    Args:
        features: What was counted.
        class_names: One name a class.

    Raises:
        ShapeError: If there are not as many names as classes.
    """
    from matplotlib.figure import Figure

    if len(class_names) != len(features.pixels):
        raise ShapeError(
            f"{len(class_names)} names for {len(features.pixels)} classes; expected one a class."
        )
    present = np.flatnonzero(features.pixels)
    lengths = features.interfaces[np.ix_(present, present)]
    sums = lengths.sum(axis=1)
    shares = lengths / np.where(sums, sums, 1)[:, None]
    side = 0.75 * max(len(present), 2)
    figure = Figure(figsize=(side + 4.5, side + 2.2), layout="constrained")
    axes = figure.subplots()
    if not len(present):
        axes.set_axis_off()
        axes.set_title("No tissue")
        return figure
    shown = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (row, column), share in np.ndenumerate(shares):
        if row != column and share > 0:
            text = f"{share:.0%}" if share >= 0.005 else "<1%"
            colour = "white" if share > 0.55 else "black"
            axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=9)
    names = [class_names[index] for index in present.tolist()]
    axes.set_xticks(range(len(names)), names, rotation=40, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(names)), names)
    axes.set_xlabel("shares its border with")
    frequencies = features.frequencies[present]
    right = axes.secondary_yaxis("right")
    right.set_yticks(
        range(len(names)),
        [
            f"{part:.1%} of the area, {length:.3g} mm"
            for part, length in zip(frequencies, sums, strict=True)
        ],
    )
    right.tick_params(length=0, labelsize=8)
    axes.set_title("Tissues beside each other")
    figure.colorbar(shown, ax=axes, label="part of the row's border", shrink=0.8)
    return figure
