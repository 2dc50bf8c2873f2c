"""What `predict` does with a network that gives masks: a folder of results, resumable."""

import json
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from atrous.errors import DataError

if TYPE_CHECKING:
    from atrous.inference import FileResult, Prediction, Predictor
    from atrous.reports.photos.results import ResultsFolder


def segment(
    predictor: "Predictor",
    folder: "ResultsFolder",
    names: dict[Path, str],
    *,
    weights: Path,
    may_overwrite: bool,
    max_pixels: int,
    as_json: bool,
) -> dict[Path, str]:
    """Write masks, overlays and shares of every image that is not done yet, and report.

    Args:
        predictor: What is run.
        folder: Where results go; not made if there are none.
        names: What the results of every image are called.
        weights: The file of the network, noted in the folder.
        may_overwrite: Do again what is there already.
        max_pixels: Larger images are errors.
        as_json: Print shares and errors as JSON.

    Returns:
        Why, for every image that could not be read.

    Raises:
        DataError: If no image could be read, or the folder cannot be written in.
    """
    with _removed_if_unused(folder.root):
        folder.prepare(weights, may_overwrite=may_overwrite)
        todo = [p for p, name in names.items() if may_overwrite or not folder.holds(name)]
        shares, errors = _run(predictor, folder, todo, names, max_pixels, quiet=as_json)
        if len(errors) == len(names):
            if len(names) == 1:
                raise DataError(next(iter(errors.values())))
            raise DataError(f"None of the {len(names)} images could be read; nothing was written.")
        ordered = {
            name: shares.get(name) or folder.shares(name)
            for path, name in names.items()
            if path not in errors
        }
        folder.write_summary(ordered)
    _report(folder, ordered, errors, num_skipped=len(names) - len(todo), as_json=as_json)
    return errors


def _run(
    predictor: "Predictor",
    folder: "ResultsFolder",
    todo: list[Path],
    names: dict[Path, str],
    max_pixels: int,
    *,
    quiet: bool,
) -> tuple[dict[str, dict[str, float]], dict[Path, str]]:
    """Shares by name, and errors by path; results are written by threads beside the network."""
    from atrous.cli.progress import progress
    from atrous.inference import predict_files

    shares: dict[str, dict[str, float]] = {}
    errors: dict[Path, str] = {}
    pending: list[Future[None]] = []

    def write(result: "FileResult[Prediction]") -> None:
        folder.write(names[result.path], result)

    with (
        ThreadPoolExecutor(2, thread_name_prefix="write") as pool,
        progress("predict", len(todo)) as advance,
    ):
        foreground = None if folder.edits is None else folder.edits.foreground
        results = predict_files(predictor, todo, foreground=foreground, max_pixels=max_pixels)
        for result in results:
            if result.prediction is None:
                errors[result.path] = result.error or "no prediction"
                if not quiet and len(names) > 1:  # a single one is the command's own error
                    typer.echo(f"atrous: {result.error}", err=True)
            else:
                shares[names[result.path]] = result.prediction.shares()
                pending.append(pool.submit(write, result))
            while len(pending) > 4:  # a disk slower than the network must not fill the memory
                pending.pop(0).result()
            advance()
        for future in pending:
            future.result()
    return shares, errors


def _report(
    folder: "ResultsFolder",
    shares: dict[str, dict[str, float]],
    errors: dict[Path, str],
    *,
    num_skipped: int,
    as_json: bool,
) -> None:
    if as_json:
        from atrous.reports.photos.label_tables import labels_record

        record: dict[str, object] = {
            "out": str(folder.root),
            "images": shares,
            "errors": {str(path): error for path, error in errors.items()},
        }
        if folder.has_labels:
            record["labels"] = labels_record({name: folder.labels(name) for name in shares})
        if folder.edits is not None:
            record["edits"] = {"foreground": folder.foreground, "folders": list(folder.edit_kinds)}
        typer.echo(json.dumps(record, indent=1))
        return
    done = f"{len(shares)} images in {folder.root}"
    skipped = f", {num_skipped} of them done before" if num_skipped else ""
    failed = f"; {len(errors)} could not be read" if errors else ""
    labels = ", labels/, labels.csv, labels.json" if folder.has_labels else ""
    edits = "".join(f", {kind}/" for kind in folder.edit_kinds)
    typer.echo(
        f"{done}{skipped}{failed}: masks/, overlays/{edits}, shares.csv, shares.json{labels}"
    )
    if folder.foreground is not None:
        empty = [name for name, by_class in shares.items() if not by_class[folder.foreground]]
        if empty:
            more = f" and {len(empty) - 5} more" if len(empty) > 5 else ""
            typer.echo(f"no {folder.foreground} was found in {', '.join(empty[:5])}{more}")


@contextmanager
def _removed_if_unused(folder: Path) -> Iterator[None]:
    """Take away a folder that was made for results when there came none."""
    was_there = folder.exists()
    try:
        yield
    except BaseException:
        if not was_there and folder.is_dir() and not any(folder.glob("*/*")):
            import shutil

            shutil.rmtree(folder)
        raise
