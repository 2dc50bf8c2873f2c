"""Pages of scored volumes: one that holds a few cases, or a folder with a page for each of some."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from atrous.inference.volumes.predictor import VolumePredictor
    from atrous.metrics.volume_summary import Summary
    from atrous.metrics.volumes import RegionScore
    from atrous.reports.volumes.viewer import ShownCase

INDEX: Final = "index.html"

_IN_ONE: Final = (3, 1)
"""How many of the worst and of the best cases one page holds."""
_IN_FOLDER: Final = (6, 4)
"""How many get a page each."""


@dataclass(frozen=True, slots=True)
class Scored:
    """What came of a protocol, by region and by case."""

    protocol: str
    summary: "Mapping[str, Mapping[str, Summary]]"
    cases: "Mapping[str, Mapping[str, RegionScore]]"


def is_page_folder(place: Path) -> bool:
    """Whether pages go into a folder: one that is there, or a name without a suffix."""
    return place.is_dir() or not place.suffix


def check_pages(place: Path) -> None:
    """See that pages can be written, before the work that they are for.

    Raises:
        DataError: If they cannot.
    """
    from atrous._files import check_place, make_folder

    if is_page_folder(place):
        make_folder(place)
    else:
        check_place(place)


def write_pages(
    place: Path,
    predictor: "VolumePredictor",
    scored: Scored,
    case_of: "Callable[[str], ShownCase]",
) -> None:
    """Write one page, or an index and pages into a folder.

    Args:
        place: What `check_pages` found fit.
        predictor: What labelled the scans.
        scored: What is told.
        case_of: Gives a case by its name, with labels and truth.

    Raises:
        DataError: If a file cannot be written.
    """
    from atrous._files import write_text
    from atrous.pipelines.provenance import facts
    from atrous.reports.evaluation.masks_page import extremes
    from atrous.reports.evaluation.volumes_page import mean_dice, volume_evaluation_page
    from atrous.reports.volumes.page import volume_page

    has_folder = is_page_folder(place)
    names = list(scored.cases)
    dice = [mean_dice(scored.cases[name]) for name in names]
    num_worst, num_best = _IN_FOLDER if has_folder else _IN_ONE
    worst = extremes(dice, num_worst)[1]
    best = [index for index in extremes(dice, num_best)[0] if index not in worst]
    channels = predictor.facts.channel_names
    links: dict[str, str] = {}
    groups: dict[str, list[ShownCase]] = {}
    if has_folder:
        for index in (*worst, *best):
            name = names[index]
            page = volume_page(
                case_of(name),
                card=predictor.card,
                channel_names=channels,
                facts=facts(),
                scores=scored.cases[name],
            )
            links[name] = f"case-{index + 1:04d}.html"
            write_text(place / links[name], page)
    else:
        groups = {
            heading: [case_of(names[index]) for index in indices]
            for heading, indices in (("Worst cases", worst), ("Best cases", best))
        }
    index_page = volume_evaluation_page(
        card=predictor.card,
        channel_names=channels,
        protocol=scored.protocol,
        summary=scored.summary,
        cases=scored.cases,
        groups=groups,
        links=links,
        facts=facts(),
    )
    write_text(place / INDEX if has_folder else place, index_page)
