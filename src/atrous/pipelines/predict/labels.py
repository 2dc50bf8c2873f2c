"""What `predict` does with a network that gives labels: the likeliest five, printed and written."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from atrous.inference import LabelPredictor
    from atrous.reports.photos.label_tables import Ranking


def classify(
    predictor: "LabelPredictor",
    paths: list[Path],
    names: dict[Path, str],
    out: Path,
    *,
    max_pixels: int,
    as_json: bool,
) -> dict[Path, str]:
    """Print the likeliest labels of every image and write them to labels.csv and labels.json.

    Returns:
        Why, for every image that could not be read.

    Raises:
        DataError: If no image could be read, or the files cannot be written.
    """
    from atrous._files import make_folder, write_text
    from atrous.cli.progress import progress
    from atrous.errors import DataError
    from atrous.inference import classify_files
    from atrous.reports.photos.label_tables import TOP, labels_csv, labels_record

    rankings: dict[Path, Ranking] = {}
    errors: dict[Path, str] = {}
    with progress("predict", len(paths)) as advance:
        for result in classify_files(predictor, paths, max_pixels=max_pixels):
            if result.prediction is None:
                errors[result.path] = result.error or "no prediction"
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
    if as_json:
        failed = {str(path): reason for path, reason in errors.items()}
        record = {"out": str(out), "images": labels_record(ordered), "errors": failed}
        typer.echo(json.dumps(record, indent=1))
    else:
        typer.echo(_text(ordered))
        for reason in errors.values():
            typer.echo(f"atrous: {reason}", err=True)
        typer.echo(f"{len(ordered)} images in {out}: labels.csv, labels.json")
    return errors


def _text(rankings: dict[str, "Ranking"]) -> str:
    lines = []
    for name, ranking in rankings.items():
        lines.append(name)
        lines += [f"  {probability:>6.1%}  {label}" for label, probability in ranking]
    return "\n".join(lines)
