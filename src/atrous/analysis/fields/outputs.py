"""Tensors in whatever a layer or a model returns, and what to call them."""

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from torch import Tensor, nn
from torch.utils import _pytree as pytree

_DEEPEST = 6
_CLOSED = (str, bytes, int, float, nn.Module, type)


def named_tensors(name: str, value: Any, depth: int = 0) -> Iterator[tuple[str, Tensor]]:
    """Tensors in what a layer returned, named `layer`, `layer[key]` or `layer.attribute`.

    Looked into are mappings, lists and tuples, types that are registered as pytrees, dataclasses,
    and the attributes of any other object.
    """
    if isinstance(value, Tensor):
        yield name, value
    elif (
        value is None
        or isinstance(value, str | bytes | int | float | nn.Module | type)
        or depth > _DEEPEST
    ):
        return
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from named_tensors(f"{name}[{key}]", item, depth + 1)
    elif isinstance(value, list | tuple | set | frozenset):
        for position, item in enumerate(value):
            yield from named_tensors(f"{name}[{position}]", item, depth + 1)
    elif type(value) in pytree.SUPPORTED_NODES:
        children, _ = pytree.SUPPORTED_NODES[type(value)].flatten_fn(value)
        for position, item in enumerate(children):
            yield from named_tensors(f"{name}[{position}]", item, depth + 1)
    elif is_dataclass(value):
        for place in fields(value):
            item = getattr(value, place.name, None)
            yield from named_tensors(f"{name}.{place.name}", item, depth + 1)
    elif not type(value).__module__.startswith(("torch.", "builtins", "numpy")):
        for key, item in _attributes(value):
            yield from named_tensors(f"{name}.{key}", item, depth + 1)


def _attributes(value: Any) -> Iterator[tuple[str, Any]]:
    yield from getattr(value, "__dict__", {}).items()
    for cls in type(value).__mro__:
        slots = cls.__dict__.get("__slots__", ())
        for key in (slots,) if isinstance(slots, str) else slots:
            if key not in ("__dict__", "__weakref__") and hasattr(value, key):
                yield key, getattr(value, key)
