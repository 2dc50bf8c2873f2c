"""Scores of many scans as one page, with the best and the worst of them to scroll through."""

import math
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from atrous.metrics.volume_summary import Summary
from atrous.metrics.volumes import RegionScore, volume_protocol
from atrous.networks.card import Card
from atrous.reports.page import render
from atrous.reports.page_values import bounds, percent
from atrous.reports.volumes.page import error_picture, score_rows
from atrous.reports.volumes.viewer import MAX_CASE, ShownCase, viewer

_PER_CASE: Final = 700
"""Bytes that a case's row of the table may take, about."""


def volume_evaluation_page(
    *,
    card: Card,
    channel_names: Sequence[str],
    protocol: str,
    summary: Mapping[str, Mapping[str, Summary]],
    cases: Mapping[str, Mapping[str, RegionScore]],
    groups: Mapping[str, Sequence[ShownCase]],
    links: Mapping[str, str],
    facts: Mapping[str, str],
    notes: Sequence[str] = (),
) -> str:
    """HTML with the table of scores, every case, worst first, and some cases slice by slice.

    Args:
        card: Of the network.
        channel_names: Of the scans.
        protocol: By whose rules it was scored.
        summary: Of all cases, `summary[region][measure]`.
        cases: Of each, `cases[name][region]`.
        groups: Cases that the page itself holds, by heading; they share its 5 MB.
        links: Addresses of pages of other cases, by their names.
        facts: What traces the numbers: command, versions, machine.
        notes: What else the scores depend on, a line each.
    """
    pictures = {
        case.name: error_picture(case, card=card) for shown in groups.values() for case in shown
    }
    room = MAX_CASE - sum(map(len, pictures.values())) - _PER_CASE * len(cases) * len(summary)

    def shown_case(case: ShownCase) -> dict[str, object]:
        drawn = viewer(
            case,
            channel_names=channel_names,
            class_names=card.class_names,
            palette=card.palette,
            max_bytes=room // len(pictures),
        )
        found = score_rows(cases[case.name])
        return {"viewer": drawn, "picture": pictures[case.name], "scores": found}

    viewers = {heading: [*map(shown_case, shown)] for heading, shown in groups.items() if shown}
    ranked = sorted(cases, key=lambda name: _rank(cases[name]))
    return render(
        "volume_evaluation.html",
        title=f"{card.name}: {_title(summary)}",
        card=card,
        protocol=protocol,
        protocol_description=volume_protocol(protocol).description,
        notes=notes,
        num_cases=len(cases),
        table=[_summary_row(region, found) for region, found in summary.items()],
        regions=list(summary),
        cases=[{"name": n, "link": links.get(n), "scores": score_rows(cases[n])} for n in ranked],
        shown=[case.name for group in groups.values() for case in group],
        groups=viewers,
        facts=facts,
    )


def mean_dice(scores: Mapping[str, RegionScore]) -> float:
    """Of one case over its regions; not-a-number where none counts."""
    counted = [score.dice for score in scores.values() if not math.isnan(score.dice)]
    return float(np.mean(counted)) if counted else math.nan


def _rank(scores: Mapping[str, RegionScore]) -> float:
    mean = mean_dice(scores)
    return math.inf if math.isnan(mean) else mean


def _title(summary: Mapping[str, Mapping[str, Summary]]) -> str:
    means = [f"{region} {percent(found['dice'].mean)}" for region, found in summary.items()]
    return f"Dice {', '.join(means)} %"


def _summary_row(region: str, found: Mapping[str, Summary]) -> dict[str, str]:
    hd95, difference = found["hd95"], found["volume_difference_ml"]
    return {
        "name": region,
        "dice": percent(found["dice"].mean),
        "dice_median": percent(found["dice"].median),
        "dice_interval": bounds(found["dice"].interval),
        "hd95": _number(hd95.mean),
        "hd95_median": _number(hd95.median),
        "hd95_interval": ""
        if hd95.interval is None
        else f"{hd95.interval[0]:.2f} to {hd95.interval[1]:.2f}",
        "surface_dice": percent(found["surface_dice"].mean),
        "difference": _number(difference.mean, "+.2f"),
        "num_cases": str(found["dice"].num_cases),
    }


def _number(value: float, how: str = ".2f") -> str:
    return "-" if math.isnan(value) else format(value, how)
