"""The result of scoring labels of whole images, as one self-contained HTML page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from atrous.metrics.topk_scores import DESCRIPTION, PROTOCOL, LabelScores
from atrous.networks.card import Card
from atrous.reports.page import render
from atrous.reports.page_values import bounds, embedded, percent

PICTURE_WIDTH = 240
"""Wider pictures are shrunk to this before they are put into the page."""

MAX_MATRIX = 40
"""With more classes than this in the truth there is no matrix, only its largest errors."""

NUM_CONFUSIONS = 20
"""How many pairs of classes that list has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mistake:
    """One image whose likeliest class is wrong."""

    name: str
    image: NDArray[np.uint8]
    """`(H, W, 3)` RGB."""
    truth: str
    prediction: str
    probability: float
    """Of the prediction."""


def label_table(scores: LabelScores) -> list[tuple[str, str, str]]:
    """Title, percent and interval of every score there is."""
    rows = [("Top-1 accuracy", percent(scores.top1), bounds(scores.top1_interval))]
    if scores.top5 is not None:
        rows.append(("Top-5 accuracy", percent(scores.top5), bounds(scores.top5_interval)))
    return [*rows, ("Mean over classes", percent(scores.mean_class_accuracy), "")]


def label_page(
    *,
    card: Card,
    class_names: Sequence[str],
    scores: LabelScores,
    mistakes: Sequence[Mistake],
    facts: Mapping[str, str],
    notes: Sequence[str] = (),
) -> str:
    """HTML with scores, bars per class, confusion matrix and the surest mistakes.

    Args:
        card: Of the network.
        class_names: What the scores are of, by index.
        scores: Of the whole set.
        mistakes: Pictures that were named wrong, surest first.
        facts: What traces the numbers: command, data, versions, device.
        notes: What else the scores depend on, a line each: input, averaging, class map.
    """
    counts = scores.confusion.sum(1).tolist()
    present = [index for index, count in enumerate(counts) if count]
    classes = [
        {"name": class_names[i], "images": counts[i], "accuracy": scores.class_accuracy[i]}
        for i in present
    ]
    return render(
        "labels.html",
        title=f"{card.name}: {percent(scores.top1)} % top-1",
        card=card,
        protocol=PROTOCOL,
        protocol_description=DESCRIPTION,
        num_images=scores.num_images,
        notes=notes,
        table=label_table(scores),
        classes=classes,
        confusion=_rows(scores, class_names, present) if len(present) <= MAX_MATRIX else (),
        confusions=_largest(scores, class_names),
        mistakes=[
            {
                "name": mistake.name,
                "truth": mistake.truth,
                "prediction": mistake.prediction,
                "probability": mistake.probability,
                "picture": embedded(mistake.image, width=PICTURE_WIDTH),
            }
            for mistake in mistakes
        ],
        facts=facts,
        percent=percent,
    )


def _rows(
    scores: LabelScores, class_names: Sequence[str], present: Sequence[int]
) -> list[dict[str, object]]:
    """Rows of truth: how many images went to each class of the truth, and to any other."""
    rows = []
    for position, index in enumerate(present):
        row = scores.confusion[index]
        cells = row[list(present)].tolist()
        total = int(row.sum())
        cells.append(total - sum(cells))
        rows.append(
            {"name": class_names[index], "images": total, "index": position, "cells": cells}
        )
    return rows


def _largest(scores: LabelScores, class_names: Sequence[str]) -> list[tuple[str, str, int]]:
    """Truth, prediction and images of the commonest errors, commonest first."""
    wrong = scores.confusion.clone()
    wrong.fill_diagonal_(0)
    pairs = sorted(wrong.nonzero().tolist(), key=lambda pair: -int(wrong[pair[0], pair[1]]))
    return [
        (class_names[truth], class_names[prediction], int(wrong[truth, prediction]))
        for truth, prediction in pairs[:NUM_CONFUSIONS]
    ]
