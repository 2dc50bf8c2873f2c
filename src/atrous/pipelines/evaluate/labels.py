"""Score labels of whole images: how often the likeliest class is the true one."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from atrous.pipelines.evaluate.evaluation import Evaluation
from atrous.pipelines.evaluate.settings import (
    EvaluationSettings,
    interval_text,
    number,
    percent,
    percents,
)
from atrous.pipelines.progress import OnProgress, counter

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from atrous.data.dataset import Dataset
    from atrous.evaluation.labels import ImageRanking, LabelClasses
    from atrous.inference import Predictor
    from atrous.metrics.topk_scores import LabelScores
    from atrous.networks.card import Card
    from atrous.reports.evaluation.labels_page import Mistake

NUM_MISTAKES = 12
"""How many of the surest mistakes the page shows."""

_TITLES = {
    "top1": "top-1 accuracy",
    "top5": "top-5 accuracy",
    "mean_class_accuracy": "mean over classes",
}


def check_label_settings(protocol: str | None, settings: EvaluationSettings) -> None:
    """Refuse what is said for masks only.

    Raises:
        UnknownNameError: If the protocol is not the one for labels.
        DataError: If boundaries are asked for.
    """
    from atrous.errors import DataError, UnknownNameError
    from atrous.metrics.topk_scores import PROTOCOL

    if protocol not in (None, PROTOCOL):
        raise UnknownNameError("protocol for labels", str(protocol), [PROTOCOL])
    if settings.has_boundary:
        raise DataError(
            "--boundary was given, but the network gives labels of whole images, which have no "
            "boundary; leave it out."
        )


def evaluate_labels(
    predictor: "Predictor",
    samples: "Dataset",
    settings: EvaluationSettings,
    *,
    on_progress: OnProgress,
) -> Evaluation:
    """Run and score; write the page if one is asked for."""
    from atrous._files import write_text
    from atrous.data.combine import Remapped
    from atrous.evaluation.labels import label_classes
    from atrous.pipelines.provenance import facts
    from atrous.reports.evaluation.labels_page import label_page

    card = predictor.card
    if settings.class_map is not None:
        samples = Remapped(samples, settings.class_map).require("labels")
    classes = label_classes(samples.label_names, card.class_names, settings.class_map)
    images = _run(predictor, samples, settings, on_progress)
    scores = classes.score(images)
    record = label_record(scores, classes.names) | settings.record(card)
    if settings.html is not None:
        page = label_page(
            card=card,
            class_names=classes.names,
            scores=scores,
            mistakes=_mistakes(images, samples, classes, card),
            facts=facts(),
            notes=settings.notes(card),
        )
        write_text(settings.html, page)
    lines = tuple(label_lines(record, settings, card))
    return Evaluation(record=record, lines=lines, page=settings.html)


def _run(
    predictor: "Predictor",
    samples: "Dataset",
    settings: EvaluationSettings,
    on_progress: OnProgress,
) -> list["ImageRanking"]:
    """The likeliest classes of every image, in the order of the samples."""
    from atrous.evaluation.labels import evaluate_labels
    from atrous.inference.tta import classify_averaged

    def predict(images: "Sequence[NDArray[np.uint8]]") -> "list[Tensor]":
        if settings.averaging:
            found = [classify_averaged(predictor, image, settings.averaging) for image in images]
        else:
            found = predictor.predict_batch(images)
        said = [prediction.label_probabilities for prediction in found]
        return [probabilities for probabilities in said if probabilities is not None]

    rankings = []
    advance = counter(on_progress, "evaluate", len(samples))
    for ranking in evaluate_labels(predict, samples):
        rankings.append(ranking)
        advance()
    return sorted(rankings, key=lambda ranking: ranking.index)


def joint_classes(samples: "Dataset", card: "Card") -> "LabelClasses | None":
    """The classes to score a joint network's labels in; None where either side has no labels.

    Raises:
        DataError: If the labels are not those of the network.
    """
    from atrous.errors import DataError
    from atrous.evaluation.labels import label_classes

    if card.task != "joint" or not samples.has_labels:
        return None
    if not card.label_names:
        raise DataError(
            f"The card of {card.name} does not name its labels, so they cannot be scored by those "
            "of the data; expected names; name them, or score the masks alone as layout "
            "mask_folder."
        )
    return label_classes(samples.label_names, card.label_names)


def joint_scores(
    probabilities: "Sequence[Tensor | None]", samples: "Dataset", classes: "LabelClasses"
) -> "LabelScores":
    """Scores of what a joint network says of whole images.

    Args:
        probabilities: Of its labels, one `(L,)` for each sample in order.
        samples: With the true labels.
        classes: What `joint_classes` gave.
    """
    from atrous.evaluation.labels import image_ranking

    names = samples.names
    return classes.score(
        [
            image_ranking(given, index=index, name=names[index], truth=samples.labels[index])
            for index, given in enumerate(probabilities)
            if given is not None
        ]
    )


def label_record(scores: "LabelScores", class_names: Sequence[str]) -> dict[str, object]:
    """The result in percent, as docs/json.md promises it; what cannot be scored is None."""
    from atrous.metrics.topk_scores import PROTOCOL

    present = [index for index, row in enumerate(scores.confusion) if row.any()]
    return {
        "protocol": PROTOCOL,
        "top1": percent(scores.top1),
        "top5": None if scores.top5 is None else percent(scores.top5),
        "mean_class_accuracy": percent(scores.mean_class_accuracy),
        "accuracy": {class_names[i]: percent(scores.class_accuracy[i]) for i in present},
        "confusion": {
            class_names[i]: {
                class_names[j]: int(scores.confusion[i, j])
                for j in scores.confusion[i].nonzero().flatten().tolist()
            }
            for i in present
        },
        "images": scores.num_images,
        "interval": {
            "top1": percents(scores.top1_interval),
            "top5": percents(scores.top5_interval),
        },
    }


def label_lines(
    record: dict[str, object], settings: EvaluationSettings, card: "Card | None" = None
) -> list[str]:
    """The record as text.

    Args:
        record: What `label_record` gave.
        settings: How the network was scored.
        card: The network's, to say what it was fed; None where that was said already.
    """
    from atrous.metrics.topk_scores import DESCRIPTION

    rules = settings.describe(str(record["protocol"]), DESCRIPTION)
    lines = [f"{record['images']} images, {rules}", *([] if card is None else settings.lines(card))]
    intervals, by_class = record["interval"], record["accuracy"]
    assert isinstance(intervals, dict)  # as label_record makes it
    assert isinstance(by_class, dict)
    for key, title in _TITLES.items():
        if record[key] is not None:
            interval = interval_text(intervals.get(key), kind="Wilson")
            lines.append(f"  {title:<24}{number(record[key])} %{interval}")
    lines.append("accuracy by class")
    lines += [f"  {name:<24}{number(value)} %" for name, value in by_class.items()]
    return lines


def _mistakes(
    images: Sequence["ImageRanking"],
    samples: "Dataset",
    classes: "LabelClasses",
    card: "Card",
) -> list["Mistake"]:
    """The wrong images that the network was surest of, surest first."""
    from atrous.reports.evaluation.labels_page import Mistake

    wrong = [
        image
        for image in images
        if classes.of_network[int(image.ranking[0])] != classes.of_data[image.truth]
    ]
    wrong.sort(key=lambda image: -image.probability)
    return [
        Mistake(
            name=image.name,
            image=samples.rgb8(image.index),
            truth=samples.label_names[image.truth],
            prediction=card.class_names[int(image.ranking[0])],
            probability=image.probability,
        )
        for image in wrong[:NUM_MISTAKES]
    ]
