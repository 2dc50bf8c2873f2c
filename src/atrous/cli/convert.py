"""`atrous convert CHECKPOINT --to FILE`."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from atrous.networks.card import Card
    from atrous.networks.convert.own_card import Said


def convert(
    checkpoint: Annotated[
        Path, typer.Argument(help="A .pth file of a network that `atrous networks` lists.")
    ],
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
    class_names: Annotated[
        str | None,
        typer.Option(help="Names of the classes in their order, with commas between them."),
    ] = None,
    mean: Annotated[
        str | None, typer.Option(help="Mean per channel, such as 0.485,0.456,0.406.")
    ] = None,
    std: Annotated[
        str | None, typer.Option(help="Standard deviation per channel; given with --mean.")
    ] = None,
    order: Annotated[
        str | None, typer.Option(help="RGB or BGR: the order that the network takes.")
    ] = None,
    value_range: Annotated[
        float | None, typer.Option("--range", help="White in the units of --mean: 1 or 255.")
    ] = None,
    key: Annotated[
        str | None,
        typer.Option(help="What the state dict is kept under, such as state_dict_ema."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the card as JSON.")] = False,
) -> None:
    """Turn a checkpoint into one file with its network, classes and preprocessing.

    Published weights are known by their numbers. Of others classes are numbered and pixels fed as
    ImageNet's, unless you say it otherwise.
    """
    from atrous._files import check_place
    from atrous.errors import ShapeError
    from atrous.networks.convert import convert as convert_file
    from atrous.networks.weights import save_weights
    from atrous.pipelines.sizes import parse_lengths, spatial_dims_of

    _check_suffix(to)
    lengths = None if size is None else parse_lengths(size)
    check_place(to)
    said = _said(class_names, mean=mean, std=std, order=order, value_range=value_range)
    found = convert_file(checkpoint, data=data, size=lengths, said=said, key=key)
    weights = found.weights
    dims = spatial_dims_of(weights.network)
    if lengths is not None and len(lengths) != dims:
        raise ShapeError(
            f"--size {size} has {len(lengths)} lengths; {weights.card.network} takes inputs of "
            f"{dims} axes; give {dims}."
        )
    save_weights(to, weights.network, weights.card)
    card = weights.card
    for note in found.notes:
        typer.echo(f"atrous: note: {note}", err=True)
    if as_json:
        typer.echo(json.dumps(json.loads(card.to_json()), indent=1, ensure_ascii=False))
        return
    params = sum(p.numel() for p in weights.network.parameters())
    typer.echo(f"{to}: {card.name}\n{_text(card, params)}")


def _check_suffix(to: Path) -> None:
    from atrous.errors import DataError

    if to.suffix != ".safetensors":
        raise DataError(
            f"--to is {to}, expected a name that ends in .safetensors; try {to.stem}.safetensors."
        )


def _said(
    class_names: str | None,
    *,
    mean: str | None,
    std: str | None,
    order: str | None,
    value_range: float | None,
) -> "Said":
    """What the command line says of weights that are not known."""
    from atrous.errors import DataError
    from atrous.networks.convert.own_card import Said

    if order not in (None, "RGB", "BGR"):
        raise DataError(f"--order is {order!r}; expected RGB or BGR.")
    return Said(
        class_names=tuple(name.strip() for name in class_names.split(",")) if class_names else (),
        mean=_numbers("--mean", mean),
        std=_numbers("--std", std),
        channel_order=order,  # type: ignore[arg-type]  # it has just been seen to be one
        value_range=value_range,
    )


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


def _numbers(option: str, text: str | None) -> tuple[float, ...] | None:
    from atrous.errors import DataError

    if text is None:
        return None
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise DataError(f"{option} is {text!r}; expected numbers as 0.5,0.5,0.5.") from error
