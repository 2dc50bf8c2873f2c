"""Whole slides through a network: a folder of results for each, one slide after another."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from atrous.errors import AtrousError, DataError
from atrous.pipelines.predict.options import SlideOptions
from atrous.pipelines.predict.report import PredictReport, one_line
from atrous.pipelines.progress import OnProgress, Progress

if TYPE_CHECKING:
    from atrous.inference import Predictor
    from atrous.pipelines.predict.slide_job import SlideSummary
    from atrous.pipelines.predict.slide_model import SlideModel


def run_slides(
    predictor: "Predictor",
    names: dict[Path, str],
    out: Path,
    options: SlideOptions,
    *,
    overwrite: bool,
    on_progress: OnProgress,
) -> PredictReport:
    """Run every slide that is not done and that nobody else is running.

    Args:
        predictor: What is run.
        names: What the results of every slide are called.
        out: Where their folders are made.
        options: What is asked for besides.
        overwrite: Do again what is there already.
        on_progress: Called after every tile, and for every slide that cannot be run.

    Raises:
        DataError: If there is one slide only, and it could not be run; or what concerns all.
    """
    from atrous.inference.slides.lock import LockedError
    from atrous.pipelines.predict.slide_job import run_job
    from atrous.pipelines.predict.slide_model import prepare_model

    model = prepare_model(predictor, options)
    if options.plan:
        return _plans(model, names, out, options, on_progress)
    summaries: dict[str, SlideSummary] = {}
    errors: dict[Path, str] = {}
    waiting = dict(names)
    for is_last_round in (False, True):
        for path, name in list(waiting.items()):
            try:
                summaries[name] = run_job(
                    model,
                    path,
                    out / name,
                    options,
                    name=name,
                    may_overwrite=overwrite,
                    on_progress=on_progress,
                )
                del waiting[path]
            except LockedError as error:  # another process runs it: look again at the end
                if is_last_round:
                    del waiting[path]
                    if len(names) == 1:
                        raise
                    errors[path] = one_line(error)
                    on_progress(Progress(task=name, problem=errors[path]))
            except AtrousError as error:
                del waiting[path]
                if len(names) == 1:
                    raise
                errors[path] = one_line(error)
                on_progress(Progress(task=name, problem=errors[path]))
    return _report(out, names, summaries, errors)


def _plans(
    model: "SlideModel",
    names: dict[Path, str],
    out: Path,
    options: SlideOptions,
    on_progress: OnProgress,
) -> PredictReport:
    from atrous.pipelines.predict.slide_estimate import plan_record, plan_text

    errors: dict[Path, str] = {}
    records: dict[str, dict[str, Any]] = {}
    for path, name in names.items():
        try:
            records[name] = plan_record(model, path, options, name=name)
        except AtrousError as error:
            if len(names) == 1:
                raise
            errors[path] = one_line(error)
            on_progress(Progress(task=name, problem=errors[path]))
    lines = tuple(plan_text(name, record) for name, record in records.items())
    return PredictReport(kind="slides", out=out, record=records, lines=lines, errors=errors)


def _report(
    out: Path,
    names: dict[Path, str],
    summaries: "dict[str, SlideSummary]",
    errors: dict[Path, str],
) -> PredictReport:
    if errors and not summaries and len(errors) == len(names):
        raise DataError(f"None of the {len(names)} slides could be run.")
    record = {
        "out": str(out),
        "slides": {name: summary.record for name, summary in summaries.items()},
        "errors": {str(path): error for path, error in errors.items()},
    }
    width = max(len(name) for name in names.values())
    lines = []
    for path, name in names.items():
        said = f"not run: {errors[path]}" if path in errors else summaries[name].line
        lines.append(f"{name:{width}}  {said}")
    return PredictReport(kind="slides", out=out, record=record, lines=tuple(lines), errors=errors)
