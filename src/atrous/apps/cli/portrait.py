"""The part of `demo` that cuts a person out of a portrait, and writes a page about it."""

import shlex
from pathlib import Path

import typer

MODEL = "people"
"""The shipped model that is shown."""


def cut_out_portrait(out: Path) -> Path | None:
    """Run the shipped model on the portrait that comes with matplotlib.

    Returns:
        The page, or None, with a line that says why, if the model or the portrait is missing.
    """
    from matplotlib.cbook import get_sample_data

    from atrous.apps.cli.predict import predict
    from atrous.networks.shipped import shipped_file

    model = shipped_file(MODEL)
    photo = Path(get_sample_data("grace_hopper.jpg", asfileobj=False))
    for file in (model, photo):
        if not file.is_file():
            typer.echo(f"\nThe portrait is left out: {file} is not in this installation.")
            return None
    folder, page = out / MODEL, out / f"{MODEL}.html"
    command = ["atrous", "predict", MODEL, str(photo), "--out", str(folder)]
    command += ["--background", "remove", "--background", "blur", "--overwrite"]
    profiling = ["atrous", "profile", MODEL, "--photo", str(photo), "--html", str(page)]
    typer.echo(f"\n$ {shlex.join(command)}")
    predict(MODEL, [str(photo)], out=folder, background=["remove", "blur"], overwrite=True)
    commands = [shlex.join(command), shlex.join(profiling)]
    typer.echo(f"\n$ {commands[1]}")
    _write_page(page, photo, folder, commands)
    typer.echo(f"page: {page}, with what was made of the portrait above")
    return page


def _write_page(page: Path, photo: Path, folder: Path, commands: list[str]) -> None:
    from PIL import Image

    from atrous._files import write_text
    from atrous.apps.cli.facts import facts
    from atrous.apps.cli.measure import measure
    from atrous.apps.cli.profile import field_pictures
    from atrous.inference import load_segmenter
    from atrous.reports.demo_page import Result, demo_page
    from atrous.reports.profile_page import profile_values

    captions = {
        photo: "Grace Hopper, a photograph of the U.S. Navy, from matplotlib's samples.",
        folder / "overlays" / f"{photo.stem}.png": "The classes, and the share of each.",
        folder / "cutouts" / f"{photo.stem}.png": "Cut out: transparent behind the person, and "
        "without the old background's colours at the edge.",
        folder / "blurred" / f"{photo.stem}.jpg": "The background blurred.",
    }
    results = []
    for path, caption in captions.items():
        with Image.open(path) as picture:
            results.append(Result(picture=picture.copy(), caption=caption))
    measured = measure(MODEL, None, needs_weights=True, counts_holes=False)
    profile = profile_values(
        name=measured.name,
        cost=measured.cost,
        seen=measured.seen,
        halo=measured.halo,
        pictures=field_pictures(measured, photo),
    )
    html = demo_page(
        title=f"What the model {MODEL} makes of a portrait",
        card=load_segmenter(MODEL).card,
        results=results,
        commands=commands,
        profile=profile,
        facts=facts(),
    )
    write_text(page, html)
