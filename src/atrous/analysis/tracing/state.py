"""What a model keeps, wherever it keeps it: found before a run, put back after it.

A forward pass may write to more than its layers' attributes: to lists in dictionaries, to helper
objects, to attributes of its class, to caches of its module. Every container that can be reached
is copied beforehand and gets its old contents, the same objects in the same order, afterwards.
"""

import functools
import types
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from enum import Enum
from typing import Any

from torch import Tensor, nn

_PLAIN = (type(None), bool, int, float, complex, str, bytes, type, types.ModuleType, Enum)
_CONTAINERS = (dict, list, set, deque, bytearray)
_CLOSED = (Tensor, *_PLAIN)
_NUMBERS = (int, bool, str, float, type(None))
_HELD = (Tensor, tuple)
_FOREIGN = ("torch.fx", "torch._", "torch.jit", "torch.utils", "weakref", "threading", "numpy")
_LARGEST = 100_000  # entries; a data set that a model refers to is no state of its forward pass
_CACHE = functools._lru_cache_wrapper

Swap = Callable[[Tensor], Tensor]


class State:
    """The contents of every container that a model can reach, as found and as staged.

    Args:
        model: The module.
        swap: Gives the tensor to run with, for a tensor that was found.
    """

    def __init__(self, model: nn.Module, swap: Swap) -> None:
        self._found: list[tuple[Any, Any]] = []
        self._names: list[tuple[Any, dict[str, Any], frozenset[str]]] = []
        self._slots: list[tuple[Any, str, Any]] = []
        self._caches: list[Any] = []
        self._sizes: list[int] = []
        self._met: set[int] = set()
        self._scopes: set[int] = set()
        for obj in _reach(model, self._met, self._scopes):
            self._take(obj)
        self._staged = self._found
        self._swap_all(swap)

    def _take(self, obj: Any) -> None:
        if isinstance(obj, _CONTAINERS):
            # Most are dictionaries of hooks that hold nothing, and slow to copy.
            self._found.append((obj, obj.copy() if obj else ()))
        elif isinstance(obj, _CACHE):
            self._caches.append(obj)
            self._sizes.append(obj.cache_info().misses)
        elif isinstance(obj, types.CellType):
            self._slots.append((obj, "cell_contents", obj.cell_contents))
        elif isinstance(obj, _Scope):
            self._names.append((obj.owner, obj.names, obj.known))
        elif isinstance(obj, _Slot):
            self._slots.append((obj.owner, obj.name, obj.value))

    def _swap_all(self, swap: Swap) -> None:
        """Put other tensors in the place of those that were found."""
        staged = []
        for container, contents in self._found:
            changed = _swapped(contents, swap) if contents else contents
            if changed is not contents:
                _fill(container, changed)
            staged.append((container, changed))
        self._staged = staged
        for owner, name, value in self._slots:
            changed = _swapped(value, swap)
            if changed is not value:
                _write(owner, name, changed)

    def rewind(self) -> None:
        """Before another run: everything as the first run found it."""
        self._put_back(self._staged)

    def restore(self) -> None:
        """Everything as it was found."""
        self._put_back(self._found)
        for owner, name, value in self._slots:
            _write(owner, name, value)

    def _put_back(self, contents: list[tuple[Any, Any]]) -> None:
        for container, copy in contents:
            if container or copy:
                _fill(container, copy)
        for owner, names, known in self._names:
            now = vars(owner) if isinstance(owner, type) else owner
            for name in [n for n in now if n not in known and n[:2] != "__"]:
                _unset(owner, name)
            for name, value in names.items():
                if now.get(name) is not value:
                    _set(owner, name, value)
        for cache, misses in zip(self._caches, self._sizes, strict=True):
            if cache.cache_info().misses != misses:
                cache.cache_clear()


class _Scope:
    """Names of a class or of a file that may hold state."""

    def __init__(self, owner: Any, names: dict[str, Any]) -> None:
        self.owner, self.names = owner, names
        self.known = frozenset(vars(owner) if isinstance(owner, type) else owner)


class _Slot:
    """An attribute of an object without a dictionary."""

    def __init__(self, owner: Any, name: str, value: Any) -> None:
        self.owner, self.name, self.value = owner, name, value


def _set(owner: Any, name: str, value: Any) -> None:
    if isinstance(owner, type):
        setattr(owner, name, value)
    else:
        owner[name] = value


def _unset(owner: Any, name: str) -> None:
    if isinstance(owner, type):
        delattr(owner, name)
    else:
        del owner[name]


def _write(owner: Any, name: str, value: Any) -> None:
    """Set a cell or slot, of a frozen object too."""
    if isinstance(owner, types.CellType):
        owner.cell_contents = value
    else:
        object.__setattr__(owner, name, value)


def _fill(container: Any, contents: Any) -> None:
    container.clear()
    if isinstance(container, list | deque | bytearray):
        container.extend(contents)
    else:
        container.update(contents)


