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
) -> None:
    """Explain a convolution, then segment street scenes with the authors' published ESPNet.

    The weights and pictures may not be passed on, so they are not in the package: without them
    only the first part runs.
    """
    from atrous.apps.cli.explain import explain

    typer.echo('$ atrous explain "Conv2d(12, 24, 3)" --size 64')
    explain("Conv2d(12, 24, 3)", size="64")
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
    from atrous._files import make_folder
    from atrous.apps.cli.convert import convert
    from atrous.apps.cli.evaluate import evaluate
    from atrous.apps.cli.predict import predict

    make_folder(out)
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
    evaluate(weights, data, layout="camvid", split="val", protocol="camvid_published", html=page)
    typer.echo(f"\nLook at {out / 'overlays'} and {page}.")
