"""Reads layer expressions such as `Conv2d(3, 16, 3) > MaxPool2d(2)`, without running them.

The text is parsed into Python's syntax tree and only one shape of tree is taken: calls of known
layers with literal arguments, joined by `>`. Nothing is evaluated.
"""

import ast
import re
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Final

from atrous.arithmetic.chain import check_chain
from atrous.arithmetic.layer import LayerSpec
from atrous.arithmetic.signatures import LAYERS, Arguments, Value, shortened
from atrous.errors import ExpressionError, ShapeError
from atrous.types import Size

MAX_CHARACTERS: Final = 10_000
MAX_NUMBER: Final = 2**31 - 1

MAX_DEPTH: Final = 10
"""Levels of a syntax tree; an expression that can be read has eight at most."""
_REQUIRED: Final = frozenset({"in_channels", "out_channels", "kernel_size"})
_LAYERS_HINT: Final = "a layer such as Conv2d(3, 16, 3, stride=2), or several joined by >"
_VALUES: Final = "whole numbers, tuples of them, 'same', 'valid', True, False and None"


def parse_expression(text: str) -> tuple[LayerSpec, ...]:
    """The layers that an expression names, first to last.

    Layers are Conv, ConvTranspose, MaxPool and AvgPool in 1d, 2d and 3d, with or without `nn.` or
    `torch.nn.` before; arguments are torch's, by position or by name, as literals. What does not
    alter sizes or counts (`count_include_pad`, `divisor_override`, `return_indices`) is taken and
    has no effect.

    Raises:
        ExpressionError: If the text is anything else; the message quotes the piece.
        ShapeError: If torch would refuse a layer's settings, or neighbours do not fit together.

    Example:
        >>> conv, pool = parse_expression("Conv2d(3, 16, 3, padding='same') > nn.MaxPool2d(2)")
        >>> conv.num_params, pool.expression
        (448, 'MaxPool2d(2)')
        >>> parse_expression("Conv2D(3, 16, 3)")
        Traceback (most recent call last):
        atrous.errors.ExpressionError: No layer is named 'Conv2D'. Did you mean 'Conv2d'? \
Known: Conv1d, Conv2d, Conv3d, ConvTranspose1d, ConvTranspose2d, ConvTranspose3d, MaxPool1d, \
MaxPool2d, MaxPool3d, AvgPool1d, AvgPool2d, AvgPool3d.
    """
    body = _syntax_tree(text)
    if isinstance(body, ast.Compare) and all(isinstance(op, ast.Gt) for op in body.ops):
        nodes = [body.left, *body.comparators]
    else:
        nodes = [body]
    layers = tuple(_layer(node) for node in nodes)
    check_chain(layers)
    return layers


def parse_size(text: str, *, spatial_dims: int) -> Size:
    """A spatial size from `64` (every axis alike), `64x48` or `16x64x64`.

    Raises:
        ExpressionError: If the text is not positive whole numbers joined by `x`.
        ShapeError: If the number of axes is neither one nor `spatial_dims`.

    Example:
        >>> parse_size("64", spatial_dims=2), parse_size("64x48", spatial_dims=2)
        ((64, 64), (64, 48))
    """
    pieces = text.split("x")
    if not all(re.fullmatch(r"0*[1-9][0-9]{0,8}", piece) for piece in pieces):
        raise ExpressionError(
            f"The size {_quoted(text)} is not positive whole numbers joined by x; write it as 64, "
            "64x48 or 16x64x64."
        )
    lengths = tuple(int(piece) for piece in pieces)
    if len(lengths) == 1:
        return lengths * spatial_dims
    if len(lengths) != spatial_dims:
        raise ShapeError(
            f"The size {_quoted(text)} has {len(lengths)} axes, but the layer works on "
            f"{spatial_dims}; give {spatial_dims} lengths, or one for all."
        )
    return lengths


def _syntax_tree(text: str) -> ast.expr:
    if len(text) > MAX_CHARACTERS:
        raise ExpressionError(
            f"The expression {_quoted(text)} has {len(text):,} characters, but at most "
            f"{MAX_CHARACTERS:,} are read; shorten it."
        )
    # Python would take these with a warning, or as another number than meant.
    strange = re.search(r"[^\x20-\x7e\s]|\\|\b[0-9][0-9.]*[A-Za-z_]\w*", text, flags=re.ASCII)
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


def _layer(node: ast.expr) -> LayerSpec:
    if not isinstance(node, ast.Call):
        raise _unreadable(node, "is not a layer")
    name = _layer_name(node.func)
    names, build, spatial_dims = LAYERS[name]
    arguments = _arguments(node, name, names)
    return build(name, arguments, spatial_dims)


def _layer_name(node: ast.expr) -> str:
    match node:
        case ast.Name(id=name):
            pass
        case ast.Attribute(value=ast.Name(id="nn"), attr=name):
            pass
        case ast.Attribute(value=ast.Attribute(value=ast.Name(id="torch"), attr="nn"), attr=name):
            pass
        case _:
            raise _unreadable(node, "is not the name of a layer")
    if name not in LAYERS:
        raise ExpressionError(
            f"No layer is named {_quoted(name)}.{_nearest(name, list(LAYERS))} "
            f"Known: {', '.join(LAYERS)}."
        )
    return name


def _arguments(node: ast.Call, layer: str, names: Sequence[str]) -> Arguments:
    if len(node.args) > len(names):
        raise ExpressionError(
            f"{_quoted(node)} has {len(node.args)} arguments, but {layer} takes at most "
            f"{len(names)}: {', '.join(names)}; leave some out."
        )
    arguments: dict[str, Value] = {}
    for name, argument in zip(names, node.args, strict=False):
        arguments[name] = _value(argument)
    for keyword in node.keywords:
        if keyword.arg is None:
            raise _unreadable(keyword.value, "is unpacked with **")
        if keyword.arg not in names:
            raise ExpressionError(
                f"{layer} has no argument {_quoted(keyword.arg)}."
                f"{_nearest(keyword.arg, names)} It takes: {', '.join(names)}."
            )
        if keyword.arg in arguments:
            raise ExpressionError(
                f"{_quoted(node)} gives {keyword.arg} twice, but it can have one value; "
                "leave one out."
            )
        arguments[keyword.arg] = _value(keyword.value)
    missing = [name for name in names if name in _REQUIRED and name not in arguments]
    if missing:
        raise ExpressionError(
            f"{_quoted(node)} lacks {' and '.join(missing)}, but {layer} needs "
            f"{', '.join(name for name in names if name in _REQUIRED)}; add what is missing."
        )
    return arguments


def _value(node: ast.expr) -> Value:
    match node:
        case ast.Constant(value=bool() | None | str() as value):
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
    return ExpressionError(f"{_quoted(piece)} {what_is_wrong}; write {accepted}.")


def _nearest(name: str, known: Sequence[str]) -> str:
    lowered = {one.lower(): one for one in known}
    close = get_close_matches(name[:100].lower(), list(lowered), n=1)
    return f" Did you mean {lowered[close[0]]!r}?" if close else ""


def _quoted(piece: ast.expr | str) -> str:
    return repr(shortened(piece if isinstance(piece, str) else ast.unparse(piece)))
