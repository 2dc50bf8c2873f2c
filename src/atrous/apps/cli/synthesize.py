"""`atrous synthesize KIND OUT`."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from atrous.types import Size


class Kind(StrEnum):
    """What can be made."""

    TISSUE = "tissue"
    SLIDES = "slides"
    SHAPES = "shapes"


DEFAULT_SIZES = {Kind.TISSUE: (128, 128), Kind.SLIDES: (4096, 4096), Kind.SHAPES: (64, 96)}


def synthesize(
    kind: Annotated[
        Kind,
        typer.Argument(
            help="tissue: made breast biopsies with masks and diagnoses; slides: the same as whole "
            "slides, TIFF pyramids of any size; shapes: discs, squares and stripes with masks."
        ),
    ],
    out: Annotated[Path, typer.Argument(help="Folder to make; it must be new or empty.")],
    num_images: Annotated[int, typer.Option(min=1, help="Images to draw.")] = 8,
    val: Annotated[
        int, typer.Option(min=0, help="Further images, apart, to validate with (tissue only).")
    ] = 0,
    size: Annotated[
        str | None,
        typer.Option(
            help="HxW in pixels; 128x128 for tissue, 4096x4096 for slides, 64x96 for shapes if "
            "not given."
        ),
    ] = None,
    mpp: Annotated[
        float, typer.Option(min=0.01, max=100, help="Micrometres per pixel (slides only).")
    ] = 1.0,
    seed: Annotated[int, typer.Option(min=0, help="Another seed, other images.")] = 0,
) -> None:
    """Draw a dataset whose truth is known, to try networks and recipes without any download."""
    from atrous.data.synthetic import SHAPE_CLASSES, write_mask_folder
    from atrous.errors import DataError

    lengths = _lengths(size, kind)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise DataError(
            f"{out} is there and holds something; expected a new or empty folder; name another, "
            "or remove it."
        )
    if val and kind is not Kind.TISSUE:
        raise DataError(
            f"--val {val} is for tissue only, but {kind} were asked for; leave it out, and make a "
            "second folder with another --seed."
        )
    if kind is Kind.TISSUE:
        typer.echo(_tissue(out, num_images, val, lengths, seed))
    elif kind is Kind.SLIDES:
        typer.echo(_slides(out, num_images, lengths, mpp, seed))
    else:
        write_mask_folder(out, num_images=num_images, size=lengths, seed=seed)
        typer.echo(
            f"{out}: {num_images} images; layout mask_folder, {len(SHAPE_CLASSES)} classes: "
            f"{', '.join(SHAPE_CLASSES)}"
        )


def _lengths(size: str | None, kind: Kind) -> Size:
    from atrous.apps.cli.sizes import parse_input_size
    from atrous.errors import ShapeError

    if size is None:
        return DEFAULT_SIZES[kind]
    channels, lengths = parse_input_size(size, spatial_dims=2)
    if channels is not None:
        raise ShapeError(f"--size {size} has three numbers; expected H x W, such as 128x128.")
    return lengths


def _tissue(out: Path, num_images: int, val: int, size: Size, seed: int) -> str:
    from atrous.apps.cli.progress import progress
    from atrous.data.synthetic_tissue import write_tissue_folder

    parts = {"train": (0, num_images), "val": (num_images, val)} if val else {None: (0, num_images)}
    with progress("drawing", num_images + val) as advance:
        for split, (first, count) in parts.items():
            write_tissue_folder(
                out,
                num_images=count,
                size=size,
                seed=seed,
                split=split,
                first=first,
                advance=advance,
            )
    splits = f" in splits train ({num_images}) and val ({val})" if val else ""
    return f"{out}: {num_images + val} images{splits}; layout joint_folder"


def _slides(out: Path, num_slides: int, size: Size, mpp: float, seed: int) -> str:
    from atrous.apps.cli.progress import progress
    from atrous.data.synthetic_slide import num_tiles, write_slide_folder

    with progress("tiles", num_slides * num_tiles(size)) as advance:
        write_slide_folder(
            out, num_slides=num_slides, size=size, seed=seed, mpp=(mpp, mpp), advance=advance
        )
    return (
        f"{out}: {num_slides} slides of {size[0]} x {size[1]} (H x W) at {mpp:g} µm per pixel; "
        "images/, masks/, labels.csv and truth.json"
    )