def _swapped(value: Any, swap: Swap) -> Any:
    """A value with other tensors in it; the value itself if it holds none directly."""
    if isinstance(value, Tensor):
        return swap(value)
    if type(value) in _NUMBERS:
        return value
    if isinstance(value, dict):
        changed = {
            key: new
            for key, old in value.items()
            if isinstance(old, _HELD) and (new := _inner(old, swap)) is not old
        }
        if not changed:
            return value
        copy = value.copy()
        copy.update(changed)
        return copy
    if isinstance(value, list | tuple | deque | set):
        items = [_inner(item, swap) for item in value]
        if all(a is b for a, b in zip(items, value, strict=True)):
            return value
        if isinstance(value, deque):
            return deque(items, value.maxlen)
        return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
    return value


def _inner(value: Any, swap: Swap) -> Any:
    """Of what a container holds, tensors and tuples; other containers have their own turn."""
    if isinstance(value, Tensor):
        return swap(value)
    return _swapped(value, swap) if isinstance(value, tuple) else value


def _is_state(value: Any) -> bool:
    """Whether a global or class attribute may be something that a run keeps."""
    return value is None or isinstance(value, (Tensor, int, float, *_CONTAINERS))


def _reach(model: Any, met: set[int], scopes: set[int]) -> Iterator[Any]:
    """Every container, cell, cache and slot that can be reached from a model."""
    stack: list[Any] = [model]
    while stack:
        obj = stack.pop()
        kind = type(obj)
        if kind in _NUMBERS or id(obj) in met or isinstance(obj, _CLOSED):
            continue
        met.add(id(obj))
        if (kind is OrderedDict or kind is dict) and not obj:  # most are of hooks, and empty
            yield obj
            continue
        if isinstance(obj, _CONTAINERS):
            if len(obj) > _LARGEST:
                continue
            yield obj
            stack += obj.values() if isinstance(obj, dict) else obj if obj else ()
        elif isinstance(obj, tuple):
            stack += obj
        elif isinstance(obj, _CACHE):
            yield obj
        elif isinstance(obj, types.FunctionType):
            stack.append(vars(obj))
            for cell in obj.__closure__ or ():
                if _has_contents(cell):
                    yield cell
                    stack.append(cell.cell_contents)
            yield from _globals_of(obj, scopes)
        elif isinstance(obj, types.MethodType):
            stack += (obj.__self__, obj.__func__)
        elif isinstance(obj, functools.partial):
            stack += (obj.func, obj.args, obj.keywords)
        elif not kind.__module__.startswith(_FOREIGN) or isinstance(obj, nn.Module):
            yield from _attributes(obj, stack, met, scopes)


def _has_contents(cell: types.CellType) -> bool:
    try:
        return cell.cell_contents is not cell
    except ValueError:  # a name that is not bound yet
        return False


def _attributes(obj: Any, stack: list[Any], met: set[int], scopes: set[int]) -> Iterator[Any]:
    """The dictionary and slots of an object, and what its classes hold."""
    attributes = getattr(obj, "__dict__", None)
    if isinstance(attributes, dict):
        stack.append(attributes)
    for cls in type(obj).__mro__:
        if id(cls) in scopes and not hasattr(cls, "__slots__"):
            continue
        for name in _slots(cls):
            if hasattr(obj, name):
                yield _Slot(obj, name, getattr(obj, name))
                stack.append(getattr(obj, name))
        yield from _class_state(cls, met, scopes)


def _slots(cls: type) -> tuple[str, ...]:
    names = cls.__dict__.get("__slots__", ())
    names = (names,) if isinstance(names, str) else tuple(names)
    return tuple(n for n in names if n not in ("__dict__", "__weakref__") and n[:2] != "__")


def _class_state(cls: type, met: set[int], scopes: set[int]) -> Iterator[Any]:
    """What a class of the user's holds in itself and in the file of its methods."""
    if id(cls) in scopes:
        return
    scopes.add(id(cls))
    if cls.__module__.partition(".")[0] in ("torch", "builtins", "collections", "typing", "abc"):
        return
    names = {n: v for n, v in vars(cls).items() if n[:2] != "__" and _is_state(v)}
    yield _Scope(cls, names)
    for value in names.values():
        yield from _shallow(value)
    for value in list(vars(cls).values()):
        function = getattr(value, "__func__", value)
        if isinstance(function, _CACHE):
            yield function
        function = getattr(function, "__wrapped__", function)
        if isinstance(function, types.FunctionType):
            yield from _reach(function, met, scopes)


def _globals_of(function: types.FunctionType, scopes: set[int]) -> Iterator[Any]:
    """Caches and variables of the file that a function is written in."""
    names = function.__globals__
    if id(names) in scopes:
        return
    scopes.add(id(names))
    if str(names.get("__name__", "")).partition(".")[0] == "torch":
        return
    state = {n: v for n, v in names.items() if n[:2] != "__" and _is_state(v)}
    yield _Scope(names, state)
    for value in state.values():
        yield from _shallow(value)
    for value in list(names.values()):
        if isinstance(value, _CACHE):
            yield value


def _shallow(value: Any) -> Iterator[Any]:
    """A container of a class or file and those in it; what lies deeper is the leak check's."""
    if isinstance(value, _CONTAINERS):
        yield value
        for item in value.values() if isinstance(value, dict) else value:
            if isinstance(item, _CONTAINERS):
                yield item
