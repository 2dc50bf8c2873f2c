"""Where a diagnosis is probable on a slide, and the tissue that speaks for it.

Source: Mehta et al. 2018, Y-Net: the discriminative mask is the tissue mask where the predicted
diagnosis is most probable.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from atrous.errors import ShapeError
from atrous.inference.overlay import Pixels, with_legend
from atrous.reports.scale_bar import draw_scale_bar, length_text, round_length
from atrous.types import UNLABELLED, Colour

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Probabilities = NDArray[np.floating]


def heat_map(
    thumbnail: Pixels, probabilities: Probabilities, *, name: str, mpp: tuple[float, float]
) -> "Figure":
    """Probabilities of one diagnosis over the thumbnail, with a colour bar; for `write_figure`.

    Args:
        thumbnail: `(H, W, 3)` RGB.
        probabilities: `(h, w)`, 0 to 1, one a tile of a grid over the same part of the slide;
            not-a-number where nothing ran, which is left bare.
        name: Of the diagnosis.
        mpp: Micrometres per pixel of the thumbnail, down and to the right.

    Raises:
        ShapeError: If the probabilities are not two-dimensional, or one is not of 0 to 1.
    """
    from matplotlib.figure import Figure
    from mpl_toolkits.axes_grid1.anchored_artists import (  # type: ignore[import-untyped]
        AnchoredSizeBar,
    )

    _check(probabilities)
    height, width = thumbnail.shape[:2]
    grey = np.asarray(Image.fromarray(thumbnail).convert("L"))
    tall = 8 * height * mpp[0] / (width * mpp[1])
    figure = Figure(figsize=(9.2, min(max(tall, 2), 14) + 0.5), layout="constrained")
    axes = figure.subplots()
    place = (0, width, height, 0)
    aspect = mpp[0] / mpp[1]
    axes.imshow(grey, cmap="gray", vmin=0, vmax=255, extent=place)
    shown = axes.imshow(
        np.ma.masked_invalid(probabilities),
        cmap="inferno",
        vmin=0,
        vmax=1,
        alpha=0.6,
        interpolation="nearest",
        extent=place,
        aspect=aspect,
    )
    axes.set_axis_off()
    um = round_length(width * mpp[1] / 4)
    axes.add_artist(AnchoredSizeBar(axes.transData, um / mpp[1], length_text(um), "lower left"))
    axes.set_title(f"Probability of {name}, tile by tile")
    figure.colorbar(shown, ax=axes, label=f"P({name})", shrink=0.9)
    return figure


def discriminative_mask(
    labels: NDArray[np.uint8], probabilities: NDArray[np.floating], *, diagnosis: int
) -> NDArray[np.uint8]:
    """Labels where the diagnosis is the most probable one, 255 elsewhere; `(H, W)` uint8.

    Args:
        labels: `(H, W)` class indices, and 255 where nothing ran.
        probabilities: `(D, h, w)`, of every diagnosis and tile of a grid over the same part;
            not-a-number where nothing ran.
        diagnosis: Which one; usually the slide's predicted one.

    Raises:
        ShapeError: If the shapes do not fit, or there is no such diagnosis.

    Example:
        >>> labels = np.array([[3, 4, 5, 6]], np.uint8)
        >>> discriminative_mask(labels, np.array([[[0.9, 0.2]], [[0.1, 0.8]]]), diagnosis=1)
        array([[255, 255,   5,   6]], dtype=uint8)
    """
    if labels.ndim != 2 or probabilities.ndim != 3 or not 0 <= diagnosis < len(probabilities):
        raise ShapeError(
            f"Labels {labels.shape}, probabilities {probabilities.shape} and diagnosis {diagnosis} "
            "do not fit; expected (H, W), (D, h, w) and an index below D."
        )
    best = np.nan_to_num(probabilities, nan=-1.0)
    is_most = (best[diagnosis] >= best.max(axis=0)) & (best[diagnosis] >= 0)
    rows, columns = (
        np.arange(length) * count // length
        for length, count in zip(labels.shape, is_most.shape, strict=True)
    )
    return np.where(is_most[rows][:, columns], labels, UNLABELLED).astype(np.uint8)


def discriminative_picture(
    thumbnail: Pixels,
    mask: NDArray[np.uint8],
    *,
    class_names: Sequence[str],
    palette: Sequence[Colour],
    mpp: tuple[float, float],
) -> Image.Image:
    """The tissue that speaks for a diagnosis in full colour, everything else pale, with a legend.

    Args:
        thumbnail: `(H, W, 3)` RGB.
        mask: `(H, W)`, as `discriminative_mask` gives it.
        class_names: One name a tissue.
        palette: One colour a tissue.
        mpp: Micrometres per pixel of the thumbnail, down and to the right.

    Raises:
        ShapeError: If thumbnail and mask differ in size.
    """
    if thumbnail.shape[:2] != mask.shape:
        raise ShapeError(
            f"The thumbnail is {thumbnail.shape[:2]} and the mask {mask.shape}; expected equal "
            "sizes; sample the labels at the thumbnail's."
        )
    colours = np.zeros((256, 3), np.uint8)
    colours[: len(palette)] = palette
    grey = thumbnail.mean(axis=2, keepdims=True)
    painted = np.repeat(160 + 95 * grey / 255, 3, axis=2).astype(np.uint8)
    is_shown = mask != UNLABELLED
    painted[is_shown] = (0.75 * colours[mask] + 0.25 * thumbnail)[is_shown].astype(np.uint8)
    picture = Image.fromarray(painted)
    draw_scale_bar(picture, um_per_pixel=mpp[1])
    counts = np.bincount(mask.ravel(), minlength=256)[: len(class_names)]
    entries = [
        (f"{class_names[index]} {counts[index] / counts.sum():.1%}", palette[index])
        for index in np.argsort(-counts, kind="stable").tolist()
        if counts[index]
    ]
    return with_legend(picture, entries)


def _check(probabilities: Probabilities) -> None:
    known = probabilities[~np.isnan(probabilities)]
    if probabilities.ndim != 2 or (known.size and not 0 <= known.min() <= known.max() <= 1):
        raise ShapeError(
            f"The probabilities are {probabilities.shape}; expected (h, w) of 0 to 1, "
            "not-a-number where nothing ran; give those of one diagnosis, after the softmax."
        )
