"""What `evaluate` does with volumes: Dice, HD95 and more of classes or regions, case by case."""

import json
import math
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from atrous.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable

    from atrous.data.volume import Volume
    from atrous.data.volume_layout import VolumeLayout
    from atrous.inference.volume_predictor import VolumeOptions, VolumePredictor
    from atrous.metrics.volume_summary import Summary
    from atrous.metrics.volumes import RegionScore
    from atrous.reports.volume_viewer import ShownCase


def evaluate_volumes(
    predictor: "VolumePredictor",
    samples: "VolumeLayout",
    protocol: str,
    options: "VolumeOptions",
    *,
    html: Path | None,
    as_json: bool,
) -> None:
    """Run and score every case on its own grid, print the table, write the page if one is wished.

    Raises:
        UnknownNameError: If there is no such protocol for volumes.
        DataError: If a case cannot be read, or lacks a channel of the network.
    """
    from atrous.apps.cli.progress import progress
    from atrous.apps.cli.volume_pages import Scored, write_pages
    from atrous.metrics.volume_summary import summarise
    from atrous.metrics.volumes import class_regions, score_case, volume_protocol

    rule = volume_protocol(protocol)
    if not len(samples):
        raise DataError("The data holds no case; expected some; check the folder or the subset.")
    regions = predictor.facts.regions or class_regions(predictor.card.class_names)
    cases: dict[str, dict[str, RegionScore]] = {}
    kept: dict[str, bytes] = {}
    with progress("scored", len(samples)) as advance:
        for index, name in enumerate(samples.names):
            volume, truth = samples.volume_and_mask(index)
            chosen = _channels(volume, samples, predictor.facts.channel_names)
            labels = predictor.predict(chosen, options).labels
            cases[name] = score_case(
                truth, labels, regions=regions, spacing=volume.spacing, protocol=protocol
            )
            if html is not None:
                kept[name] = zlib.compress(labels.contiguous().numpy().data)
            advance()
    summary = summarise(list(cases.values()))
    if html is not None:

        def case_of(name: str) -> "ShownCase":
            return _shown(samples, name, kept[name], predictor.facts.channel_names)

        write_pages(html, predictor, Scored(protocol, summary, cases), case_of)
    if as_json:
        typer.echo(json.dumps(_record(protocol, summary, cases), indent=1))
        return
    for line in _lines(summary, cases):
        typer.echo(line)
    typer.echo(f"protocol {protocol}: {rule.description}")
    if html is not None:
        typer.echo(f"page: {html}")


def _channels(volume: "Volume", samples: "VolumeLayout", wanted: Sequence[str]) -> "Volume":
    """The scan with the network's channels, by name where the data names its own."""
    from dataclasses import replace

    names = samples.channel_names
    if names is None or not set(wanted) & set(names):
        return volume  # by position; other numbers of channels are refused when it is prepared
    missing = [name for name in wanted if name not in names]
    if missing:
        raise DataError(
            f"The data has the channels {', '.join(names)}, but the network takes "
            f"{', '.join(wanted)}; expected them all; take another network."
        )
    return replace(volume, array=volume.array[[names.index(name) for name in wanted]])


def _shown(
    samples: "VolumeLayout", name: str, labels: bytes, channels: Sequence[str]
) -> "ShownCase":
    """A case for its page, its labels by zlib."""
    import numpy as np

    from atrous.reports.volume_viewer import ShownCase

    volume, truth = samples.volume_and_mask(samples.names.index(name))
    return ShownCase(
        name=name,
        values=_channels(volume, samples, channels).array,
        labels=np.frombuffer(zlib.decompress(labels), np.uint8).reshape(truth.shape),
        truth=truth.numpy().astype(np.uint8),
        spacing=volume.spacing,
    )


def _record(
    protocol: str,
    summary: "Mapping[str, Mapping[str, Summary]]",
    cases: "Mapping[str, Mapping[str, RegionScore]]",
) -> dict[str, object]:
    """As docs/json.md promises: Dice in percent, HD95 in mm."""
    from atrous.metrics.volume_summary import MEASURES

    return {
        "protocol": protocol,
        **{measure: _each(summary, measure, lambda s: s.mean) for measure in MEASURES},
        "median": {measure: _each(summary, measure, lambda s: s.median) for measure in MEASURES},
        "interval": {
            measure: {name: _bounds(measure, found[measure]) for name, found in summary.items()}
            for measure in MEASURES
        },
        "cases": [
            {
                "name": case,
                **{
                    region: {key: _number(_scaled(key, value)) for key, value in asdict(s).items()}
                    for region, s in scores.items()
                },
            }
            for case, scores in cases.items()
        ],
    }


def _each(
    summary: "Mapping[str, Mapping[str, Summary]]", measure: str, take: "Callable[[Summary], float]"
) -> dict[str, float | None]:
    return {
        name: _number(_scaled(measure, take(found[measure]))) for name, found in summary.items()
    }


def _bounds(measure: str, found: "Summary") -> list[float | None] | None:
    if found.interval is None:
        return None
    return [_number(_scaled(measure, bound)) for bound in found.interval]


def _scaled(key: str, value: float) -> float:
    return 100 * value if key in ("dice", "iou", "surface_dice") else value


def _number(value: float) -> float | None:
    return None if math.isnan(value) else round(value, 4)


def _lines(
    summary: "Mapping[str, Mapping[str, Summary]]",
    cases: "Mapping[str, Mapping[str, RegionScore]]",
) -> list[str]:
    width = max(map(len, [*summary, "class"]))
    head = f"{'class':<{width}}   Dice %  median  (95 % interval)    HD95 mm  surface Dice %  cases"
    lines = [f"{len(cases)} cases", head]
    for name, found in summary.items():
        dice, hd95 = found["dice"], found["hd95"]
        interval = f"{'':18}"  # of one case there is none
        if dice.interval is not None:
            low, high = dice.interval
            interval = f"({100 * low:6.2f} to {100 * high:6.2f})"
        lines.append(
            f"{name:<{width}}  {100 * dice.mean:7.2f} {100 * dice.median:7.2f}  "
            f"{interval}  {hd95.mean:7.2f}  "
            f"{100 * found['surface_dice'].mean:14.2f}  {dice.num_cases:5}"
        )
    return lines
