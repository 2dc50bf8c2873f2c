"""Score volumes: Dice, HD95 and more of classes or regions, case by case."""

import math
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from statistics import fmean
from typing import TYPE_CHECKING

from atrous.pipelines.evaluate.evaluation import Evaluation
from atrous.pipelines.progress import OnProgress, counter

if TYPE_CHECKING:
    from collections.abc import Callable

    from atrous.data.dataset import Dataset
    from atrous.data.volumes.geometry import Volume
    from atrous.inference.volumes.predictor import VolumePredictor, VolumeSettings
    from atrous.metrics.misalignment import Displacement
    from atrous.metrics.volume_summary import Summary
    from atrous.metrics.volumes import RegionScore
    from atrous.pipelines.evaluate.settings import EvaluationSettings
    from atrous.reports.volumes.viewer import ShownCase


MIN_REPORTED_GAIN = 0.01
"""Of Dice: a truth that gains less by being moved is where it belongs."""


def evaluate_volumes(
    predictor: "VolumePredictor",
    samples: "Dataset",
    protocol: str,
    options: "VolumeSettings",
    settings: "EvaluationSettings",
    *,
    finds_displaced: bool,
    on_progress: OnProgress,
) -> Evaluation:
    """Run and score every case on its own grid; write the page if one is asked for.

    Raises:
        UnknownNameError: If there is no such protocol for volumes.
        DataError: If a case cannot be read, or lacks a channel of the network.
    """
    from atrous.metrics.misalignment import find_displacement
    from atrous.metrics.volume_summary import summarise
    from atrous.metrics.volumes import score_case, volume_protocol
    from atrous.pipelines.evaluate.volume_classes import compare_classes
    from atrous.pipelines.evaluate.volume_pages import Scored, write_pages

    description = volume_protocol(protocol).description
    compared = compare_classes(samples, predictor, settings)
    samples, notes = compared.samples, list(compared.notes)
    regions, truth_regions = compared.regions, compared.truth_regions
    scored = partial(score_case, regions=regions, truth_regions=truth_regions, protocol=protocol)
    moved = partial(find_displacement, regions=regions, truth_regions=truth_regions)
    cases: dict[str, dict[str, RegionScore]] = {}
    kept: dict[str, bytes] = {}
    displaced: dict[str, Displacement] = {}
    unlike: dict[str, str] = {}
    advance = counter(on_progress, "evaluate", len(samples))
    for index, name in enumerate(samples.names):
        volume, truth = samples.volume_and_mask(index)
        chosen = _channels(volume, samples, predictor.facts.channel_names)
        said = predictor.predict(chosen, options)
        labels = compared.labels_of(said.mask)
        unlike.update({name: said.notes[0]} if said.notes else {})
        cases[name] = scored(truth, labels, spacing=volume.spacing)
        if finds_displaced:
            displaced[name] = moved(truth, labels)
        if settings.html is not None:
            kept[name] = zlib.compress(labels.contiguous().numpy().data)
        advance()
    summary = summarise(list(cases.values()))
    if settings.html is not None:

        def case_of(name: str) -> "ShownCase":
            return _shown(samples, name, kept[name], predictor.facts.channel_names)

        write_pages(settings.html, predictor, Scored(protocol, summary, cases), case_of)
    notes += _unlike_note(unlike, len(cases)) + _order_note(samples, predictor)
    lines = _lines(summary, cases) + (_displaced_lines(displaced) if finds_displaced else [])
    return Evaluation(
        record=_record(protocol, summary, cases, displaced) | ({"notes": notes} if notes else {}),
        lines=(*lines, *notes, f"protocol {protocol}: {description}"),
        page=settings.html,
    )


def _unlike_note(unlike: "Mapping[str, str]", num_cases: int) -> list[str]:
    """How many scans lie outside of what training saw, and why the first does."""
    return [
        f"{len(unlike)} of {num_cases} scans are unlike those of training; {first}: {why}"
        for first, why in list(unlike.items())[:1]
    ]


def _order_note(samples: "Dataset", predictor: "VolumePredictor") -> list[str]:
    """What is said where channels can only be taken in order."""
    from atrous.data.volumes.modalities import match_channels

    wanted = predictor.facts.channel_names
    if len(wanted) < 2 or match_channels(wanted, samples.channel_names) is not None:
        return []
    order = ", ".join(f"{index} as {name}" for index, name in enumerate(wanted))
    return [f"the data does not say what its channels are; taken in order: {order}"]


def _channels(volume: "Volume", samples: "Dataset", wanted: Sequence[str]) -> "Volume":
    """The scan with the network's channels, by name where the data names its own."""
    from dataclasses import replace

    from atrous.data.volumes.modalities import match_channels

    order = match_channels(wanted, samples.channel_names)
    if order is None:
        return volume  # by position; other numbers of channels are refused when it is prepared
    return replace(volume, array=volume.array[order])


def _shown(samples: "Dataset", name: str, labels: bytes, channels: Sequence[str]) -> "ShownCase":
    """A case for its page, its labels by zlib."""
    import numpy as np

    from atrous.reports.volumes.viewer import ShownCase

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
    displaced: "Mapping[str, Displacement]",
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
                **({"displacement": _moved(displaced[case])} if case in displaced else {}),
            }
            for case, scores in cases.items()
        ],
    }


def _moved(found: "Displacement") -> dict[str, object]:
    return {
        "voxels": list(found.voxels),
        "dice": _number(100 * found.dice),
        "moved_dice": _number(100 * found.moved_dice),
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


def _displaced_lines(displaced: "Mapping[str, Displacement]") -> list[str]:
    """Who gains more than a point, most first, and what all gain together."""
    # Where neither truth nor prediction holds a region there is nothing to move.
    counted = {name: truth for name, truth in displaced.items() if not math.isnan(truth.gain)}
    found = [(name, truth) for name, truth in counted.items() if truth.gain > MIN_REPORTED_GAIN]
    found.sort(key=lambda pair: pair[1].gain, reverse=True)
    if not found:
        return ["no truth fits better by more than a point of Dice if moved by a voxel"]
    lines = [
        f"  {name}: {100 * truth.dice:.2f} to {100 * truth.moved_dice:.2f} % by "
        f"{','.join(f'{step:+d}' if step else '0' for step in truth.voxels)} voxels (D, H, W)"
        for name, truth in found
    ]
    before = 100 * fmean(truth.dice for truth in counted.values())
    after = 100 * fmean(truth.moved_dice for truth in counted.values())
    return [
        f"{len(found)} of {len(displaced)} truths fit better by more than a point of Dice if moved "
        "by a voxel; look at them:",
        *lines,
        f"mean Dice over regions and cases {before:.2f} %, {after:.2f} % if every truth lay where "
        "it fits best",
    ]
