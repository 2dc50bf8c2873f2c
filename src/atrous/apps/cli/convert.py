"""`atrous convert CHECKPOINT --to FILE`."""

import json
from pathlib import Path
from typing import Annotated

import typer


def convert(
    checkpoint: Annotated[Path, typer.Argument(help="An authors' .pth file.")],
    to: Annotated[Path, typer.Option(help="The .safetensors file to write.")],
    data: Annotated[
        str | None,
        typer.Option(
            help="What it was trained on (camvid, cityscapes); told by its classes if not given."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the card as JSON.")] = False,
) -> None:
    """Turn a published checkpoint into one file with its network, classes and preprocessing."""
    from atrous._files import check_place
    from atrous.errors import DataError
    from atrous.networks.convert import convert_checkpoint
    from atrous.networks.weights import save_weights

    if to.suffix != ".safetensors":
        raise DataError(
            f"--to is {to}, expected a name that ends in .safetensors; try {to.stem}.safetensors."
        )
    check_place(to)
    weights = convert_checkpoint(checkpoint, data=data)
    save_weights(to, weights.network, weights.card)
    card = weights.card
    if as_json:
        typer.echo(json.dumps(json.loads(card.to_json()), indent=1, ensure_ascii=False))
        return
    params = sum(p.numel() for p in weights.network.parameters())
    arguments = ", ".join(f"{name}={value}" for name, value in card.arguments.items())
    size = card.preprocessing.size
    typer.echo(f"{to}: {card.name}")
    typer.echo(f"  network   {card.network}({arguments}), {params:,} parameters")
    typer.echo(f"  classes   {', '.join(card.class_names)}")
    typer.echo(
        f"  input     {card.preprocessing.channel_order}, "
        + (f"resized to {size[0]}x{size[1]} (H x W)" if size else "its own size")
    )
    for score in card.scores:
        typer.echo(
            f"  published {score.metric} {score.value} % on {score.dataset} {score.split}, "
            f"protocol {score.protocol}"
        )
