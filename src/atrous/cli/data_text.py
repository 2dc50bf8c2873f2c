"""What `atrous data` prints for people."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from atrous.data.check.report import DataReport, Problem

MAX_LISTED = 20
"""Problems of one kind that are printed; `--json` prints all."""

_MAX_SIZES = 3
_BAR = 24


def report_text(report: "DataReport", *, title: str) -> str:
    """The report in lines: counts, classes, labels, then errors and warnings by kind."""
    from atrous.data.check.report import ERROR_KINDS, WARNING_KINDS

    what = "images" if report.volumes is None else "volumes"
    lines = [f"{title}: {report.num_images:,} {what}"]
    lines += [f"  sizes (H x W)  {_sizes(report)}"] if report.volumes is None else _grids(report)
    if report.num_grey:
        lines.append(f"  grey           {report.num_grey:,}")
    lines.append(f"  content        {report.content}")
    if report.class_pixels:
        lines += _class_lines(report) if report.volumes is None else _class_volumes(report)
    if report.label_names:
        lines += _label_lines(report)
    lines += _problem_lines("errors", report.errors, ERROR_KINDS)
    lines += _problem_lines("warnings", report.warnings, WARNING_KINDS)
    return "\n".join(lines)


def _sizes(report: "DataReport") -> str:
    shown = [f"{'x'.join(map(str, size))}: {count:,}" for size, count in report.sizes[:_MAX_SIZES]]
    others = len(report.sizes) - len(shown)
    return ", ".join(shown) + (f", {others} others" if others else "") or "none"


def _grids(report: "DataReport") -> list[str]:
    """How volumes lie and what values they hold."""
    from atrous.data.check.volumes import spacing_text

    found = report.volumes
    assert found is not None  # seen to by the caller
    shapes = (found.smallest, found.median, found.largest)
    texts = ["x".join(map(str, shape)) for shape in shapes]
    lines = [f"  D x H x W      {texts[0]} to {texts[2]}, median {texts[1]}"]
    spacings = [(spacing_text(spacing), count) for spacing, count in found.spacings]
    lines += [
        f"  spacing (mm)   {_first(spacings)}",
        f"  orientation    {_first(found.orientations)}",
    ]
    for name, (lowest, usual, highest) in zip(found.channel_names, found.ranges, strict=True):
        lines.append(f"  {name:<13}  {lowest:g} to {highest:g}, usually to {usual:g}")
    return lines


def _first(entries: "Sequence[tuple[str, int]]") -> str:
    shown = [f"{what}: {count:,}" for what, count in entries[:_MAX_SIZES]]
    others = len(entries) - len(shown)
    return ", ".join(shown) + (f", {others} others" if others else "")


def _class_volumes(report: "DataReport") -> list[str]:
    assert report.volumes is not None  # seen to by the caller
    names = [report.class_label(index) for index in range(len(report.class_pixels))]
    width = max(len(name) for name in (*names, "class", "(unlabelled)"))
    lines = [f"  {'class':<{width}}  voxels %  volumes  ml: smallest, median, largest"]
    for index, (name, ml) in enumerate(zip(names, report.volumes.class_ml, strict=True)):
        lines.append(
            f"  {name:<{width}}  {100 * report.class_share(index):8.3f}  "
            f"{report.class_images[index]:7,}  "
            f"{ml.smallest:12.3f} {ml.median:12.3f} {ml.largest:12.3f}"
        )
    share = 100 * report.unlabelled_share
    lines.append(f"  {'(unlabelled)':<{width}}  {share:8.3f}           of all voxels")
    return lines


def _class_lines(report: "DataReport") -> list[str]:
    names = [report.class_label(index) for index in range(len(report.class_pixels))]
    width = max(len(name) for name in (*names, "class", "(unlabelled)"))
    lines = [f"  {'class':<{width}}  pixels %   images"]
    for index, name in enumerate(names):
        share = report.class_share(index)
        lines.append(
            f"  {name:<{width}}  {100 * share:8.3f}  {report.class_images[index]:7,}  {_bar(share)}"
        )
    share = 100 * report.unlabelled_share
    lines.append(f"  {'(unlabelled)':<{width}}  {share:8.3f}           of all pixels")
    return lines


def _label_lines(report: "DataReport") -> list[str]:
    width = max(len(name) for name in (*report.label_names, "label"))
    return [
        f"  {'label':<{width}}   images",
        *(
            f"  {name:<{width}}  {count:7,}  {_bar(count / report.num_images)}"
            for name, count in zip(report.label_names, report.label_images, strict=True)
        ),
    ]


def _bar(share: float) -> str:
    return "#" * round(_BAR * share)


def _problem_lines(
    title: str, problems: "Sequence[Problem]", kinds: Mapping[str, str]
) -> list[str]:
    by_kind: dict[str, list[Problem]] = defaultdict(list)
    for problem in problems:
        by_kind[problem.kind].append(problem)
    lines = [f"{title}: {len(problems) or 'none'}"]
    for kind, found in by_kind.items():
        lines.append(f"  {kinds[kind]}: {len(found)}")
        lines += [f"    {' '.join(problem.text.split())}" for problem in found[:MAX_LISTED]]
        if len(found) > MAX_LISTED:
            lines.append(f"    and {len(found) - MAX_LISTED} more, which --json lists")
    return lines
