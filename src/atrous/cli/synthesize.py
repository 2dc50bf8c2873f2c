"""`atrous synthesize KIND OUT`, and `atrous synthesize mosaic SLIDE OUT`."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from atrous.types import Size


def mosaic(
    source: Path, out: Path, *, size: Size, tissue_tiles: int | None, mpp: float | None
) -> str:
    """Write a mosaic, and say what it is.

    Raises:
        DataError: If `out` is there; and as `write_mosaic`.
        ShapeError: Likewise.
    """
    from atrous._files import check_place
    from atrous.data.synthetic.mosaic import write_mosaic
    from atrous.errors import DataError

    if out.exists():
        raise DataError(f"{out} is there; expected a new file; name another, or remove it.")
    check_place(out)
    made = write_mosaic(source, out, size=size, tissue_tiles=tissue_tiles, mpp=mpp)
    return (
        f"{out}: {size[0]} x {size[1]} pixels (H x W), {out.stat().st_size / 1e6:.1f} MB; "
        f"{made.num_tissue_tiles:,} of {made.num_tiles:,} tiles of {made.tile[0]} x {made.tile[1]} "
        "hold tissue"
    )


class Kind(StrEnum):
    """What can be made."""

    TISSUE = "tissue"
    SLIDES = "slides"
    SHAPES = "shapes"
    MOSAIC = "mosaic"


DEFAULT_SIZES = {
    Kind.TISSUE: (128, 128),
    Kind.SLIDES: (4096, 4096),
    Kind.SHAPES: (64, 96),
    Kind.MOSAIC: (100_000, 100_000),
}
DEFAULT_IMAGES = 8
DEFAULT_MPP = 1.0


def synthesize(
    kind: Annotated[
        Kind,
        typer.Argument(
            help="tissue: made breast biopsies with masks and diagnoses; slides: the same as whole "
            "slides, TIFF pyramids of any size; shapes: discs, squares and stripes with masks; "
            "mosaic: one slide of any size out of the tiles of a real one."
        ),
    ],
    places: Annotated[
        list[Path],
        typer.Argument(
            metavar="[SLIDE] OUT",
            help="Folder to make; it must be new or empty. For a mosaic, the slide whose tiles are "
            "repeated and the file to make.",
        ),
    ],
    num_images: Annotated[
        int | None,
        typer.Option(min=1, help=f"Images to draw; {DEFAULT_IMAGES} if not given (no mosaic)."),
    ] = None,
    val: Annotated[
        int, typer.Option(min=0, help="Further images, apart, to validate with (tissue only).")
    ] = 0,
    size: Annotated[
        str | None,
        typer.Option(
            help="HxW in pixels; 128x128 for tissue, 4096x4096 for slides, 64x96 for shapes, "
            "100000x100000 for a mosaic if not given."
        ),
    ] = None,
    tissue_tiles: Annotated[
        int | None,
        typer.Option(min=1, help="Tiles that show tissue, glass elsewhere (mosaic only)."),
    ] = None,
    mpp: Annotated[
        float | None,
        typer.Option(
            min=0.01,
            max=50,
            help=f"Micrometres per pixel (slides and mosaic); {DEFAULT_MPP:g} for slides if not "
            "given, for a mosaic what its slide says.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Another seed, other images.")] = 0,
) -> None:
    """Draw a dataset whose truth is known, to try networks and recipes without any download."""
    lengths = _lengths(size, kind)
    _check(kind, places, num_images, val, tissue_tiles)
    out = places[-1]
    if kind is Kind.MOSAIC:
        from atrous.cli.synthesize import mosaic

        typer.echo(mosaic(places[0], out, size=lengths, tissue_tiles=tissue_tiles, mpp=mpp))
        return
    number = num_images or DEFAULT_IMAGES
    with _marked(out):
        if kind is Kind.TISSUE:
            said = _tissue(out, number, val, lengths, seed)
        elif kind is Kind.SLIDES:
            said = _slides(out, number, lengths, mpp or DEFAULT_MPP, seed)
        else:
            said = _shapes(out, number, lengths, seed)
    typer.echo(said)


def _check(
    kind: Kind, places: list[Path], num_images: int | None, val: int, tissue_tiles: int | None
) -> None:
    """See that what is given is meant for this kind, and that the folder is free."""
    from atrous.errors import DataError

    expected = 2 if kind is Kind.MOSAIC else 1
    if len(places) != expected:
        usage = "SLIDE OUT" if kind is Kind.MOSAIC else "OUT"
        raise DataError(
            f"{len(places)} files or folders for {kind}; expected {expected}; write "
            f"atrous synthesize {kind} {usage}."
        )
    if val and kind is not Kind.TISSUE:
        raise DataError(
            f"--val {val} is for tissue only, but {kind} were asked for; leave it out, and make a "
            "second folder with another --seed."
        )
    if tissue_tiles and kind is not Kind.MOSAIC:
        raise DataError(
            f"--tissue-tiles {tissue_tiles} is for a mosaic only, but {kind} were asked for; leave "
            "it out."
        )
    if kind is Kind.MOSAIC:
        if num_images:
            raise DataError(
                f"--num-images {num_images} is not for a mosaic, which is one slide; leave it out."
            )
        return
    out = places[0]
    if (out / _UNFINISHED).is_file():  # what a run left that was killed: all of it is ours
        shutil.rmtree(out)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise DataError(
            f"{out} is there and holds something; expected a new or empty folder; name another, "
            "or remove it."
        )


_UNFINISHED = ".atrous-unfinished"
"""Lies in a folder while it is made."""


@contextmanager
def _marked(out: Path) -> Iterator[None]:
    """Mark a folder as unfinished until the block is done."""
    from atrous._files import make_folder
    from atrous.errors import AtrousError

    was_there = out.is_dir()
    make_folder(out)
    (out / _UNFINISHED).touch()
    try:
        yield
    except AtrousError:  # refused: nothing of it stays
        (out / _UNFINISHED).unlink()
        if not was_there and not any(out.iterdir()):
            out.rmdir()
        raise
    (out / _UNFINISHED).unlink()


def _lengths(size: str | None, kind: Kind) -> Size:
    from atrous.errors import ShapeError
    from atrous.pipelines.sizes import parse_input_size

    if size is None:
        return DEFAULT_SIZES[kind]
    channels, lengths = parse_input_size(size, spatial_dims=2)
    if channels is not None:
        raise ShapeError(f"--size {size} has three numbers; expected H x W, such as 128x128.")
    return lengths


def _tissue(out: Path, num_images: int, val: int, size: Size, seed: int) -> str:
    from atrous.cli.progress import progress
    from atrous.data.synthetic.tissue import write_tissue_folder

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
    from atrous.cli.progress import progress
    from atrous.data.synthetic.slides import num_tiles, write_slide_folder

    with progress("tiles", num_slides * num_tiles(size)) as advance:
        write_slide_folder(
            out, num_slides=num_slides, size=size, seed=seed, mpp=(mpp, mpp), advance=advance
        )
    return (
        f"{out}: {num_slides} slides of {size[0]} x {size[1]} (H x W) at {mpp:g} µm per pixel; "
        "images/, masks/, labels.csv and truth.json"
    )


def _shapes(out: Path, num_images: int, size: Size, seed: int) -> str:
    from atrous.data.synthetic.shapes import SHAPE_CLASSES, write_mask_folder

    write_mask_folder(out, num_images=num_images, size=size, seed=seed)
    return (
        f"{out}: {num_images} images; layout mask_folder, {len(SHAPE_CLASSES)} classes: "
        f"{', '.join(SHAPE_CLASSES)}"
    )
