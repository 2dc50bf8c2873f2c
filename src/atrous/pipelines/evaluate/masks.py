"""Score masks: count every pixel, IoU by class; and the labels of joint networks beside."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from atrous.pipelines.evaluate.evaluation import Evaluation
from atrous.pipelines.evaluate.scored_masks import ScoredMasks
from atrous.pipelines.evaluate.settings import EvaluationSettings, interval_text, number, percent
from atrous.pipelines.progress import OnProgress, counter

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from atrous.data.class_map import ClassMap
    from atrous.data.dataset import Dataset
    from atrous.evaluation.masks import ImageCounts, Predict
    from atrous.inference import Predictor
    from atrous.metrics.iou import Scores
    from atrous.networks.card import Card
    from atrous.reports.evaluation.masks_page import Example

NUM_EXAMPLES = 4
"""How many of the best and of the worst images the page shows."""

_TITLES = {
    "miou": "mean IoU",
    "class_average_accuracy": "class average accuracy",
    "pixel_accuracy": "pixel accuracy",
    "frequency_weighted_iou": "frequency-weighted IoU",
    "mean_dice": "mean Dice",
    "mean_boundary_iou": "mean boundary IoU",
}


def scored_card(card: "Card", protocol: str, class_map: "ClassMap | None") -> "Card":
    """The network's card, or with a class map the same in the classes it is scored by.

    Raises:
        AtrousError: If the map does not fit the network, or the protocol not the classes.
    """
    from atrous.evaluation.shared_classes import shared_card
    from atrous.metrics.protocols import check_protocol

    if class_map is not None:
        card = shared_card(card, class_map)
    check_protocol(protocol, num_classes=len(card.class_names), void_class=card.void_class)
    return card


def evaluate_masks(
    predictor: "Predictor",
    samples: "Dataset",
    card: "Card",
    protocol: str,
    settings: EvaluationSettings,
    *,
    on_progress: OnProgress,
) -> Evaluation:
    """Run and score; write the page if one is asked for.

    Args:
        predictor: A network that gives masks.
        samples: In the data's own classes.
        card: What `scored_card` gave.
        protocol: A name in `PROTOCOLS`.
        settings: How it is scored besides.
        on_progress: Called after every image.
    """
    from atrous._files import write_text
    from atrous.data.combine import Remapped
    from atrous.pipelines.evaluate.labels import joint_classes, joint_scores, label_record

    if settings.class_map is not None:
        samples = Remapped(samples, settings.class_map).require("masks")
    label_classes = joint_classes(samples, predictor.card)
    counts, probabilities = _count(predictor, samples, card, settings, on_progress)
    scored = ScoredMasks.of([count.matrix for count in counts], card=card, protocol=protocol)
    record = scored.record() | settings.record(predictor.card)
    if settings.has_boundary:
        record |= _boundary_record(counts, scored.scores, card)
    labels = None
    if label_classes is not None:
        labels = joint_scores(probabilities, samples.require("labels"), label_classes)
        record["labels"] = label_record(labels, label_classes.names)
    if settings.html is not None:
        best, worst = _examples(predictor, samples, card, counts, protocol, settings)
        notes = settings.notes(predictor.card)
        write_text(settings.html, scored.page(best=best, worst=worst, notes=notes, labels=labels))
    lines = mask_lines(record, settings, settings.lines(predictor.card))
    return Evaluation(record=record, lines=lines, page=settings.html)


def _count(
    predictor: "Predictor",
    samples: "Dataset",
    card: "Card",
    settings: EvaluationSettings,
    on_progress: OnProgress,
) -> "tuple[list[ImageCounts], list[Tensor | None]]":
    """The counts of every image and its label's probabilities, in the order of the samples."""
    from atrous.evaluation.masks import evaluate

    probabilities: list[Tensor | None] = []
    counts = []
    advance = counter(on_progress, "evaluate", len(samples))
    for count in evaluate(
        _masks(predictor, settings, probabilities),
        samples,
        class_names=card.class_names,
        void_class=card.void_class,
        with_boundary=settings.has_boundary,
    ):
        counts.append(count)
        advance()
    # Both are in the order in which the network was given the images.
    order = sorted(range(len(counts)), key=lambda position: counts[position].index)
    return [counts[i] for i in order], [probabilities[i] for i in order]


