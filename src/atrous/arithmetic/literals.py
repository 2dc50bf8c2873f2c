"""Arguments of a layer expression: literals, each asked for by name and kind."""

from collections.abc import Mapping
from typing import TypeAlias

from atrous.errors import ExpressionError
from atrous.types import Size

Value: TypeAlias = int | float | str | tuple[int, ...] | None
"""A literal argument; bools are ints to the type checker and told apart where it matters."""
Arguments: TypeAlias = Mapping[str, Value]


def number(layer: str, arguments: Arguments, name: str, default: int = 1) -> int:
    """A whole number.

    Raises:
        ExpressionError: If the argument is anything else.
    """
    value = arguments.get(name, default)
    if not isinstance(value, int) or isinstance(value, bool):
        raise wrong_kind(layer, name, value, "a whole number")
    return value


def lengths(layer: str, arguments: Arguments, name: str, default: int) -> int | Size:
    """A whole number for all axes, or a tuple of them.

    Raises:
        ExpressionError: If the argument is anything else.
    """
    value = arguments.get(name, default)
    if not isinstance(value, int | tuple) or isinstance(value, bool):
        raise wrong_kind(layer, name, value, "a whole number or a tuple of them")
    return value


def flag(layer: str, arguments: Arguments, name: str, *, default: bool) -> bool:
    """True or False.

    Raises:
        ExpressionError: If the argument is anything else.
    """
    value = arguments.get(name, default)
    if not isinstance(value, bool):
        raise wrong_kind(layer, name, value, "True or False")
    return value


def real(layer: str, arguments: Arguments, name: str) -> None:
    """Pass if an argument that has no effect on paper is a number, or is left out.

    Raises:
        ExpressionError: If it is anything else.
    """
    value = arguments.get(name)
    if value is not None and (not isinstance(value, int | float) or isinstance(value, bool)):
        raise wrong_kind(layer, name, value, "a number")


def only(layer: str, arguments: Arguments, name: str, accepted: Value) -> None:
    """Pass if the argument is left out or has the one value that is followed on paper.

    Raises:
        ExpressionError: If it has another.
    """
    if name in arguments and arguments[name] != accepted:
        raise wrong_kind(layer, name, arguments[name], repr(accepted))


def wrong_kind(layer: str, name: str, value: Value, expected: str) -> ExpressionError:
    """The error for a value of another kind than is expected."""
    return ExpressionError(
        f"{layer} has {name}={shortened(repr(value))}, but {name} must be {expected}; write it so."
    )


def shortened(text: str) -> str:
    """A piece of an expression on one line of at most 60 characters."""
    line = " ".join(text.split())
    return line if len(line) <= 60 else f"{line[:57]}..."
