"""Whether plain values, of TOML or JSON, are of the types that a dataclass declares."""

import types
from collections.abc import Mapping
from typing import Any, Literal, Union, get_args, get_origin


def fits(value: object, kind: Any) -> bool:  # noqa: ANN401 - a type
    """Whether a value is of a type: lists are tuples, and integers are floats, but not truths.

    Example:
        >>> fits([1, 2.5], tuple[float, ...]), fits(True, int), fits("x", int | None)
        (True, False, False)
    """
    origin, parts = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return any(fits(value, part) for part in parts)
    if origin is Literal:
        return value in parts
    if origin is tuple:
        if not isinstance(value, list | tuple):
            return False
        if parts[-1] is Ellipsis:
            return all(fits(item, parts[0]) for item in value)
        return len(value) == len(parts) and all(map(fits, value, parts))
    if origin is not None and issubclass(origin, Mapping):
        return isinstance(value, Mapping) and all(
            fits(k, parts[0]) and fits(v, parts[1]) for k, v in value.items()
        )
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return value is None if kind is type(None) else isinstance(value, kind)


def describe(kind: Any) -> str:  # noqa: ANN401 - a type
    """A type in words.

    Example:
        >>> describe(tuple[int, ...] | None)
        'a list of a whole number'
    """
    origin, parts = get_origin(kind), get_args(kind)
    names = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}
    if origin in (Union, types.UnionType):
        return " or ".join(describe(part) for part in parts if part is not type(None))
    if origin is Literal:
        return " or ".join(map(repr, parts))
    if origin is tuple:
        inner = parts[:1] if parts[-1] is Ellipsis else parts
        return f"a list of {', '.join(describe(part) for part in inner)}"
    if origin is not None:
        return f"a table of names to {describe(parts[1])}"
    return names.get(kind, getattr(kind, "__name__", str(kind)))
