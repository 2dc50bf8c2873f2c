"""`atrous explain EXPRESSION`."""

from pathlib import Path
from typing import Annotated

import typer


def explain(
    expression: Annotated[
        str,
        typer.Argument(
            help="A layer in torch's words, or several joined by '>': "
            "'Conv2d(3, 16, 3, stride=2) > MaxPool2d(2)'."
        ),
    ],
    size: Annotated[
        str | None, typer.Option(help="Size of the input: 64 (every axis), 64x48 or 16x64x64.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    plot: Annotated[
        Path | None, typer.Option(help="Draw which inputs one output reads, to this file.")
    ] = None,
) -> None:
    """Show what a convolution costs and what it sees, with the working."""
    from atrous.pipelines.explain import explain as explained

    found = explained(expression, size, plot=plot)
    typer.echo(found.to_json() if as_json else found)
