"""`atrous export MODEL --to FORMAT`."""

import json
from pathlib import Path
from typing import Annotated

import typer


def export(
    model: Annotated[
        str, typer.Argument(help="A .safetensors file that holds a card, or a shipped model.")
    ],
    to: Annotated[str, typer.Option(help="onnx, openvino (NAME.xml and NAME.bin) or pt2.")],
    out: Annotated[
        Path | None, typer.Option(help="The file to write; NAME.onnx and so on if not given.")
    ] = None,
    with_parts: Annotated[
        str,
        typer.Option(
            "--with",
            help="What goes into the graph: preprocessing (it takes RGB of 8 bits, B x H x W x 3), "
            "argmax (it gives classes), or both, with a comma.",
        ),
    ] = "",
    size: Annotated[
        str | None,
        typer.Option(help="HxW of the only size the graph runs at; all sizes if not given."),
    ] = None,
    images: Annotated[
        Path | None,
        typer.Option(help="Folder of images to compare on; noise if not given."),
    ] = None,
    tolerance: Annotated[
        float | None,
        typer.Option(help="Largest difference of logits, as a share of the largest (1e-4)."),
    ] = None,
    network: Annotated[
        str | None,
        typer.Option(help="FILE.py:FUNCTION of your own network, for weights whose card names it."),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what is there.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the certificate as JSON.")] = False,
) -> None:
    """Write a model into one file for other engines, and prove that it answers the same.

    The card (classes, preprocessing, source) travels in the file's metadata. The file is compared
    with the network at several sizes, odd ones too; beyond the tolerance nothing is written, and
    the exit code is 1. The proof lies beside the file as NAME.certificate.json.

    `predict` and `evaluate` take exported files (.onnx, .xml) like weights.
    """
    from atrous.cli.progress import shown
    from atrous.networks.own import allow_network
    from atrous.pipelines.export import UnequalError
    from atrous.pipelines.export import export as export_model
    from atrous.pipelines.sizes import parse_lengths

    allow_network(network or "")
    parts = [part.strip() for part in with_parts.split(",") if part.strip()]
    try:
        with shown() as on_progress:
            done = export_model(
                model,
                to,  # type: ignore[arg-type] # which of them it may be is checked there
                out,
                with_parts=parts,
                size=None if size is None else parse_lengths(size),
                images=images,
                tolerance=tolerance,
                overwrite=overwrite,
                on_progress=on_progress,
            )
    except UnequalError as error:
        if as_json:
            typer.echo(json.dumps(error.certificate.record(), indent=1))
        typer.echo(f"atrous: {error}", err=True)
        raise typer.Exit(1) from error
    record = {"file": str(done.path), **done.certificate.record()}
    typer.echo(json.dumps(record, indent=1) if as_json else done)
