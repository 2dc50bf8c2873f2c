"""The result of an evaluation as one self-contained HTML page."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from atrous.inference.overlay import tint
from atrous.metrics.iou import Scores
from atrous.metrics.protocols import PROTOCOLS, score
from atrous.metrics.topk_scores import LabelScores
from atrous.networks.card import Card
from atrous.reports.evaluation.labels_page import label_table
from atrous.reports.page import render
from atrous.reports.page_values import bounds, embedded, percent
from atrous.types import UNLABELLED, Colour

Pixels: TypeAlias = NDArray[np.uint8]

PICTURE_WIDTH = 480
"""Wider pictures are shrunk to this before they are put into the page."""

_RIGHT: Colour = (46, 160, 67)
_WRONG: Colour = (218, 54, 51)


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One image of the page, with what was true and what was predicted."""

    name: str
    mean_iou: float
    """Of this image alone, in [0, 1]."""
    image: Pixels
    """`(H, W, 3)` RGB."""
    truth: Tensor
    """`(H, W)` class indices, 255 where unlabelled."""
    prediction: Tensor
    """`(H, W)` class indices."""


def image_scores(matrices: Tensor, *, protocol: str, void_class: int | None) -> list[float]:
    """Mean IoU of every image by itself; not-a-number where none of its classes can be scored.

    Args:
        matrices: `(N, C + 1, C)` counts, one matrix an image.
        protocol: A name in `PROTOCOLS`.
        void_class: The network's own class for unlabelled pixels, if it has one.
    """
    return [score(m, protocol=protocol, void_class=void_class).mean_iou for m in matrices]


def evaluation_page(
    *,
    card: Card,
    scores: Scores,
    interval: tuple[float, float] | None,
    matrix: Tensor,
    num_images: int,
    best: Sequence[Example],
    worst: Sequence[Example],
    facts: Mapping[str, str],
    notes: Sequence[str] = (),
    labels: LabelScores | None = None,
    unit: str = "images",
) -> str:
    """HTML with score table, bars per class, normalised confusion matrix and example images.

    Args:
        card: Of the network.
        scores: Of the whole set.
        interval: Bootstrap interval of the mean IoU, if there is one.
        matrix: `(C + 1, C)` counts of the whole set.
        num_images: How many images were scored.
        best: The images with the highest mean IoU, best first.
        worst: The images with the lowest, worst first.
        facts: What traces the numbers: command, data, versions, device.
        notes: What else the scores depend on, a line each: input, averaging, class map.
        labels: Scores of the labels of whole images, of a network that gives those too.
        unit: What was scored.
    """
    rows = [
        ("Mean IoU", scores.mean_iou, interval),
        ("Class average accuracy", scores.mean_accuracy, None),
        ("Pixel accuracy", scores.pixel_accuracy, None),
        ("Frequency-weighted IoU", scores.frequency_weighted_iou, None),
        ("Mean Dice", scores.mean_dice, None),
    ]
    return render(
        "evaluation.html",
        title=f"{card.name}: {percent(scores.mean_iou)} % mean IoU",
        card=card,
        protocol=scores.protocol,
        protocol_description=PROTOCOLS[scores.protocol].description,
        num_images=num_images,
        unit=unit,
        notes=notes,
        table=[(name, percent(value), bounds(interval)) for name, value, interval in rows],
        label_table=() if labels is None else label_table(labels),
        classes=_class_rows(card, scores),
        confusion=_confusion_rows(matrix, card),
        groups=[
            (f"Worst {unit}", [_figure(example, card) for example in worst]),
            (f"Best {unit}", [_figure(example, card) for example in best]),
        ],
        facts=facts,
        percent=percent,
    )


def _class_rows(card: Card, scores: Scores) -> list[dict[str, object]]:
    return [
        {
            "name": name,
            "colour": _css(colour),
            "is_averaged": index in scores.averaged_classes,
            "iou": scores.class_iou[index],
            "accuracy": scores.class_accuracy[index],
        }
        for index, (name, colour) in enumerate(zip(card.class_names, card.palette, strict=True))
    ]


def _confusion_rows(matrix: Tensor, card: Card) -> list[dict[str, object]]:
    """Rows of truth in percent of the row; classes without a labelled pixel are left out."""
    names = [*card.class_names, "(unlabelled)"]
    totals = matrix.sum(1)
    shares = matrix.double() / totals.clamp_min(1)[:, None]
    return [
        {"name": names[index], "pixels": int(totals[index]), "index": index, "cells": row}
        for index, row in enumerate(shares.tolist())
        if totals[index]
    ]


def _figure(example: Example, card: Card) -> dict[str, object]:
    truth, prediction = example.truth.numpy(), example.prediction.numpy()
    is_labelled = truth != UNLABELLED
    verdict = np.full(truth.shape, UNLABELLED, np.uint8)
    verdict[is_labelled] = (truth != prediction)[is_labelled]
    pictures = {
        "image": example.image,
        "truth": tint(example.image, truth, card.palette),
        "prediction": tint(example.image, prediction, card.palette),
        "difference": tint(example.image, verdict, (_RIGHT, _WRONG)),
    }
    return {
        "name": example.name,
        "mean_iou": example.mean_iou,
        "pictures": {
            name: embedded(pixels, width=PICTURE_WIDTH) for name, pixels in pictures.items()
        },
    }


def extremes(values: Sequence[float], count: int) -> tuple[list[int], list[int]]:
    """Indices of the `count` highest values, best first, and lowest, worst first; none in both.

    Example:
        >>> extremes([0.5, 0.9, math.nan, 0.1], 2)
        ([1], [3, 0])
    """
    ranked = sorted((i for i, value in enumerate(values) if value == value), key=values.__getitem__)
    worst = ranked[: min(count, math.ceil(len(ranked) / 2))]
    best = ranked[len(worst) :][-count:][::-1]
    return best, worst


def _css(colour: Colour) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour)
