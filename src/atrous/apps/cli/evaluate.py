"""`atrous evaluate WEIGHTS DATA --layout NAME --protocol NAME`."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from atrous.data.catalog import Layout
    from atrous.inference import Predictor
    from atrous.metrics.scores import Scores
    from atrous.networks.card import Card
    from atrous.reports.evaluation_page import Example
    from atrous.training.evaluate import ImageCounts

NUM_EXAMPLES = 4
"""How many of the best and of the worst images the page shows."""


def evaluate(
    weights: Annotated[Path, typer.Argument(help="A .safetensors file that holds a card.")],
    data: Annotated[Path, typer.Argument(help="Folder of the data set.")],
    layout: Annotated[str, typer.Option(help="How the folder is laid out: camvid, mask_folder, …")],
    protocol: Annotated[
        str, typer.Option(help="Whose rules: void_ignored, camvid_published, …")
    ] = "void_ignored",
    split: Annotated[str | None, typer.Option(help="Part of the data set, such as val.")] = None,
    html: Annotated[Path | None, typer.Option(help="Also write a page with pictures.")] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1, mps.")] = "cpu",
    as_json: Annotated[bool, typer.Option("--json", help="Print the scores as JSON.")] = False,
) -> None:
    """Score a network on labelled images, by a protocol that has a name."""
    import torch

    from atrous._files import check_place
    from atrous.apps.cli.allocator import keep_freed_memory
    from atrous.apps.cli.device import checked_device
    from atrous.apps.cli.progress import progress
    from atrous.data.catalog import open_layout
    from atrous.errors import UnknownNameError
    from atrous.inference import load_segmenter
    from atrous.metrics.bootstrap import bootstrap_mean_iou
    from atrous.metrics.protocols import PROTOCOLS, score
    from atrous.training.evaluate import evaluate as evaluate_samples

    keep_freed_memory()
    if html is not None:
        check_place(html)
    if protocol not in PROTOCOLS:
        raise UnknownNameError("protocol", protocol, PROTOCOLS)
    predictor = load_segmenter(weights, device=checked_device(device))
    card = predictor.card
    samples = open_layout(layout, data, split=split, num_classes=len(card.class_names))
    counts: list[ImageCounts] = []
    with progress("evaluate", len(samples)) as advance:
        for count in evaluate_samples(
            lambda images: [p.mask for p in predictor.predict_batch(images)],
            samples,
            class_names=card.class_names,
        ):
            counts.append(count)
            advance()
    counts.sort(key=lambda count: count.index)
    matrices = torch.stack([count.matrix for count in counts])
    scores = score(matrices.sum(0), protocol=protocol, void_class=card.void_class)
    interval = bootstrap_mean_iou(matrices, protocol=protocol, void_class=card.void_class)
    if html is not None:
        _write_page(html, predictor, samples, counts, scores, interval)
    record = _record(scores, interval, card, len(counts))
    typer.echo(json.dumps(record, indent=1) if as_json else _text(record))
    if html is not None and not as_json:
        typer.echo(f"page: {html}")


def _record(
    scores: "Scores", interval: tuple[float, float] | None, card: "Card", num_images: int
) -> dict[str, object]:
    """The result in percent, as docs/json.md promises it; what cannot be scored is None."""

    def percent(value: float) -> float | None:
        return None if math.isnan(value) else round(100 * value, 4)

    return {
        "protocol": scores.protocol,
        "miou": percent(scores.mean_iou),
        "class_average_accuracy": percent(scores.mean_accuracy),
        "pixel_accuracy": percent(scores.pixel_accuracy),
        "frequency_weighted_iou": percent(scores.frequency_weighted_iou),
        "mean_dice": percent(scores.mean_dice),
        "iou": {
            name: percent(value)
            for name, value in zip(card.class_names, scores.class_iou, strict=True)
        },
        "averaged_classes": [card.class_names[index] for index in scores.averaged_classes],
        "images": num_images,
        "interval": {"miou": interval and [percent(bound) for bound in interval]},
    }


def _text(record: dict[str, object]) -> str:
    from atrous.metrics.protocols import PROTOCOLS

    protocol = str(record["protocol"])
    lines = [f"{record['images']} images, protocol {protocol}: {PROTOCOLS[protocol].description}"]
    titles = {
        "miou": "mean IoU",
        "class_average_accuracy": "class average accuracy",
        "pixel_accuracy": "pixel accuracy",
        "frequency_weighted_iou": "frequency-weighted IoU",
        "mean_dice": "mean Dice",
    }
    for key, title in titles.items():
        lines.append(f"  {title:<24}{_number(record[key])} %")
    interval = record["interval"]
    if isinstance(interval, dict) and interval["miou"]:
        low, high = interval["miou"]
        lines[1] += f"   ({low:.2f} to {high:.2f}, 95 % bootstrap over images)"
    averaged, by_class = record["averaged_classes"], record["iou"]
    if isinstance(by_class, dict) and isinstance(averaged, list):
        lines.append("IoU by class")
        for name, value in by_class.items():
            note = "" if name in averaged else "   not averaged"
            lines.append(f"  {name:<24}{_number(value)} %{note}")
    return "\n".join(lines)


def _number(value: object) -> str:
    return f"{value:6.2f}" if isinstance(value, float) else "     -"


def _write_page(
    path: Path,
    predictor: "Predictor",
    samples: "Layout",
    counts: Sequence["ImageCounts"],
    scores: "Scores",
    interval: tuple[float, float] | None,
) -> None:
    import torch

    from atrous._files import write_text
    from atrous.apps.cli.facts import facts
    from atrous.reports.evaluation_page import evaluation_page, extremes, image_scores

    matrices = torch.stack([count.matrix for count in counts])
    per_image = image_scores(
        matrices, protocol=scores.protocol, void_class=predictor.card.void_class
    )
    best, worst = extremes(per_image, NUM_EXAMPLES)
    page = evaluation_page(
        card=predictor.card,
        scores=scores,
        interval=interval,
        matrix=matrices.sum(0),
        num_images=len(counts),
        best=[_example(predictor, samples, counts[i], per_image[i]) for i in best],
        worst=[_example(predictor, samples, counts[i], per_image[i]) for i in worst],
        facts=facts(),
    )
    write_text(path, page)


def _example(
    predictor: "Predictor", samples: "Layout", count: "ImageCounts", mean_iou: float
) -> "Example":
    from atrous.reports.evaluation_page import Example

    image, truth = samples.rgb8_and_mask(count.index)
    return Example(
        name=count.name,
        mean_iou=mean_iou,
        image=image,
        truth=truth,
        prediction=predictor.predict(image).mask,
    )
