"""`atrous networks [PATTERN]`."""

import json
from typing import TYPE_CHECKING, Annotated, TypedDict

import typer

if TYPE_CHECKING:
    from atrous.networks.catalog import NetworkEntry


def networks(
    pattern: Annotated[str, typer.Argument(help="Only names like this, such as 'espnet*'.")] = "*",
    as_json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """List the networks that can be built, with parameters and MACs at the size they are quoted."""
    from fnmatch import fnmatchcase

    from atrous.errors import UnknownNameError
    from atrous.networks.catalog import NETWORKS
    from atrous.reports.profile_page import scaled

    chosen = {name: entry for name, entry in NETWORKS.items() if fnmatchcase(name, pattern)}
    if not chosen:
        raise UnknownNameError("network", pattern, NETWORKS)
    rows = [_row(name, entry) for name, entry in sorted(chosen.items())]
    if as_json:
        typer.echo(json.dumps(rows, indent=1))
        return
    typer.echo(f"{'network':<24}{'task':<16}{'params':>14}{'MACs':>12}  size")
    for row in rows:
        size, macs = "x".join(map(str, row["size"])), scaled(row["macs"])
        typer.echo(f"{row['name']:<24}{row['task']:<16}{row['params']:>14,}{macs:>12}  {size}")
    typer.echo("MACs are multiply-accumulates of one image of that size; FLOPs are twice as many.")


class Row(TypedDict):
    """What `networks --json` gives of one network; see docs/json.md."""

    name: str
    task: str
    params: int
    macs: int
    size: list[int]


def _row(name: str, entry: "NetworkEntry") -> Row:
    import torch

    from atrous.analysis import profile

    with torch.device("meta"):  # shapes suffice: no weights are made
        network = entry.build()
    cost = profile(network.eval(), entry.size)
    return {
        "name": name,
        "task": entry.task,
        "params": sum(p.numel() for p in network.parameters()),
        "macs": cost.macs,
        "size": list(entry.size),
    }
