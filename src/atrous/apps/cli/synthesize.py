"""`atrous synthesize KIND OUT`."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Kind(StrEnum):
    """What can be made."""

    TISSUE = "tissue"
    SHAPES = "shapes"


def synthesize(
    kind: Annotated[
        Kind,
        typer.Argument(
            help="tissue: made breast biopsies with masks and diagnoses; shapes: discs, squares "
            "and stripes with masks."
        ),
    ],
    out: Annotated[Path, typer.Argument(help="Folder to make; it must be new or empty.")],
    num_images: Annotated[int, typer.Option(min=1, help="Images to draw.")] = 100,
    val: Annotated[
        int, typer.Option(min=0, help="Further images, apart, to validate with (tissue only).")
    ] = 0,
    size: Annotated[str, typer.Option(help="HxW in pixels.")] = "128x128",
    seed: Annotated[int, typer.Option(min=0, help="Another seed, other images.")] = 0,
) -> None:
    """Draw a dataset whose truth is known, to try networks and recipes without any download."""
    from atrous.apps.cli.progress import progress
    from atrous.apps.cli.sizes import parse_input_size
    from atrous.data.synthetic import SHAPE_CLASSES, write_mask_folder
    from atrous.data.synthetic_tissue import write_tissue_folder
    from atrous.errors import DataError, ShapeError

    channels, lengths = parse_input_size(size, spatial_dims=2)
    if channels is not None:
        raise ShapeError(f"--size {size} has three numbers; expected H x W, such as 128x128.")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise DataError(f"{out} is there and holds something; expected a new folder; name another.")
    if kind is Kind.SHAPES:
        if val:
            raise DataError("--val is for tissue only; make a second folder with another --seed.")
        write_mask_folder(out, num_images=num_images, size=lengths, seed=seed)
        typer.echo(
            f"{out}: {num_images} images; layout mask_folder, {len(SHAPE_CLASSES)} classes: "
            f"{', '.join(SHAPE_CLASSES)}"
        )
        return
    parts = {"train": (0, num_images), "val": (num_images, val)} if val else {None: (0, num_images)}
    with progress("drawing", num_images + val) as advance:
        for split, (first, count) in parts.items():
            write_tissue_folder(
                out,
                num_images=count,
                size=lengths,
                seed=seed,
                split=split,
                first=first,
                advance=advance,
            )
    splits = f" in splits train ({num_images}) and val ({val})" if val else ""
    typer.echo(f"{out}: {num_images + val} images{splits}; layout joint_folder")
