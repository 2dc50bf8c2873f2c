"""`atrous convert CHECKPOINT --to FILE`."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from atrous.networks.card import Card


def convert(
    checkpoint: Annotated[Path, typer.Argument(help="An authors' .pth file.")],
    to: Annotated[Path, typer.Option(help="The .safetensors file to write.")],
    data: Annotated[
        str | None,
        typer.Option(
            help="What it was trained on (camvid, cityscapes, voc, breast_biopsy, brats); told by "
            "its classes if not given."
        ),
    ] = None,
    size: Annotated[
        str | None,
        typer.Option(
            help="HxW that images are resized to, such as 512x1024; the size of training if not "
            "given, told by the data or the file's name."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the card as JSON.")] = False,
) -> None:
    """Turn a published checkpoint into one file with its network, classes and preprocessing."""
    from atrous._files import check_place
    from atrous.errors import DataError, ShapeError
    from atrous.networks.convert import convert_checkpoint
    from atrous.networks.weights import save_weights
    from atrous.pipelines.sizes import parse_lengths, spatial_dims_of

    if to.suffix != ".safetensors":
        raise DataError(
            f"--to is {to}, expected a name that ends in .safetensors; try {to.stem}.safetensors."
        )
    lengths = None if size is None else parse_lengths(size)
    check_place(to)
    weights = convert_checkpoint(checkpoint, data=data, size=lengths)
    dims = spatial_dims_of(weights.network)
    if lengths is not None and len(lengths) != dims:
        raise ShapeError(
            f"--size {size} has {len(lengths)} lengths; {weights.card.network} takes inputs of "
            f"{dims} axes; give {dims}."
        )
    save_weights(to, weights.network, weights.card)
    card = weights.card
    if as_json:
        typer.echo(json.dumps(json.loads(card.to_json()), indent=1, ensure_ascii=False))
        return
    params = sum(p.numel() for p in weights.network.parameters())
    typer.echo(f"{to}: {card.name}\n{_text(card, params)}")


def _text(card: "Card", params: int) -> str:
    arguments = ", ".join(f"{name}={value}" for name, value in card.arguments.items())
    size = card.preprocessing.size
    axes = "D x H x W" if size is not None and len(size) == 3 else "H x W"
    resized = "its own size" if size is None else f"resized to {'x'.join(map(str, size))} ({axes})"
    names = card.class_names[:40]
    rest = f", and {len(card.class_names) - 40} more" if len(card.class_names) > 40 else ""
    lines = [
        f"  network   {card.network}({arguments}), {params:,} parameters",
        f"  classes   {', '.join(names)}{rest}",
        f"  input     {card.preprocessing.channel_order}, {resized}",
    ]
    lines += [
        f"  published {score.metric} {score.value} % on {score.dataset} {score.split}, "
        f"protocol {score.protocol}"
        for score in card.scores
    ]
    return "\n".join(lines)
