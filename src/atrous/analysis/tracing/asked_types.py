"""Code that asks for the very class of a tensor: `type(x) is torch.Tensor`, `type(w) is Parameter`.

The tensors of an analysis are of a subclass, so such code would take another branch than it does on
real ones. Its files get a `type` that answers as for real tensors, while the model is looked at.
"""

import builtins
import dis
import functools
import types
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor

from atrous.errors import AtrousError

_COMPARISONS: Final = frozenset(["IS_OP", "COMPARE_OP", "CONTAINS_OP"])
_NAMES: Final = frozenset(["Tensor", "Parameter", "Buffer"])
_OTHERS: Final = ("torch", "builtins", "atrous", "numpy")

_WRAPPERS: Final = (staticmethod, classmethod, functools.partial, functools._lru_cache_wrapper)
_CODE: Final = frozenset([types.FunctionType, types.MethodType, *_WRAPPERS])

_answers: dict[int, tuple[types.CodeType, bool, int]] = {}


class _AnswersForReal(type):
    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        if len(args) == 1 and builtins.type(args[0]) is FakeTensor:
            return nn.Parameter if isinstance(args[0], nn.Parameter) else Tensor
        return builtins.type(*args, **kwargs)

    def __getitem__(cls, item: Any) -> Any:
        return builtins.type[item]

    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, builtins.type)

    def __subclasscheck__(cls, subclass: Any) -> bool:
        return issubclass(subclass, builtins.type)


class _Type(metaclass=_AnswersForReal):
    """In place of `type` in the files that ask."""


@contextmanager
def answering_for_real(model: nn.Module) -> Iterator[None]:
    """Have the files of a model's code told the class that a real tensor would have.

    Raises:
        AtrousError: If code asks in a way that cannot be answered so.
    """
    changed: list[dict[str, Any]] = []
    try:
        for function in _functions(model):
            _, asks, line = _asked(function)
            if line:
                raise AtrousError(
                    f"{Path(function.__code__.co_filename).name}:{line} compares the `__class__` "
                    "of a tensor, which is another one in an analysis; write isinstance(…, "
                    "torch.Tensor), or type(…)."
                )
            if asks and "type" not in function.__globals__:
                function.__globals__["type"] = _Type
                changed.append(function.__globals__)
        yield
    finally:
        for names in changed:
            names.pop("type", None)


def _functions(model: nn.Module) -> Iterator[types.FunctionType]:
    """Functions of a model's classes and objects, and those of the user's that they name."""
    met: set[int] = set()
    modules = list(model.modules())
    stack: list[Any] = list({type(module) for module in modules})
    for module in modules:
        stack += [value for value in module.__dict__.values() if type(value) in _CODE]
    while stack:
        item = stack.pop()
        while isinstance(item, _WRAPPERS):
            item = getattr(item, "func", None) or getattr(item, "__wrapped__", None)
        if isinstance(item, types.MethodType):
            item = item.__func__
        if id(item) in met:
            continue
        met.add(id(item))
        if isinstance(item, type):
            if not _is_others(item.__module__):
                stack += [*item.__bases__, *vars(item).values()]
        elif isinstance(item, property):
            stack += [item.fget]
        elif isinstance(item, types.FunctionType):
            if _is_others(str(item.__globals__.get("__name__", ""))):
                continue
            yield item
            stack += [cell.cell_contents for cell in item.__closure__ or () if _has_contents(cell)]
            for code in _codes(item.__code__):
                stack += [item.__globals__[n] for n in code.co_names if n in item.__globals__]


def _has_contents(cell: types.CellType) -> bool:
    try:
        return callable(cell.cell_contents)
    except ValueError:  # a name that is not bound yet
        return False


def _is_others(module: str) -> bool:
    return module.partition(".")[0] in _OTHERS


def _codes(code: types.CodeType) -> Iterator[types.CodeType]:
    """Code of a function, and of those written inside it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _codes(constant)


def _asked(function: types.FunctionType) -> tuple[types.CodeType, bool, int]:
    """Whether code calls `type`, and the line in which it compares `__class__`, or 0."""
    code = function.__code__
    known = _answers.get(id(code))
    if known is None or known[0] is not code:
        parts = list(_codes(code))
        asks = any("type" in part.co_names for part in parts)
        lines = (_compared(part, function.__globals__) for part in parts)
        known = _answers[id(code)] = code, asks, next(filter(None, lines), 0)
    return known


def _compared(code: types.CodeType, names: dict[str, Any]) -> int:
    """The first line that compares a `__class__` with that of tensors; 0 if none does."""
    if "__class__" not in code.co_names:
        return 0
    near: list[Any] = []
    line = code.co_firstlineno
    for step in dis.get_instructions(code):
        line = step.starts_line or line
        if step.opname not in _COMPARISONS:
            near.append(step.argval)
        elif "__class__" in near and any(_is_tensor_class(value, names) for value in near):
            return line
        else:
            near.clear()
    return 0


def _is_tensor_class(value: Any, names: dict[str, Any]) -> bool:
    """Whether an instruction loads the class of tensors, under whatever name."""
    if isinstance(value, frozenset | tuple):
        return any(_is_tensor_class(item, names) for item in value)
    if not isinstance(value, str):
        return False
    meant = names.get(value)
    meant = meant if isinstance(meant, tuple | list | set | dict | frozenset) else [meant]
    return value in _NAMES or any(item is Tensor or item is nn.Parameter for item in meant)
