"""Reads the calls in a layer expression, without running them.

The text is parsed into Python's syntax tree and only one shape of tree is taken: calls with literal
arguments, joined by `>` or put into `Sequential`. Nothing is evaluated.
"""

import ast
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final

from atrous.arithmetic.literals import Value, shortened
from atrous.errors import ExpressionError

MAX_CHARACTERS: Final = 10_000
MAX_NUMBER: Final = 2**31 - 1
MAX_DEPTH: Final = 20
"""Levels of a syntax tree; each `Sequential` around a layer takes two."""
_LAYERS_HINT: Final = "a layer such as Conv2d(3, 16, 3, stride=2), or several joined by >"
_VALUES: Final = "whole numbers, tuples of them, 'same', 'valid', True, False and None"
_STRANGE: Final = re.compile(
    # No letters but in names and words, no escapes, and no number such as 0x10 or 3j. A power of
    # ten, as in eps=1e-5, is a number.
    r"[^\x20-\x7e\s]|\\|\b(?![0-9.]+[eE][-+]?[0-9]+\b)[0-9][0-9.]*[A-Za-z_]\w*",
    flags=re.ASCII,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerCall:
    """One layer as it stands in the text: its name and its literal arguments."""

    name: str
    positional: tuple[Value, ...]
    keywords: Mapping[str, Value]
    text: str


def parse_calls(
    text: str, known: Collection[str], blocks: Collection[str] = ()
) -> tuple[LayerCall, ...]:
    """The calls in an expression, first to last; what is in a `Sequential` stands in its place.

    Args:
        text: Such as `Sequential(Conv2d(3, 16, 3), nn.ReLU()) > MaxPool2d(2)`.
        known: Names of layers that may be called; an error lists them.
        blocks: Further names, which an error only counts.

    Raises:
        ExpressionError: If the text is anything else; the message quotes the piece.

    Example:
        >>> [(call.name, call.positional) for call in parse_calls("A(1) > nn.B()", ["A", "B"])]
        [('A', (1,)), ('B', ())]
    """
    body = _syntax_tree(text)
    if isinstance(body, ast.Compare) and all(isinstance(op, ast.Gt) for op in body.ops):
        nodes = [body.left, *body.comparators]
    else:
        nodes = [body]
    names = _Names([*known, "Sequential"], list(blocks))
    return tuple(call for node in nodes for call in _calls(node, names))


@dataclass(frozen=True, slots=True)
class _Names:
    """What may be called."""

    layers: list[str]
    blocks: list[str]


def _syntax_tree(text: str) -> ast.expr:
    if len(text) > MAX_CHARACTERS:
        raise ExpressionError(
            f"The expression {quoted(text)} has {len(text):,} characters, but at most "
            f"{MAX_CHARACTERS:,} are read; shorten it."
        )
    # Python would take these with a warning, or as another number than meant.
    strange = _STRANGE.search(text)
    if strange:
        raise _unreadable(strange.group(), "is not part of a layer or a plain number")
    try:
        body = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise _unreadable(text, "is not a complete expression") from error
    level: list[ast.AST] = [body]
    for _ in range(MAX_DEPTH):
        level = [child for node in level for child in ast.iter_child_nodes(node)]
    if level:
        raise _unreadable(text, "is nested too deeply")
    return body


def _calls(node: ast.expr, known: _Names) -> Iterator[LayerCall]:
    if not isinstance(node, ast.Call):
        raise _unreadable(node, "is not a layer")
    name = _layer_name(node.func, known)
    if name == "Sequential":
        if node.keywords:
            raise _unreadable(node.keywords[0].value, "is given to Sequential by name")
        for argument in node.args:
            yield from _calls(argument, known)
        return
    keywords: dict[str, Value] = {}
    for keyword in node.keywords:
        if keyword.arg is None:
            raise _unreadable(keyword.value, "is unpacked with **")
        if keyword.arg in keywords:
            raise ExpressionError(
                f"{quoted(node)} gives {keyword.arg} twice, but it can have one value; "
                "leave one out."
            )
        keywords[keyword.arg] = _value(keyword.value)
    yield LayerCall(
        name=name,
        positional=tuple(_value(argument) for argument in node.args),
        keywords=keywords,
        text=ast.unparse(node),
    )


def _layer_name(node: ast.expr, known: _Names) -> str:
    match node:
        case ast.Name(id=name):
            pass
        case ast.Attribute(value=ast.Name(id="nn"), attr=name):
            pass
        case ast.Attribute(value=ast.Attribute(value=ast.Name(id="torch"), attr="nn"), attr=name):
            pass
        case _:
            raise _unreadable(node, "is not the name of a layer")
    names = [*known.layers, *known.blocks]
    if name not in names:
        others = f", and {len(known.blocks)} blocks of atrous.blocks" if known.blocks else ""
        raise ExpressionError(
            f"No layer is named {quoted(name)}.{nearest(name, names)} "
            f"Known: {', '.join(known.layers)}{others}."
        )
    return name


def _value(node: ast.expr) -> Value:
    match node:
        case ast.Constant(value=bool() | None | str() | float() as value):
            return value
        case ast.Tuple(elts=elements) | ast.List(elts=elements):
            return tuple(_whole_number(element) for element in elements)
        case _:
            return _whole_number(node)


def _whole_number(node: ast.expr) -> int:
    match node:
        case ast.Constant(value=int() as value) if not isinstance(value, bool):
            number = value
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() as value)) if (
            not isinstance(value, bool)
        ):
            number = -value
        case _:
            raise _unreadable(node, "is not a literal value", accepted=_VALUES)
    if abs(number) > MAX_NUMBER:
        raise _unreadable(node, f"is beyond {MAX_NUMBER:,}", accepted=_VALUES)
    return number


def _unreadable(
    piece: ast.expr | str, what_is_wrong: str, *, accepted: str = _LAYERS_HINT
) -> ExpressionError:
    return ExpressionError(f"{quoted(piece)} {what_is_wrong}; write {accepted}.")


def nearest(name: str, known: Sequence[str]) -> str:
    """A hint at the name that was probably meant; empty if none is near."""
    lowered = {one.lower(): one for one in known}
    close = get_close_matches(name[:100].lower(), list(lowered), n=1)
    return f" Did you mean {lowered[close[0]]!r}?" if close else ""


def quoted(piece: ast.expr | str) -> str:
    """A piece of the text between quotes, shortened to one line."""
    return repr(shortened(piece if isinstance(piece, str) else ast.unparse(piece)))
