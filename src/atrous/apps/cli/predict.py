"""`atrous predict WEIGHTS IMAGE… --out DIR`."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from atrous.inference import FileResult, Prediction, Predictor
    from atrous.reports.results_folder import ResultsFolder


def predict(
    model: Annotated[
        str, typer.Argument(help="A .safetensors file with a card; or a name, with --weights.")
    ],
    images: Annotated[list[str], typer.Argument(help="Files, folders, or quoted patterns.")],
    out: Annotated[Path, typer.Option(help="Folder for masks, overlays and shares.")],
    weights: Annotated[
        str | None,
        typer.Option(help="For a name: published weights, such as torchvision:IMAGENET1K_V2."),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Do again what is there already.")
    ] = False,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1, mps.")] = "cpu",
    max_pixels: Annotated[
        int | None, typer.Option(help="Refuse larger images, before decoding them.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print shares and errors as JSON.")
    ] = False,
) -> None:
    """Segment images: class masks, overlays with a legend, and the share of every class.

    A network that gives labels prints the likeliest five, and writes them as CSV and JSON.

    A file that cannot be read is named and left out, and the exit code is 1; what is done already
    is not done again.
    """
    from atrous.apps.cli.allocator import keep_freed_memory
    from atrous.apps.cli.classify import classify
    from atrous.apps.cli.device import checked_device
    from atrous.data.listing import list_images
    from atrous.data.readers.raster import DEFAULT_MAX_PIXELS
    from atrous.errors import DataError
    from atrous.inference import LabelPredictor, load
    from atrous.networks.fetch import fetch_weights
    from atrous.reports.results_folder import ResultsFolder, unique_names

    keep_freed_memory()
    paths = list_images(images)
    file = Path(model) if weights is None else fetch_weights(model, weights)
    predictor = load(file, device=checked_device(device))
    names = dict(zip(paths, unique_names(paths), strict=True))
    limit = max_pixels or DEFAULT_MAX_PIXELS
    if isinstance(predictor, LabelPredictor):
        if classify(predictor, paths, names, out, max_pixels=limit, as_json=as_json):
            raise typer.Exit(1)
        return
    folder = ResultsFolder(out, predictor.card)
    with _removed_if_unused(out):
        folder.prepare(file, may_overwrite=overwrite)
        todo = [path for path in paths if overwrite or not folder.holds(names[path])]
        shares, errors = _run(predictor, folder, todo, names, limit, quiet=as_json)
        if len(errors) == len(paths):
            if len(paths) == 1:
                raise DataError(next(iter(errors.values())))
            raise DataError(f"None of the {len(paths)} images could be read; nothing was written.")
        for path in paths:
            if path not in errors and names[path] not in shares:
                shares[names[path]] = folder.shares(names[path])
        ordered = {names[path]: shares[names[path]] for path in paths if path not in errors}
        folder.write_summary(ordered)
    _report(out, ordered, errors, num_skipped=len(paths) - len(todo), as_json=as_json)
    if errors:
        raise typer.Exit(1)


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
    from atrous.apps.cli.progress import progress
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
        for result in predict_files(predictor, todo, max_pixels=max_pixels):
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
    out: Path,
    shares: dict[str, dict[str, float]],
    errors: dict[Path, str],
    *,
    num_skipped: int,
    as_json: bool,
) -> None:
    if as_json:
        import json

        record = {
            "out": str(out),
            "images": shares,
            "errors": {str(path): error for path, error in errors.items()},
        }
        typer.echo(json.dumps(record, indent=1))
        return
    done = f"{len(shares)} images in {out}"
    skipped = f", {num_skipped} of them done before" if num_skipped else ""
    failed = f"; {len(errors)} could not be read" if errors else ""
    typer.echo(f"{done}{skipped}{failed}: masks/, overlays/, shares.csv, shares.json")


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
