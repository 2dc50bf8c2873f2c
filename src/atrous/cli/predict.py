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
    mpp: Annotated[
        float | None,
        typer.Option(help="Slides: µm per pixel of level 0, where the file does not say it."),
    ] = None,
    at_mpp: Annotated[
        float | None,
        typer.Option(help="Slides: µm per pixel the network sees; the card's, or level 0's."),
    ] = None,
    memory: Annotated[
        str | None, typer.Option(help="Slides: ceiling of memory, such as 2G; 4G if not given.")
    ] = None,
    context: Annotated[
        str,
        typer.Option(
            help="Slides: exact (halo by the receptive field), blended (Gaussian weights), or "
            "auto: exact where that can be paid for."
        ),
    ] = "auto",
    tile: Annotated[
        int | None, typer.Option(help="Slides: side of a tile without its halo, pixels.")
    ] = None,
    all_tiles: Annotated[
        bool, typer.Option("--all-tiles", help="Slides: run the glass too.")
    ] = False,
    probabilities: Annotated[
        bool, typer.Option("--probabilities", help="Slides: write them as a TIFF too.")
    ] = False,
    min_region: Annotated[
        float | None,
        typer.Option(help="Slides: smaller regions get no polygon, µm²; 20 if not given."),
    ] = None,
    flip: Annotated[
        bool,
        typer.Option(
            "--flip", help="Volumes: the mean over mirroring, along the axes that the card names."
        ),
    ] = False,
    allow_missing: Annotated[
        bool, typer.Option("--allow-missing", help="Volumes: missing channels are zero.")
    ] = False,
    html: Annotated[
        bool, typer.Option("--html", help="Volumes: also a page to scroll through each.")
    ] = False,
    bids: Annotated[
        bool, typer.Option("--bids", help="Volumes: write a BIDS derivative data set.")
    ] = False,
    plan: Annotated[
        bool, typer.Option("--plan", help="Slides: only say tiles, minutes and memory.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print shares and errors as JSON.")
    ] = False,
) -> None:
    """Segment images: class masks, overlays with a legend, and the share of every class.

    Whole slides get a folder each: label TIFF, polygons for QuPath, overlay, areas in mm². They
    are run tile by tile, and a run that was stopped or killed goes on by the same command.

    Volumes (.nii, .nii.gz) get labels on their own grid, two pictures, and volumes in ml; the files
    of one scan's channels are told by their names.

    With --background also cut-outs, photos with a blurred background, or another one.

    A network that gives labels prints the likeliest five, and writes them as CSV and JSON; one that
    gives masks and labels writes both.

    A file that cannot be read is named and left out, and the exit code is 1; what is done already
    is not done again.
    """
    from atrous.data.listing import SLIDE_SUFFIXES, list_images
    from atrous.data.photos.raster import DEFAULT_MAX_PIXELS, IMAGE_SUFFIXES
    from atrous.inference import LabelPredictor, load
    from atrous.networks.convert.fetch import fetch_weights
    from atrous.networks.shipped import resolve_weights
    from atrous.pipelines.allocator import keep_freed_memory
    from atrous.pipelines.device import checked_device
    from atrous.pipelines.predict.edits import checked_edits
    from atrous.pipelines.predict.labels import classify
    from atrous.pipelines.predict.options import (
        are_slides,
        check_options,
        checked_options,
        require_masks,
    )
    from atrous.pipelines.predict.photos import segment
    from atrous.pipelines.predict.slides import run_slides
    from atrous.pipelines.predict.volumes import VolumeWishes, are_volumes, run_volumes
    from atrous.reports.photos.results import ResultsFolder, unique_names

    keep_freed_memory()
    given = {
        "--background": background,
        "--foreground": foreground,
        "--max-pixels": max_pixels,
        "--weights": weights,
        "--mpp": mpp,
        "--at-mpp": at_mpp,
        "--tile": tile,
        "--all-tiles": all_tiles,
        "--probabilities": probabilities,
        "--min-region": min_region,
        "--plan": plan,
        "--memory": memory,
        "--context": context,
        "--flip": flip,
        "--allow-missing": allow_missing,
        "--html": html,
        "--bids": bids,
    }
    if are_volumes(images):
        check_options("volumes", given)
        wishes = VolumeWishes(
            memory=memory,
            context=context,
            flip=flip,
            allow_missing=allow_missing,
            html=html,
            bids=bids,
            overwrite=overwrite,
            as_json=as_json,
        )
        run_volumes(model, images, out, wishes, device=device)
        return
    options = checked_options(
        mpp=mpp,
        at_mpp=at_mpp,
        memory=memory,
        context=context,
        tile=tile,
        all_tiles=all_tiles,
        probabilities=probabilities,
        min_region=min_region,
        plan=plan,
    )
    paths = list_images(images, suffixes=IMAGE_SUFFIXES | SLIDE_SUFFIXES)
    is_of_slides = are_slides(paths)
    check_options("slides" if is_of_slides else "photos", given)
    file = resolve_weights(model) if weights is None else fetch_weights(model, weights)
    predictor = load(file, device=checked_device(device))
    names = dict(zip(paths, unique_names(paths), strict=True))
    limit = max_pixels or DEFAULT_MAX_PIXELS
    if is_of_slides:
        errors = run_slides(
            require_masks(predictor),
            names,
            out,
            options,
            weights=file,
            may_overwrite=overwrite,
            as_json=as_json,
        )
        raise typer.Exit(1 if errors else 0)
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
