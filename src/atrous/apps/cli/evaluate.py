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
    layout: Annotated[
        str,
        typer.Option(
            help="How the folder is laid out: camvid, cityscapes, voc, mask_folder, binary_folder."
        ),
    ],
    protocol: Annotated[
        str, typer.Option(help="Whose rules: void_ignored, camvid_published, cityscapes, voc.")
    ] = "void_ignored",
    split: Annotated[str | None, typer.Option(help="Part of the data set, such as val.")] = None,
    html: Annotated[Path | None, typer.Option(help="Also write a page with pictures.")] = None,
    boundary: Annotated[
        bool,
        typer.Option("--boundary", help="Also score the boundaries, 2 % of the diagonal wide."),
    ] = False,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1, mps.")] = "cpu",
    as_json: Annotated[bool, typer.Option("--json", help="Print the scores as JSON.")] = False,
) -> None:
    """Score a network on labelled images, by a protocol that has a name."""
    import torch

    from atrous._files import check_place
    from atrous.apps.cli.allocator import keep_freed_memory
    from atrous.apps.cli.device import checked_device
    from atrous.data.catalog import open_layout, require_masks
    from atrous.errors import UnknownNameError
    from atrous.inference import load_segmenter
    from atrous.metrics.bootstrap import bootstrap_mean_iou
    from atrous.metrics.protocols import PROTOCOLS, check_protocol, score

    keep_freed_memory()
    if html is not None:
        check_place(html)
    if protocol not in PROTOCOLS:
        raise UnknownNameError("protocol", protocol, PROTOCOLS)
    predictor = load_segmenter(weights, device=checked_device(device))
    card = predictor.card
    check_protocol(protocol, num_classes=len(card.class_names), void_class=card.void_class)
    samples = require_masks(
        open_layout(layout, data, split=split, num_classes=len(card.class_names))
    )
    counts = _count(predictor, samples, with_boundary=boundary)
    matrices = torch.stack([count.matrix for count in counts])
    scores = score(matrices.sum(0), protocol=protocol, void_class=card.void_class)
    interval = bootstrap_mean_iou(matrices, protocol=protocol, void_class=card.void_class)
    if html is not None:
        _write_page(html, predictor, samples, counts, scores, interval)
    record = _record(scores, interval, card, len(counts))
    if boundary:
        record |= _boundary_record(counts, scores, card)
    typer.echo(json.dumps(record, indent=1) if as_json else _text(record))
    if html is not None and not as_json:
        typer.echo(f"page: {html}")


def _count(
    predictor: "Predictor", samples: "Layout", *, with_boundary: bool
) -> list["ImageCounts"]:
    """The counts of every image, in the order of the samples."""
    from atrous.apps.cli.progress import progress
    from atrous.training.evaluate import evaluate as evaluate_samples

    counts = []
    with progress("evaluate", len(samples)) as advance:
        for count in evaluate_samples(
            lambda images: [p.mask for p in predictor.predict_batch(images)],
            samples,
            class_names=predictor.card.class_names,
            void_class=predictor.card.void_class,
            with_boundary=with_boundary,
        ):
            counts.append(count)
            advance()
    return sorted(counts, key=lambda count: count.index)


def _record(
    scores: "Scores", interval: tuple[float, float] | None, card: "Card", num_images: int
) -> dict[str, object]:
    """The result in percent, as docs/json.md promises it; what cannot be scored is None."""
    return {
        "protocol": scores.protocol,
        "miou": _percent(scores.mean_iou),
        "class_average_accuracy": _percent(scores.mean_accuracy),
        "pixel_accuracy": _percent(scores.pixel_accuracy),
        "frequency_weighted_iou": _percent(scores.frequency_weighted_iou),
        "mean_dice": _percent(scores.mean_dice),
        "iou": {
            name: _percent(value)
            for name, value in zip(card.class_names, scores.class_iou, strict=True)
        },
        "averaged_classes": [card.class_names[index] for index in scores.averaged_classes],
        "images": num_images,
        "interval": {"miou": interval and [_percent(bound) for bound in interval]},
    }


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
        "mean_boundary_iou": _percent(float(iou[list(scores.averaged_classes)].nanmean())),
        "boundary_iou": {
            name: _percent(value)
            for name, value in zip(card.class_names, iou.tolist(), strict=True)
        },
    }


def _percent(value: float) -> float | None:
    return None if math.isnan(value) else round(100 * value, 4)


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
        "mean_boundary_iou": "mean boundary IoU",
    }
    for key, title in titles.items():
        if key not in record:
            continue
        lines.append(f"  {title:<24}{_number(record[key])} %")
    interval = record["interval"]
    if isinstance(interval, dict) and interval["miou"]:
        low, high = interval["miou"]
        lines[1] += f"   ({low:.2f} to {high:.2f}, 95 % bootstrap over images)"
    averaged, by_class = record["averaged_classes"], record["iou"]
    if isinstance(by_class, dict) and isinstance(averaged, list):
        boundary = record.get("boundary_iou")
        lines.append("IoU by class" + (", and of its boundary" if boundary else ""))
        for name, value in by_class.items():
            second = f"{_number(boundary[name])} %" if isinstance(boundary, dict) else ""
            note = "" if name in averaged else "   not averaged"
            lines.append(f"  {name:<24}{_number(value)} %{second}{note}")
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