def _masks(
    predictor: "Predictor", settings: EvaluationSettings, seen: "list[Tensor | None]"
) -> "Predict":
    """Masks in the scored classes; what is said of the images as a whole is added to `seen`."""
    from atrous.evaluation.shared_classes import in_shared_classes
    from atrous.inference.tta import predict_averaged

    def predict(images: "Sequence[NDArray[np.uint8 | np.float32]]") -> "list[Tensor]":
        if settings.averaging:
            found = [predict_averaged(predictor, image, settings.averaging) for image in images]
        else:
            found = predictor.predict_batch(images)
        seen.extend(prediction.label_probabilities for prediction in found)
        return [prediction.mask for prediction in found]

    if settings.class_map is None:
        return predict
    return in_shared_classes(predict, settings.class_map.network_table(predictor.card.class_names))


def _boundary_record(
    counts: Sequence["ImageCounts"], scores: "Scores", card: "Card"
) -> dict[str, object]:
    """Boundary IoU of every class, and the mean over the classes that the protocol averages.

    Whatever the protocol, unlabelled pixels are left out.
    """
    import torch

    from atrous.metrics.boundary import boundary_iou

    boundaries = [count.boundary for count in counts if count.boundary is not None]
    iou = boundary_iou(torch.stack(boundaries).sum(0))
    if card.void_class is not None:  # whose truth is left out, so that all of it would be wrong
        iou[card.void_class] = torch.nan
    return {
        "mean_boundary_iou": percent(float(iou[list(scores.averaged_classes)].nanmean())),
        "boundary_iou": {
            name: percent(value) for name, value in zip(card.class_names, iou.tolist(), strict=True)
        },
    }


def mask_lines(
    record: dict[str, object],
    settings: EvaluationSettings,
    notes: Sequence[str],
    *,
    unit: str = "images",
) -> tuple[str, ...]:
    """The record for people.

    Args:
        record: What `ScoredMasks.record` gave, and more.
        settings: How it was scored.
        notes: Lines below the first.
        unit: What was scored.
    """
    from atrous.metrics.protocols import PROTOCOLS
    from atrous.pipelines.evaluate.labels import label_lines

    protocol = str(record["protocol"])
    rules = settings.describe(protocol, PROTOCOLS[protocol].description)
    lines = [f"{record['images']} {unit}, {rules}", *notes]
    intervals = record["interval"]
    for key, title in _TITLES.items():
        if key in record:
            bounds = intervals.get(key) if isinstance(intervals, dict) else None
            interval = interval_text(bounds, kind=f"bootstrap over {unit}")
            lines.append(f"  {title:<24}{number(record[key])} %{interval}")
    averaged, by_class = record["averaged_classes"], record["iou"]
    if isinstance(by_class, dict) and isinstance(averaged, list):
        boundary = record.get("boundary_iou")
        lines.append("IoU by class" + (", and of its boundary" if boundary else ""))
        for name, value in by_class.items():
            second = f"{number(boundary[name])} %" if isinstance(boundary, dict) else ""
            note = "" if name in averaged else "   not averaged"
            lines.append(f"  {name:<24}{number(value)} %{second}{note}")
    labels = record.get("labels")
    if isinstance(labels, dict):
        lines += label_lines(labels, settings)
    return tuple(lines)


def _examples(
    predictor: "Predictor",
    samples: "Dataset",
    card: "Card",
    counts: Sequence["ImageCounts"],
    protocol: str,
    settings: EvaluationSettings,
) -> "tuple[list[Example], list[Example]]":
    """The best images and the worst, run once more for their pictures."""
    import torch

    from atrous.reports.evaluation.masks_page import Example, extremes, image_scores

    matrices = torch.stack([count.matrix for count in counts])
    scores = image_scores(matrices, protocol=protocol, void_class=card.void_class)
    predict = _masks(predictor, settings, [])

    def example(position: int) -> Example:
        image, truth = samples.rgb8_and_mask(counts[position].index)
        return Example(
            name=counts[position].name,
            mean_iou=scores[position],
            image=image,
            truth=truth,
            prediction=predict([samples.pixels_and_mask(counts[position].index)[0]])[0],
        )

    best, worst = extremes(scores, NUM_EXAMPLES)
    return [example(i) for i in best], [example(i) for i in worst]
