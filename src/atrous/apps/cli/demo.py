"""`atrous demo`."""

from pathlib import Path
from typing import Annotated

import typer

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
    from atrous.apps.cli.explain import explain
    from atrous.apps.cli.portrait import cut_out_portrait

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
    from atrous.apps.cli.convert import convert
    from atrous.apps.cli.evaluate import evaluate
    from atrous.apps.cli.predict import predict

    weights, page = out / "espnet-camvid.safetensors", out / "evaluation.html"
    checkpoint, data = root / CHECKPOINT, root / CAMVID
    typer.echo(f"\n$ atrous convert {checkpoint} --to {weights}")
    convert(checkpoint, to=weights)
    pictures = sorted((data / "val").iterdir())[:: len(list((data / "val").iterdir())) // 8]
    typer.echo(f"\n$ atrous predict {weights} {data / 'val'}/… --out {out}")
    predict(str(weights), [str(path) for path in pictures], out=out, overwrite=True)
    typer.echo(
        f"\n$ atrous evaluate {weights} {data} --layout camvid --split val "
        f"--protocol camvid_published --html {page}"
    )
    evaluate(
        str(weights), data, layout="camvid", split="val", protocol="camvid_published", html=page
    )
    typer.echo(f"\nLook at {out / 'overlays'} and {page}.")
