"""What `evaluate` does with volumes: Dice, HD95 and more of classes or regions, case by case."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

import typer

from atrous.errors import DataError

if TYPE_CHECKING:
    from atrous.data.volume import Volume
    from atrous.data.volume_layout import VolumeLayout
    from atrous.inference.volume_predictor import VolumeOptions, VolumePredictor
    from atrous.metrics.volume_summary import Summary
    from atrous.metrics.volumes import RegionScore


def evaluate_volumes(
    predictor: "VolumePredictor",
    samples: "VolumeLayout",
    protocol: str,
    options: "VolumeOptions",
    *,
    as_json: bool,
) -> None:
    """Run and score every case on its own grid, and print the table.

    Raises:
        UnknownNameError: If there is no such protocol for volumes.
        DataError: If a case cannot be read, or lacks a channel of the network.
    """
    from atrous.apps.cli.progress import progress
    from atrous.metrics.volume_summary import summarise
    from atrous.metrics.volumes import class_regions, score_case, volume_protocol

    rule = volume_protocol(protocol)
    if not len(samples):
        raise DataError("The data holds no case; expected some; check the folder or the subset.")
    regions = predictor.facts.regions or class_regions(predictor.card.class_names)
    cases: dict[str, dict[str, RegionScore]] = {}
    with progress("scored", len(samples)) as advance:
        for index, name in enumerate(samples.names):
            volume, truth = samples.volume_and_mask(index)
            chosen = _channels(volume, samples, predictor.facts.channel_names)
            labels = predictor.predict(chosen, options).labels
            cases[name] = score_case(
                truth, labels, regions=regions, spacing=volume.spacing, protocol=protocol
            )
            advance()
    summary = summarise(list(cases.values()))
    if as_json:
        typer.echo(json.dumps(_record(protocol, summary, cases), indent=1))
        return
    for line in _lines(summary, cases):
        typer.echo(line)
    typer.echo(f"protocol {protocol}: {rule.description}")


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


def _record(
    protocol: str,
    summary: "Mapping[str, Mapping[str, Summary]]",
    cases: "Mapping[str, Mapping[str, RegionScore]]",
) -> dict[str, object]:
    """As docs/json.md promises: Dice in percent, HD95 in mm."""
    return {
        "protocol": protocol,
        "dice": {name: _number(100 * found["dice"].mean) for name, found in summary.items()},
        "hd95": {name: _number(found["hd95"].mean) for name, found in summary.items()},
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
        low, high = dice.interval or (math.nan, math.nan)
        lines.append(
            f"{name:<{width}}  {100 * dice.mean:7.2f} {100 * dice.median:7.2f}  "
            f"({100 * low:6.2f} to {100 * high:6.2f})  {hd95.mean:7.2f}  "
            f"{100 * found['surface_dice'].mean:14.2f}  {dice.num_cases:5}"
        )
    return lines
