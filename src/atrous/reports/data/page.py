"""What a check of a data set found, with pictures, as one self-contained HTML page."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Final

from atrous.data.augment.photos import Augmentation
from atrous.data.check.report import ERROR_KINDS, WARNING_KINDS, DataReport, Problem
from atrous.data.check.volumes import spacing_text
from atrous.data.dataset import Dataset
from atrous.reports.data.pictures import (
    TYPICAL,
    augmented_rows,
    class_colours,
    gallery,
    problem_rows,
    sheets,
)
from atrous.reports.page import render
from atrous.types import Colour

_MAX_LISTED: Final = 50
"""Problems of a kind that the page lists."""

_MAX_SIZES: Final = 12


def data_page(
    *,
    title: str,
    report: DataReport,
    samples: Dataset,
    others: Mapping[str, Dataset],
    facts: Mapping[str, str],
    augmentation: Augmentation | None = None,
) -> str:
    """HTML with the problems found, class and label frequencies, sizes, samples and their views.

    Args:
        title: What to call the data.
        report: What the check found in `samples`.
        samples: The data.
        others: The splits it was checked against, by the same names.
        facts: What traces the numbers: command, versions, machine.
        augmentation: How training would vary the samples; None for a typical way.
    """
    broken = frozenset(name for problem in report.errors for name in problem.names)
    pictures = problem_rows((*report.errors, *report.warnings), samples, others)
    return render(
        "data.html",
        title=title,
        report=report,
        verdict=_verdict(report),
        problems=[
            *_problems(report.errors, ERROR_KINDS, "error"),
            *_problems(report.warnings, WARNING_KINDS, "warning"),
        ],
        problem_pictures=pictures,
        classes=_classes(report, samples),
        labels=_labels(report),
        sizes=_sizes(report),
        volumes=_volumes(report),
        # A scan's views are volumes: slices, varied as photos are, would show another thing.
        gallery=sheets(samples, left_out=broken)
        if samples.kind == "volumes"
        else gallery(samples, left_out=broken),
        views=[]
        if samples.kind == "volumes"
        else augmented_rows(samples, augmentation or TYPICAL, left_out=broken),
        is_typical=augmentation is None,
        facts={**facts, "content": report.content},
    )


def _verdict(report: DataReport) -> str:
    errors, warnings = len(report.errors), len(report.warnings)
    found = [
        f"{count:,} {word}{'' if count == 1 else 's'}"
        for count, word in ((errors, "error"), (warnings, "warning"))
        if count
    ]
    return " and ".join(found) or "No errors, no warnings"


def _problems(
    problems: Sequence[Problem], kinds: Mapping[str, str], severity: str
) -> list[dict[str, object]]:
    by_kind: dict[str, list[str]] = defaultdict(list)
    for problem in problems:
        by_kind[problem.kind].append(problem.text)
    return [
        {
            "kind": kind,
            "title": kinds[kind],
            "severity": severity,
            "count": len(texts),
            "texts": texts[:_MAX_LISTED],
        }
        for kind, texts in by_kind.items()
    ]


def _classes(report: DataReport, samples: Dataset) -> list[dict[str, object]]:
    volumes = report.volumes
    return [
        {
            "name": report.class_label(index),
            "ml": None if volumes is None else volumes.class_ml[index],
            "colour": _css(colour),
            "share": report.class_share(index),
            "pixels": report.class_pixels[index],
            "images": report.class_images[index],
        }
        for index, colour in enumerate(class_colours(samples))
    ]


def _labels(report: DataReport) -> list[dict[str, object]]:
    return [
        {"name": name, "images": count, "share": count / report.num_images}
        for name, count in zip(report.label_names, report.label_images, strict=True)
    ]


def _sizes(report: DataReport) -> dict[str, object]:
    shown = report.sizes[:_MAX_SIZES]
    rest = report.sizes[_MAX_SIZES:]
    return {
        "rows": [
            (" x ".join(map(str, size)), count, count / report.num_read) for size, count in shown
        ],
        "num_others": len(rest),
        "images_of_others": sum(count for _, count in rest),
    }


def _volumes(report: DataReport) -> dict[str, object] | None:
    """How volumes lie and what they hold, in words."""
    found = report.volumes
    if found is None:
        return None
    return {
        "spacings": [(spacing_text(spacing), count) for spacing, count in found.spacings],
        "orientations": found.orientations,
        "shapes": [
            (what, " x ".join(map(str, shape)))
            for what, shape in (
                ("smallest", found.smallest),
                ("median", found.median),
                ("largest", found.largest),
            )
        ],
        "channels": [
            (name, *(f"{value:g}" for value in values))
            for name, values in zip(found.channel_names, found.ranges, strict=True)
        ],
    }


def _css(colour: Colour | None) -> str:
    return "transparent" if colour is None else "#{:02x}{:02x}{:02x}".format(*colour)
