"""`atrous predict MODEL IMAGE… --out DIR`."""

from pathlib import Path
from typing import Annotated

import typer


def predict(
    model: Annotated[
        str,
        typer.Argument(
            help="A shipped model, such as people; a .safetensors file with a card; or a "
            "network's name, with --weights."
        ),
    ],
    images: Annotated[list[str], typer.Argument(help="Files, folders, or quoted patterns.")],
    out: Annotated[Path, typer.Option(help="Folder for masks, overlays and shares.")],
    background: Annotated[
        list[str] | None,
        typer.Option(
            help="Also remove or blur the background, or put a picture there: remove, blur, "
            "or FILE. May be given more than once."
        ),
    ] = None,
    foreground: Annotated[
        str | None,
        typer.Option(help="The class to keep with --background; person if not given."),
    ] = None,
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

    With --background also cut-outs, photos with a blurred background, or another one.

    A network that gives labels prints the likeliest five, and writes them as CSV and JSON; one that
    gives masks and labels writes both.

    A file that cannot be read is named and left out, and the exit code is 1; what is done already
    is not done again.
    """
    from atrous.apps.cli.allocator import keep_freed_memory
    from atrous.apps.cli.classify import classify
    from atrous.apps.cli.device import checked_device
    from atrous.apps.cli.edits import checked_edits
    from atrous.apps.cli.segment import segment
    from atrous.data.listing import list_images
    from atrous.data.readers.raster import DEFAULT_MAX_PIXELS
    from atrous.inference import LabelPredictor, load
    from atrous.networks.fetch import fetch_weights
    from atrous.networks.shipped import resolve_weights
    from atrous.reports.results_folder import ResultsFolder, unique_names

    keep_freed_memory()
    paths = list_images(images)
    file = resolve_weights(model) if weights is None else fetch_weights(model, weights)
    predictor = load(file, device=checked_device(device))
    names = dict(zip(paths, unique_names(paths), strict=True))
    limit = max_pixels or DEFAULT_MAX_PIXELS
    edits = checked_edits(predictor.card, background or [], foreground=foreground, max_pixels=limit)
    if isinstance(predictor, LabelPredictor):
        errors = classify(predictor, paths, names, out, max_pixels=limit, as_json=as_json)
    else:
        folder = ResultsFolder(out, predictor.card, edits)
        errors = segment(
            predictor,
            folder,
            names,
            weights=file,
            may_overwrite=overwrite,
            max_pixels=limit,
            as_json=as_json,
        )
    if errors:
        raise typer.Exit(1)
