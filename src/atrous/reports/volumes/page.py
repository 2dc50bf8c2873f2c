"""One segmented scan as a self-contained page that scrolls through its slices."""

import math
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from atrous.metrics.volumes import RegionScore
from atrous.networks.card import Card
from atrous.reports.page import render
from atrous.reports.page_values import embedded, percent
from atrous.reports.volumes.picture import three_planes
from atrous.reports.volumes.viewer import MAX_CASE, ShownCase, viewer

_PICTURE_WIDTH: Final = 1200


def volume_page(
    case: ShownCase,
    *,
    card: Card,
    channel_names: Sequence[str],
    facts: Mapping[str, str],
    scores: Mapping[str, RegionScore] | None = None,
) -> str:
    """HTML of less than 5 MB: three planes, layers of labels, truth and errors, volumes in ml.

    Args:
        case: The scan and its labels.
        card: Of the network.
        channel_names: Of the scan.
        facts: What traces it: command, versions, machine.
        scores: By class or region, where the truth is known.
    """
    size = " x ".join(map(str, case.labels.shape))
    spacing = " x ".join(f"{step:.3g}" for step in case.spacing)
    picture = "" if case.truth is None else error_picture(case, card=card)
    return render(
        "volume.html",
        title=case.name,
        subtitle=f"Segmented by {card.name}; {size} voxels of {spacing} mm (D x H x W). The "
        "patient's left is on the left.",
        case={
            "viewer": viewer(
                case,
                channel_names=channel_names,
                class_names=card.class_names,
                palette=card.palette,
                max_bytes=MAX_CASE - len(picture),
            ),
            "picture": picture,
            "scores": score_rows(scores or {}),
        },
        facts=facts,
    )


def error_picture(case: ShownCase, *, card: Card) -> str:
    """Three planes and below them where labels and truth differ, as the address of an `img`."""
    picture = three_planes(
        case.values[0],
        case.labels,
        spacing=case.spacing,
        names=card.class_names,
        palette=card.palette,
        truth=case.truth,
    )
    return embedded(np.asarray(picture), width=_PICTURE_WIDTH)


def score_rows(scores: Mapping[str, RegionScore]) -> list[dict[str, str]]:
    """Scores of one case in words, a row for each class or region."""
    return [
        {
            "name": name,
            "dice": percent(score.dice),
            "hd95": "-" if math.isnan(score.hd95) else f"{score.hd95:.2f}",
            "surface_dice": percent(score.surface_dice),
            "truth_ml": f"{score.truth_ml:.2f}",
            "prediction_ml": f"{score.prediction_ml:.2f}",
        }
        for name, score in scores.items()
    ]
