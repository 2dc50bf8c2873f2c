"""What `networks --weights` prints: the models that are part of the package, by their cards."""

import json
from pathlib import Path
from typing import TypedDict

import typer

from atrous.errors import DataError, UnknownNameError
from atrous.networks.shipped import SHIPPED, shipped_file


class Row(TypedDict):
    """What `networks --weights --json` gives of one model; see docs/json.md."""

    name: str
    card: str
    network: str
    task: str
    params: int
    bytes: int
    classes: list[str]
    channel_order: str
    size: list[int] | None
    scores: list[dict[str, object]]
    source: str
    licence: str


def list_shipped(pattern: str, *, as_json: bool) -> None:
    """Print the shipped models whose names match.

    Raises:
        UnknownNameError: If none does.
        DataError: If this copy of the package lacks their files.
    """
    from fnmatch import fnmatchcase

    chosen = {name: shipped_file(name) for name in sorted(SHIPPED) if fnmatchcase(name, pattern)}
    if not chosen:
        raise UnknownNameError("shipped model", pattern, SHIPPED)
    rows = [_row(name, file) for name, file in chosen.items() if file.is_file()]
    if not rows:
        raise DataError(
            f"This copy of atrous lacks the weights of {', '.join(chosen)}; expected them in "
            f"{next(iter(chosen.values())).parent}; install it again."
        )
    if as_json:
        typer.echo(json.dumps(rows, indent=1, ensure_ascii=False))
        return
    typer.echo("\n\n".join(_text(row) for row in rows))
    typer.echo(
        "\nA name stands wherever a weights file does: atrous predict NAME photo.jpg --out out"
    )


def _row(name: str, file: Path) -> Row:
    from dataclasses import asdict

    from atrous.networks.weights import load_weights

    weights = load_weights(file)
    card, size = weights.card, weights.card.preprocessing.size
    return {
        "name": name,
        "card": card.name,
        "network": card.network,
        "task": card.task,
        "params": sum(p.numel() for p in weights.network.parameters()),
        "bytes": file.stat().st_size,
        "classes": list(card.class_names),
        "channel_order": card.preprocessing.channel_order,
        "size": None if size is None else list(size),
        "scores": [asdict(score) for score in card.scores],
        "source": card.source,
        "licence": card.licence,
    }


def _text(row: Row) -> str:
    resized = "x".join(map(str, row["size"])) if row["size"] else ""
    lines = [
        row["name"],
        f"  network   {row['network']}, {row['params']:,} parameters, {row['bytes'] / 1e6:.2f} MB",
        f"  classes   {', '.join(row['classes'])}",
        f"  input     {row['channel_order']}, any size"
        + (f", resized to {resized} (H x W) inside" if resized else ""),
    ]
    lines += [
        f"  score     {score['metric']} {score['value']:.2f} % on {score['dataset']} "
        f"{score['split']}, protocol {score['protocol']}"
        for score in row["scores"]
    ]
    if row["source"]:
        lines.append(f"  source    {row['source']}")
    lines.append(f"  licence   {row['licence'] or 'not stated'}")
    return "\n".join(lines)
