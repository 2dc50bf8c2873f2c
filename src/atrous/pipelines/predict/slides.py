"""What `predict` does with whole slides: a folder of results for each, one slide after another."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import typer

from atrous.errors import AtrousError, DataError

if TYPE_CHECKING:
    from atrous.inference import Predictor
    from atrous.inference.tiles.mode import ContextWish
    from atrous.pipelines.predict.slide_job import SlideModel, SlideSummary

MIN_REGION: Final = 20.0
"""µm²: less than the nucleus of a cell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SlideOptions:
    """What the command line says about slides.

    Attributes:
        mpp: Micrometres per pixel of level 0, for slides that do not say it.
        at_mpp: Micrometres per pixel at which the network sees them; None for the card's.
        memory: Ceiling, such as 2G.
        context: Exact tiles, blended ones, or exact where that can be paid for.
        tile: Side of a tile's core, pixels; None for as much as fits.
        all_tiles: Run the glass too.
        probabilities: Write them too.
        min_region: Smaller regions get no polygon of their own, µm².
        plan: Only say what would be done.
    """

    mpp: float | None = None
    at_mpp: float | None = None
    memory: str | None = None
    context: "ContextWish" = "auto"
    tile: int | None = None
    all_tiles: bool = False
    probabilities: bool = False
    min_region: float = MIN_REGION
    plan: bool = False


def run_slides(
    predictor: "Predictor",
    names: dict[Path, str],
    out: Path,
    options: SlideOptions,
    *,
    weights: Path,
    may_overwrite: bool,
    as_json: bool,
) -> dict[Path, str]:
    """Run every slide that is not done and that nobody else is running, and report.

    Args:
        predictor: What is run.
        names: What the results of every slide are called.
        out: Where their folders are made.
        options: See there.
        weights: The file of the network.
        may_overwrite: Do again what is there already.
        as_json: Print a record instead of a table.

    Returns:
        Why, for every slide that could not be run.

    Raises:
        DataError: If there is one slide only, and it could not be run; or what concerns all.
    """
    from atrous.inference.slides.lock import HeldError
    from atrous.pipelines.predict.slide_job import prepare_model, run_job

    model = prepare_model(predictor, weights=weights, options=options)
    if options.plan:
        return _show_plans(model, names, options, as_json=as_json)
    summaries: dict[str, SlideSummary] = {}
    errors: dict[Path, str] = {}
    waiting = dict(names)
    for is_last_round in (False, True):
        for path, name in list(waiting.items()):
            try:
                summaries[name] = run_job(
                    model, path, out / name, options, name=name, may_overwrite=may_overwrite
                )
                del waiting[path]
            except HeldError as error:  # another process runs it: look again at the end
                if is_last_round:
                    del waiting[path]
                    if len(names) == 1:
                        raise
                    typer.echo(f"atrous: {error}", err=True)
            except AtrousError as error:
                del waiting[path]
                if len(names) == 1:
                    raise
                errors[path] = " ".join(str(error).split())
                typer.echo(f"atrous: {errors[path]}", err=True)
    _report(out, names, summaries, errors, as_json=as_json)
    return errors


def _show_plans(
    model: "SlideModel", names: dict[Path, str], options: SlideOptions, *, as_json: bool
) -> dict[Path, str]:
    from atrous.pipelines.predict.slide_estimate import plan_record, plan_text

    errors: dict[Path, str] = {}
    records: dict[str, object] = {}
    for path, name in names.items():
        try:
            record = plan_record(model, path, options)
        except AtrousError as error:
            if len(names) == 1:
                raise
            errors[path] = " ".join(str(error).split())
            typer.echo(f"atrous: {errors[path]}", err=True)
            continue
        records[name] = record
        if not as_json:
            typer.echo(plan_text(name, record))
    if as_json:
        typer.echo(json.dumps(records, indent=1))
    return errors


def _report(
    out: Path,
    names: dict[Path, str],
    summaries: "dict[str, SlideSummary]",
    errors: dict[Path, str],
    *,
    as_json: bool,
) -> None:
    if errors and not summaries and len(errors) == len(names):
        raise DataError(f"None of the {len(names)} slides could be run.")
    if as_json:
        record = {
            "out": str(out),
            "slides": {name: summary.record for name, summary in summaries.items()},
            "errors": {str(path): error for path, error in errors.items()},
        }
        typer.echo(json.dumps(record, indent=1))
        return
    width = max(len(name) for name in names.values())
    for path, name in names.items():
        if path in errors:
            typer.echo(f"{name:{width}}  not run: {errors[path]}")
        elif name in summaries:
            typer.echo(f"{name:{width}}  {summaries[name].line}")
        else:
            typer.echo(f"{name:{width}}  left to another process")
