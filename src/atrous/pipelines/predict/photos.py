"""Photos through a network that gives masks: a folder of results, resumable."""

from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from atrous.data.photos.raster import DEFAULT_MAX_PIXELS
from atrous.errors import DataError
from atrous.pipelines.predict.options import PhotoOptions
from atrous.pipelines.predict.report import PredictReport
from atrous.pipelines.progress import OnProgress, Progress, counter

if TYPE_CHECKING:
    from atrous.inference import FileResult, Predictor
    from atrous.reports.manifest import DoneInputs
    from atrous.reports.photos.results import ResultsFolder


def segment(
    predictor: "Predictor",
    names: dict[Path, str],
    out: Path,
    options: PhotoOptions,
    *,
    overwrite: bool,
    on_progress: OnProgress,
) -> PredictReport:
    """Write masks, overlays and shares of every image that is not done yet.

    Args:
        predictor: A network that gives masks.
        names: What the results of every image are called.
        out: Where results go; the folder is not made if there are none.
        options: What is asked for besides.
        overwrite: Do again what is there already.
        on_progress: Called after every image, and for every image that cannot be read.

    Raises:
        DataError: If no image could be read, or the folder cannot be written in.
    """
    from atrous.data.layouts.cityscapes import label_ids_of
    from atrous.pipelines.predict.edits import checked_edits
    from atrous.reports.manifest import DoneInputs, input_state
    from atrous.reports.photos.results import ResultsFolder

    limit = options.max_pixels or DEFAULT_MAX_PIXELS
    edits = checked_edits(
        predictor.card, options.background, foreground=options.foreground, max_pixels=limit
    )
    ids = label_ids_of(predictor.card.class_names) if options.label_ids != "none" else None
    folder = ResultsFolder(out, predictor.card, edits, ids)
    weights = predictor.fingerprint
    with _removed_if_unused(out):
        folder.prepare(weights, may_overwrite=overwrite)
        with DoneInputs(out, weights=weights, may_overwrite=overwrite) as done:
            todo = [
                path
                for path, name in names.items()
                if not (folder.holds(name) and done.holds(name, input_state(path)))
            ]
            writer = _Writer(folder, done, names)
            shares, errors = _run(predictor, writer, todo, limit, options.ceiling, on_progress)
        if len(errors) == len(names):
            all_of_them = f"None of the {len(names)} images could be read; nothing was written."
            raise DataError(all_of_them if len(names) > 1 else next(iter(errors.values())))
        ordered = {
            name: shares.get(name) or folder.shares(name)
            for path, name in names.items()
            if path not in errors
        }
        folder.write_summary(ordered)
    return PredictReport(
        kind="photos",
        out=out,
        record=_record(folder, ordered, errors),
        lines=_lines(folder, ordered, errors, num_skipped=len(names) - len(todo)),
        errors=errors,
    )


@dataclass(frozen=True, slots=True)
class _Writer:
    """Writes the results of an image, and then that they are there; called by threads."""

    folder: "ResultsFolder"
    done: "DoneInputs"
    names: Mapping[Path, str]
    _lock: Lock = field(default_factory=Lock)

    def write(self, result: "FileResult", state: str | None) -> None:
        name = self.names[result.path]
        self.folder.write(name, result)
        if state is not None:
            with self._lock:
                self.done.add(name, state)


def _run(
    predictor: "Predictor",
    writer: _Writer,
    todo: list[Path],
    max_pixels: int,
    memory: int,
    on_progress: OnProgress,
) -> tuple[dict[str, dict[str, float]], dict[Path, str]]:
    """Shares by name, and errors by path; results are written by threads beside the network."""
    from atrous.inference import predict_files
    from atrous.reports.manifest import input_state

    shares: dict[str, dict[str, float]] = {}
    errors: dict[Path, str] = {}
    pending: list[Future[None]] = []
    folder, names = writer.folder, writer.names
    # Taken before the files are read: one that changes meanwhile is done again the next time.
    states = {path: input_state(path) for path in todo}

    advance = counter(on_progress, "predict", len(todo))
    with ThreadPoolExecutor(2, thread_name_prefix="write") as pool:
        foreground = None if folder.edits is None else folder.edits.foreground
        results = predict_files(
            predictor, todo, foreground=foreground, max_pixels=max_pixels, memory=memory
        )
        for result in results:
            if result.prediction is None:
                errors[result.path] = result.error or "no prediction"
                if len(names) > 1:  # a single one is raised
                    on_progress(Progress(task="predict", problem=errors[result.path]))
            else:
                shares[names[result.path]] = result.prediction.shares()
                pending.append(pool.submit(writer.write, result, states[result.path]))
            while len(pending) > 4:  # a disk slower than the network must not fill the memory
                pending.pop(0).result()
            advance()
        for future in pending:
            future.result()
    return shares, errors


def _record(
    folder: "ResultsFolder", shares: dict[str, dict[str, float]], errors: dict[Path, str]
) -> dict[str, object]:
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
    return record


def _lines(
    folder: "ResultsFolder",
    shares: dict[str, dict[str, float]],
    errors: dict[Path, str],
    *,
    num_skipped: int,
) -> tuple[str, ...]:
    done = f"{len(shares)} images in {folder.root}"
    skipped = f", {num_skipped} of them done before" if num_skipped else ""
    failed = f"; {len(errors)} could not be read" if errors else ""
    labels = ", labels/, labels.csv, labels.json" if folder.has_labels else ""
    edits = "".join(f", {kind}/" for kind in folder.edit_kinds)
    edits += ", label_ids/" if folder.label_ids is not None else ""
    lines = [f"{done}{skipped}{failed}: masks/, overlays/{edits}, shares.csv, shares.json{labels}"]
    if folder.foreground is not None:
        empty = [name for name, by_class in shares.items() if not by_class[folder.foreground]]
        if empty:
            more = f" and {len(empty) - 5} more" if len(empty) > 5 else ""
            lines.append(f"no {folder.foreground} was found in {', '.join(empty[:5])}{more}")
    return tuple(lines)


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
