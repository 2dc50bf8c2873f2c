"""`atrous demo`."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

MODEL = "people"
"""The shipped model that is shown."""


def cut_out_portrait(out: Path) -> Path | None:
    """Run the shipped model on the portrait that comes with matplotlib.

    Returns:
        The page, or None, with a line that says why, if the model or the portrait is missing.
    """
    from matplotlib.cbook import get_sample_data

    from atrous.networks.shipped import shipped_file
    from atrous.pipelines.predict.files import predict
    from atrous.pipelines.predict.options import PhotoOptions

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
    edits = PhotoOptions(background=("remove", "blur"))
    typer.echo(predict(MODEL, [photo], folder, edits, overwrite=True))
    commands = [shlex.join(command), shlex.join(profiling)]
    typer.echo(f"\n$ {commands[1]}")
    _write_page(page, photo, folder, commands)
    typer.echo(f"page: {page}, with what was made of the portrait above")
    return page


def _write_page(page: Path, photo: Path, folder: Path, commands: list[str]) -> None:
    from PIL import Image

    from atrous._files import write_text
    from atrous.cli.profile import field_pictures
    from atrous.inference import load
    from atrous.pipelines.measure import measure
    from atrous.pipelines.provenance import facts
    from atrous.reports.photos.demo_page import Result, demo_page
    from atrous.reports.profile.page import profile_values

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
        card=load(MODEL).card,
        results=results,
        commands=commands,
        profile=profile,
        facts=facts(),
    )
    write_text(page, html)


CHECKPOINT = Path("weights/espnet/decoder/espnet_p_2_q_8_camvid.pth")
CAMVID = Path("data/camvid")


def demo(
    out: Annotated[Path, typer.Option(help="Folder for the pictures.")] = Path("out/demo"),
    shared: Annotated[
        Path | None,
        typer.Option(
            help="Folder that holds the authors' weights and data.", envvar="ATROUS_SHARED"
        ),
    ] = None,
    should_open: Annotated[
        bool, typer.Option("--open", help="Open the page of the portrait in a browser.")
    ] = False,
) -> None:
    """Explain a convolution, cut a person out of a portrait, and segment street scenes.

    The portrait comes with matplotlib and the model with this package. The weights and pictures of
    the street scenes may not be passed on: without them that part is left out.
    """
    from atrous._files import make_folder
    from atrous.cli.demo import cut_out_portrait
    from atrous.cli.explain import explain

    make_folder(out)
    typer.echo('$ atrous explain "Conv2d(12, 24, 3)" --size 64')
    explain("Conv2d(12, 24, 3)", size="64")
    page = cut_out_portrait(out)
    if page is not None and should_open:
        import webbrowser

        webbrowser.open(page.resolve().as_uri())
    root = shared or Path("../shared")
    if not (root / CHECKPOINT).is_file() or not (root / CAMVID / "val").is_dir():
        typer.echo(
            f"\nStreet scenes are left out: {root / CHECKPOINT} and {root / CAMVID} are needed, "
            f"from the authors of ESPNet and of CamVid; say where with --shared or ATROUS_SHARED."
        )
        return
    _street_scenes(out, root)


def _street_scenes(out: Path, root: Path) -> None:
    """Each step is the command that is printed above it."""
    from atrous.cli.convert import convert
    from atrous.pipelines.evaluate.data import evaluate
    from atrous.pipelines.predict.files import predict

    weights, page = out / "espnet-camvid.safetensors", out / "evaluation.html"
    checkpoint, data = root / CHECKPOINT, root / CAMVID
    typer.echo(f"\n$ atrous convert {checkpoint} --to {weights}")
    convert(checkpoint, to=weights)
    pictures = sorted((data / "val").iterdir())[:: len(list((data / "val").iterdir())) // 8]
    typer.echo(f"\n$ atrous predict {weights} {data / 'val'}/… --out {out}")
    typer.echo(predict(weights, pictures, out, overwrite=True))
    typer.echo(
        f"\n$ atrous evaluate {weights} {data} --layout camvid --split val "
        f"--protocol camvid_published --html {page}"
    )
    protocol = "camvid_published"
    scores = evaluate(weights, data, "camvid", split="val", protocol=protocol, html=page)
    typer.echo(f"{scores}\npage: {page}")
    typer.echo(f"\nLook at {out / 'overlays'} and {page}.")
