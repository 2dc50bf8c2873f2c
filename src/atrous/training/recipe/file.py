"""Recipes as files: read TOML strictly, set single keys, write the resolved recipe back."""

import json
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields
from pathlib import Path
from types import MappingProxyType
from typing import Any, Union, get_args, get_origin

from atrous._documents import parse_toml, read_text
from atrous._value_types import describe, fits
from atrous.errors import DataError, UnknownNameError
from atrous.recipes import resolve
from atrous.training.recipe.recipe import Recipe

SUFFIX = ".toml"


def read_recipe(path: Path, settings: Sequence[str] = ()) -> Recipe:
    """A recipe from a TOML file, with `key=value` settings over it.

    Paths of lists and class maps are taken from the file's own folder; `recipe:NAME` is a recipe of
    the package.

    Raises:
        DataError: If the file is missing, is not TOML, lacks a key, or a value is of another type.
        UnknownNameError: If a key is not known.
    """
    path = resolve(path)
    try:
        values = parse_toml(read_text(path))
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise DataError(f"{path}: {reason}; expected a recipe in TOML; check the file.") from error
    for setting in settings:
        key, value = _setting(setting)
        values[key] = value
    for key in ("train_subset", "val_subset"):
        if key in values:
            values[key] = _beside(path.parent, values[key])
    if str(values.get("remap", "")).endswith(SUFFIX):  # a bare name is a map of the package
        values["remap"] = _beside(path.parent, values["remap"])
    return recipe_of(values, where=str(path))


def recipe_of(values: Mapping[str, object], *, where: str) -> Recipe:
    """A recipe from plain values.

    Raises:
        DataError: If a key is missing or a value is of another type.
        UnknownNameError: If a key is not known.
    """
    kinds = typing.get_type_hints(Recipe)
    for key in values:
        if key not in kinds:
            raise UnknownNameError(f"key of a recipe (in {where})", key, kinds)
    missing = [
        field.name
        for field in fields(Recipe)
        if field.default is MISSING
        and field.default_factory is MISSING
        and field.name not in values
    ]
    if missing:
        raise DataError(
            f"{where}: the recipe lacks {', '.join(missing)}; expected a value; add it."
        )
    arguments: dict[str, Any] = {
        key: _converted(value, kinds[key], key=key, where=where) for key, value in values.items()
    }
    return Recipe(**arguments)


def recipe_text(recipe: Recipe) -> str:
    """The recipe as TOML, every key with its value in force; None is left out.

    Example:
        >>> recipe = Recipe(
        ...     name="a.b", network="espnet", layout="camvid", data=("x",), epochs=1, batch_size=1,
        ...     learning_rate=0.1,
        ... )
        >>> import tomllib
        >>> recipe_of(tomllib.loads(recipe_text(recipe)), where="text") == recipe
        True
    """
    lines = [
        f"{field.name} = {_toml(value)}"
        for field in fields(Recipe)
        if (value := getattr(recipe, field.name)) is not None
    ]
    return "\n".join(lines) + "\n"


def _setting(text: str) -> tuple[str, object]:
    """Key and value of `key=value`; the value as TOML, or as text where it is none."""
    key, separator, value = text.partition("=")
    if not separator or not key.strip():
        raise DataError(f"--set {text!r} is no key=value; write it so, such as --set epochs=10.")
    try:
        return key.strip(), parse_toml(f"value = {value}")["value"]
    except ValueError:
        return key.strip(), value.strip()


def _beside(folder: Path, value: object) -> object:
    if isinstance(value, str):
        return str(folder / value)
    return [_beside(folder, item) for item in value] if isinstance(value, list) else value


def _converted(value: object, kind: Any, *, key: str, where: str) -> object:  # noqa: ANN401 - a type
    """The value as a field of this type holds it."""
    if not fits(value, kind):
        # One folder or list needs no brackets.
        if get_origin(kind) is tuple and fits([value], kind):
            return _frozen([value], kind)
        raise DataError(
            f"{where}: {key} is {value!r}, expected {describe(kind)}; write that in the recipe."
        )
    return _frozen(value, kind)


def _frozen(value: object, kind: Any) -> object:  # noqa: ANN401 - a type
    origin, parts = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return _frozen(value, next(part for part in parts if fits(value, part)))
    if origin is tuple and isinstance(value, list | tuple):
        inner = [parts[0]] * len(value) if parts[-1] is Ellipsis else parts
        return tuple(_frozen(item, part) for item, part in zip(value, inner, strict=True))
    if isinstance(value, Mapping):
        return MappingProxyType({k: _frozen(v, parts[1]) for k, v in value.items()})
    return float(value) if kind is float and isinstance(value, int) else value


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        inner = ", ".join(f"{json.dumps(key)} = {_toml(item)}" for key, item in value.items())
        return f"{{ {inner} }}" if inner else "{}"
    if isinstance(value, tuple):
        return f"[{', '.join(map(_toml, value))}]"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)
