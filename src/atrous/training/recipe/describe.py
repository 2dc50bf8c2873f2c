"""Every key of a recipe with its type, default and meaning, read from the one declaration."""

import ast
import inspect
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from types import MappingProxyType
from typing import Any

from atrous.training.recipe.effects import NEEDS
from atrous.training.recipe.keys import FOLLOWS, IMAGE_KEYS, RUN_ONLY_KEYS, VOLUME_KEYS
from atrous.training.recipe.ranges import RANGES
from atrous.training.recipe.recipe import Recipe


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyDescription:
    """What is known of a key.

    Attributes:
        name: The key.
        kind: Its type, as Python writes it.
        default: Its default as TOML would hold it; None where a value is required.
        meaning: What it decides; empty where the name says all.
        allowed: The numbers that it may be; empty where it holds none, or its type says all.
        data: Which data the key is for: `images`, `volumes` or `all`.
        needs: What it has an effect only with; empty where it always has one.
        follows: Paper or tool that it is from; empty where it is nobody's in particular.
        may_change: Whether a run may be resumed with another value.
    """

    name: str
    kind: str
    default: object
    meaning: str
    allowed: str
    data: str
    needs: str
    follows: str
    may_change: bool

    @property
    def is_required(self) -> bool:
        """Whether a recipe must hold the key."""
        return self.default is MISSING


def describe_keys() -> tuple[KeyDescription, ...]:
    """All keys, in the order of the declaration."""
    meanings = _meanings()
    kinds = Recipe.__annotations__
    found = []
    for field in fields(Recipe):
        default: Any = field.default
        if field.default_factory is not MISSING:
            default = field.default_factory()
        data = "images" if field.name in IMAGE_KEYS else "all"
        kind = kinds[field.name]
        found.append(
            KeyDescription(
                name=field.name,
                kind=kind if isinstance(kind, str) else inspect.formatannotation(kind),
                default=default,
                meaning=meanings.get(field.name, ""),
                allowed=str(RANGES.get(field.name, "")),
                needs=NEEDS[field.name].words if field.name in NEEDS else "",
                follows=FOLLOWS.get(field.name, ""),
                data="volumes" if field.name in VOLUME_KEYS else data,
                may_change=field.name in RUN_ONLY_KEYS,
            )
        )
    return tuple(found)


def schema() -> dict[str, object]:
    """A JSON schema of recipes, for editors that complete and check TOML by one."""
    keys = describe_keys()
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A recipe of Atrous",
        "type": "object",
        "additionalProperties": False,
        "required": [key.name for key in keys if key.is_required],
        "properties": {
            key.name: {
                **_schema_type(key.kind),
                "description": key.meaning or key.kind,
                **({} if key.is_required or key.default is None else _schema_default(key.default)),
            }
            for key in keys
        },
    }


_SIMPLE: Mapping[str, Mapping[str, object]] = MappingProxyType(
    {
        "str": {"type": "string"},
        "int": {"type": "integer"},
        "float": {"type": "number"},
        "bool": {"type": "boolean"},
    }
)


def _schema_type(kind: str) -> dict[str, object]:
    """What a type allows: simple ones exactly, tuples as arrays, mappings as objects."""
    parts = [part.strip() for part in kind.split(" | ") if part.strip() != "None"]
    if len(parts) == 1 and parts[0] in _SIMPLE:
        return dict(_SIMPLE[parts[0]])
    if parts[0].startswith(("tuple[", "Mapping[")):
        # One folder or list needs no brackets, so that a single text is allowed for arrays too.
        return {
            "type": ["array", "string"]
            if parts[0].startswith("tuple[str")
            else ("array" if parts[0].startswith("tuple[") else "object")
        }
    return {"type": "string"} if all(part.isidentifier() for part in parts) else {}


def _schema_default(default: object) -> dict[str, object]:
    if isinstance(default, Mapping):
        return {"default": dict(default)}
    return {"default": list(default) if isinstance(default, tuple) else default}


def _meanings() -> dict[str, str]:
    """The text that stands below each field in the source of `Recipe`."""
    (tree,) = ast.parse(inspect.getsource(Recipe)).body
    assert isinstance(tree, ast.ClassDef)
    found = {}
    for field, below in zip(tree.body, tree.body[1:], strict=False):
        is_field = isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
        if is_field and isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant):
            assert isinstance(field, ast.AnnAssign)
            assert isinstance(field.target, ast.Name)
            found[field.target.id] = " ".join(str(below.value.value).split())
    return found
