"""Whether a model is as it was: bits, references, and no tensor without numbers in reach."""

import gc
import hashlib
import types
from collections import deque
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor
from torch.nn.parameter import is_lazy

_PLAIN = (int, float, complex, str, bytes, bool, type(None), torch.dtype, torch.device)


def snapshot(model: nn.Module) -> dict[str, str]:
    """Everything in reach of a model by path: identity, kind and content of each."""
    found: dict[str, str] = {}
    met: set[int] = set()
    stack: list[tuple[str, Any]] = [("model", model)]
    while stack:
        path, value = stack.pop()
        found[path] = _describe(value)
        if id(value) not in met:
            met.add(id(value))
            stack += [(path + name, item) for name, item in _inside(value)]
    return found


def differences(before: dict[str, str], after: dict[str, str]) -> list[str]:
    """Paths that came, went or changed, each with what is there now."""
    changed = []
    for path in sorted(before.keys() | after.keys()):
        if path not in after:
            changed.append(f"{path} is gone")
        elif path not in before:
            changed.append(f"{path} is new: {after[path].partition(' ')[2]}")
        elif before[path] != after[path]:
            changed.append(f"{path} is now {after[path].partition(' ')[2]}")
    return changed


def _describe(value: Any) -> str:
    if isinstance(value, FakeTensor):
        return f"{id(value)} FakeTensor"
    if is_lazy(value):
        return f"{id(value)} {type(value).__name__}"
    if isinstance(value, Tensor):
        flags = f"{value.requires_grad} {value.is_leaf} {type(value).__name__}"
        bits = hashlib.sha1(_bits(value), usedforsecurity=False).hexdigest()[:12]
        return f"{id(value)} tensor {tuple(value.shape)} {flags} {bits}"
    if isinstance(value, _PLAIN):
        return f"- {value!r}"
    return f"{id(value)} {type(value).__name__}"


def _bits(tensor: Tensor) -> bytes:
    if tensor.device.type == "meta":
        return b"meta"
    return tensor.detach().contiguous().view(-1).view(torch.uint8).numpy().tobytes()


def _inside(value: Any) -> Iterator[tuple[str, Any]]:
    """What a value holds: items, attributes, attributes of its class, cells of a function."""
    if isinstance(value, dict):
        yield from ((f"[{key!r}]", item) for key, item in value.items())
    elif isinstance(value, list | tuple | deque):
        yield from ((f"[{position}]", item) for position, item in enumerate(value))
    elif isinstance(value, types.FunctionType):
        cells = value.__closure__ or ()
        for name, cell in zip(value.__code__.co_freevars, cells, strict=True):
            yield f".{name}", cell.cell_contents
    elif isinstance(value, types.MethodType):
        yield "()", value.__func__
    elif hasattr(value, "cache_info"):  # a memo keeps its results where only the collector looks
        yield from ((f"<{i}>", item) for i, item in enumerate(_cached(value)))
    elif type(value).__module__ == "torch._ops":
        return  # torch's own ops look their attributes up when they are first asked
    elif not isinstance(value, (Tensor, types.ModuleType, type, set, frozenset, *_PLAIN)):
        yield from ((f".{name}", item) for name, item in getattr(value, "__dict__", {}).items())
        if type(value).__module__.startswith("tests."):
            yield from (
                (f".__class__.{name}", item)
                for name, item in vars(type(value)).items()
                if isinstance(item, Tensor | list | dict | deque | types.FunctionType)
            )


def _cached(memo: Any) -> list[Tensor]:
    return [
        t
        for entry in gc.get_referents(memo)
        if isinstance(entry, dict)
        for value in entry.values()
        for t in (value, *gc.get_referents(value))
        if isinstance(t, Tensor)
    ]
