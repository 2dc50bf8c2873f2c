"""`atrous recipes` and `atrous init DATA`: what can be trained, and a first recipe for own data."""

import json
from pathlib import Path
from typing import Annotated

import typer


def recipes(
    keys: Annotated[
        bool, typer.Option("--keys", help="List every key of a recipe with what it means.")
    ] = False,
    schema: Annotated[
        bool, typer.Option("--schema", help="Print a JSON schema of recipes, for editors.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """List the recipes of the package; `atrous train recipe:NAME` trains by one."""
    if schema:
        from atrous.training.recipe.describe import schema as recipe_schema

        typer.echo(json.dumps(recipe_schema(), indent=1))
        return
    if keys:
        _print_keys(as_json=as_json)
        return
    from atrous.recipes import list_recipes

    found = list_recipes()
    if as_json:
        typer.echo(json.dumps(found, indent=1))
        return
    for name, first in found.items():
        typer.echo(f"recipe:{name:<26}{first}")


def init(
    data: Annotated[Path, typer.Argument(help="Folder of a data set.")],
    out: Annotated[Path, typer.Option(help="The recipe to write.")] = Path("recipe.toml"),
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a recipe that is there.")
    ] = False,
) -> None:
    """Write a recipe for a data set: layout, classes and size found out, every key explained."""
    from atrous._files import check_place, write_text
    from atrous.errors import DataError
    from atrous.pipelines.init import guess, recipe_draft

    if out.exists() and not overwrite:
        raise DataError(f"{out} is there already; give another --out, or --overwrite.")
    check_place(out)
    found = guess(data)
    write_text(out, recipe_draft(data, found))
    parts = ", ".join(part for part in (found.train_split, found.val_split) if part)
    classes = f", {found.num_classes} classes" if found.num_classes else ""
    typer.echo(
        f"{out}: layout {found.layout}{f' ({parts})' if parts else ''}{classes}, "
        f"{found.num_samples} training samples, size {'x'.join(map(str, found.size))}, network "
        f"{found.network}\nLook it through, then: atrous train {out}"
    )


def _print_keys(*, as_json: bool) -> None:
    from dataclasses import MISSING

    from atrous.training.recipe.describe import describe_keys

    found = describe_keys()
    if as_json:
        rows = [
            {
                "key": key.name,
                "type": key.kind,
                "required": key.is_required,
                "default": None if key.is_required else _plain(key.default),
                "range": key.allowed,
                "for": key.data,
                "needs": key.needs,
                "follows": key.follows,
                "may_change_on_resume": key.may_change,
                "meaning": key.meaning,
            }
            for key in found
        ]
        typer.echo(json.dumps(rows, indent=1))
        return
    for key in found:
        default = "required" if key.default is MISSING else f"default {_plain(key.default)}"
        of = "" if key.data == "all" else f"; {key.data} only"
        allowed = f"; {key.allowed}" if key.allowed else ""
        typer.echo(f"{key.name}  ({key.kind}; {default}{allowed}{of})")
        if key.meaning:
            typer.echo(f"    {key.meaning}")


def _plain(value: object) -> object:
    if hasattr(value, "items"):
        return dict(value)  # type: ignore[call-overload]
    return list(value) if isinstance(value, tuple) else value
