"""`atrous predict MODEL FILE… --out DIR`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from atrous.cli.options import THREADS_HELP, Given, with_options
from atrous.pipelines.device import PRECISION_HELP, RUNTIME_HELP
from atrous.pipelines.predict.options import PhotoOptions, SlideOptions, VolumeOptions
from atrous.types import Kind

OPTIONS: Final[Mapping[Kind, type[Any]]] = {
    "photos": PhotoOptions,
    "slides": SlideOptions,
    "volumes": VolumeOptions,
}


@with_options(OPTIONS)
def predict(
    model: Annotated[
        str,
        typer.Argument(
            help="A shipped model, such as people; a .safetensors file with a card; or a "
            "network's name, with --weights."
        ),
    ],
    files: Annotated[list[str], typer.Argument(help="Files, folders, or quoted patterns.")],
    out: Annotated[Path, typer.Option(help="Folder of the results.")],
    weights: Annotated[
        str | None,
        typer.Option(help="For a name: published weights, such as torchvision:IMAGENET1K_V2."),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Do again what is there already.")
    ] = False,
    network: Annotated[
        str | None,
        typer.Option(help="FILE.py:FUNCTION of your own network, for weights whose card names it."),
    ] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1, mps.")] = "cpu",
    runtime: Annotated[str | None, typer.Option(help=RUNTIME_HELP)] = None,
    precision: Annotated[str, typer.Option(help=PRECISION_HELP)] = "float32",
    threads: Annotated[int | None, typer.Option(help=THREADS_HELP)] = None,
    recursive: Annotated[
        bool, typer.Option("--recursive", help="Search the folders inside those named, too.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print results and errors as JSON.")] = (
        False
    ),
    *,
    given: Given,
) -> None:
    """Segment photos, whole slides or volumes, or classify photos.

    Photos get class masks, overlays with a legend, and the share of every class. With --background
    also cut-outs, photos with a blurred background, or another one. A network that gives labels
    prints the likeliest five, and writes them as CSV and JSON; one that gives masks and labels
    writes both.

    Whole slides get a folder each: mask TIFF, polygons for QuPath, overlay, areas in mm². They are
    run tile by tile, and a run that was stopped or killed goes on by the same command.

    Volumes (.nii, .nii.gz) get a mask on their own grid, two pictures, and volumes in ml; the files
    of one scan's channels are told by their names.

    A file that cannot be read is named and left out, and the exit code is 1; what is done already
    is not done again.
    """
    from atrous.cli.progress import shown
    from atrous.networks.convert.fetch import fetch_weights
    from atrous.networks.own import allow_network
    from atrous.pipelines.allocator import keep_freed_memory
    from atrous.pipelines.device import open_model
    from atrous.pipelines.predict.files import find, predict_found
    from atrous.pipelines.threads import use_threads

    keep_freed_memory()
    use_threads(threads)
    allow_network(network or "")
    file = model if weights is None else fetch_weights(model, weights)
    opened = open_model(file, device=device, runtime=runtime, precision=precision)
    inputs = find(opened, files, recursive=recursive)
    options = given.options(inputs.kind)
    with shown() as on_progress:
        report = predict_found(
            opened, inputs, out, options, overwrite=overwrite, on_progress=on_progress
        )
    typer.echo(report.to_json() if as_json else report)
    if report.errors:
        raise typer.Exit(1)
