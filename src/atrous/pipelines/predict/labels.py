"""Photos through a network that gives labels: the likeliest five, as a table."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

from atrous.data.photos.raster import DEFAULT_MAX_PIXELS
from atrous.errors import DataError
from atrous.pipelines.predict.options import PhotoOptions
from atrous.pipelines.predict.report import PredictReport
from atrous.pipelines.progress import OnProgress, Progress, counter

if TYPE_CHECKING:
    from atrous.inference import Predictor
    from atrous.reports.photos.label_tables import Ranking


def classify(
    predictor: "Predictor",
    names: dict[Path, str],
    out: Path,
    options: PhotoOptions,
    *,
    overwrite: bool,  # noqa: ARG001 - tables are always made anew
    on_progress: OnProgress,
) -> PredictReport:
    """Write the likeliest labels of every image to labels.csv and labels.json.

    Raises:
        DataError: If no image could be read, or the files cannot be written.
    """
    from atrous._files import make_folder, write_text
    from atrous.inference import predict_files
    from atrous.pipelines.predict.edits import checked_edits
    from atrous.reports.photos.label_tables import TOP, labels_csv, labels_record

    limit = options.max_pixels or DEFAULT_MAX_PIXELS
    background, foreground = options.background, options.foreground
    checked_edits(predictor.card, background, foreground=foreground, max_pixels=limit)
    paths = list(names)
    rankings: dict[Path, Ranking] = {}
    errors: dict[Path, str] = {}
    advance = counter(on_progress, "predict", len(paths))
    for result in predict_files(predictor, paths, max_pixels=limit, memory=options.ceiling):
        if result.prediction is None:
            errors[result.path] = result.error or "no prediction"
            if len(paths) > 1:  # a single one is raised
                on_progress(Progress(task="predict", problem=errors[result.path]))
        else:
            rankings[result.path] = result.prediction.top(TOP)
        advance()
    if not rankings:
        if len(paths) == 1:
            raise DataError(next(iter(errors.values())))
        raise DataError(f"None of the {len(paths)} images could be read; nothing was written.")
    ordered = {names[path]: rankings[path] for path in paths if path in rankings}
    make_folder(out)
    write_text(out / "labels.csv", labels_csv(ordered))
    write_text(out / "labels.json", json.dumps(labels_record(ordered), indent=1) + "\n")
    failed = {str(path): reason for path, reason in errors.items()}
    return PredictReport(
        kind="photos",
        out=out,
        record={"out": str(out), "images": labels_record(ordered), "errors": failed},
        lines=(*_lines(ordered), f"{len(ordered)} images in {out}: labels.csv, labels.json"),
        errors=errors,
    )


def _lines(rankings: dict[str, "Ranking"]) -> list[str]:
    lines = []
    for name, ranking in rankings.items():
        lines.append(name)
        lines += [f"  {probability:>6.1%}  {label}" for label, probability in ranking]
    return lines
