"""Tensors of a run that are still alive after it, in places the model cannot be asked about."""

import functools
import gc
import types
from collections.abc import Sequence
from typing import Any
from weakref import ref

from torch import Tensor, nn

from atrous.errors import AtrousError

_CACHE = functools._lru_cache_wrapper
_LEVELS = 3


def check_leaks(made: Sequence[ref[Tensor]], model: nn.Module) -> None:
    """Clear the caches that hold tensors without numbers.

    Args:
        made: Every tensor of the runs; all but those that were kept are gone.
        model: Whose runs they were.

    Raises:
        AtrousError: If one is kept elsewhere than in a cache that can be cleared.
    """
    if not _alive(made):
        return
    gc.collect()
    alive = _alive(made)
    if not alive:
        return
    for cache in _caches_of(alive):
        cache.cache_clear()
    del alive
    alive = _alive(made)
    places = {_place(holder) for holder in _holders(alive)}
    places.discard("")
    if places:
        raise AtrousError(
            f"The forward pass of {type(model).__name__} keeps tensors in {', '.join(places)}, "
            "outside the model, and those of this analysis, which have no numbers, are still "
            "there; empty it before the model is used, or keep them in the model."
        )


def _alive(made: Sequence[ref[Tensor]]) -> list[Tensor]:
    return [
        tensor
        for weak in made
        if (tensor := weak()) is not None and not hasattr(tensor, "_of_model")
    ]


def _holders(tensors: list[Tensor]) -> list[Any]:
    """What refers to some tensors, call frames and lists of this very file aside."""
    return (
        [
            holder
            for holder in gc.get_referrers(*tensors)
            if holder is not tensors and not isinstance(holder, types.FrameType | Tensor)
        ]
        if tensors
        else []
    )


def _caches_of(tensors: list[Tensor]) -> list[Any]:
    """Caches of functions that hold some tensors, directly or in a tuple or list."""
    caches, level = [], list[Any](tensors)
    for _ in range(_LEVELS):
        level = [
            holder
            for holder in gc.get_referrers(*level)
            if holder is not level and not isinstance(holder, types.FrameType | types.ModuleType)
        ]
        caches += [holder for holder in level if isinstance(holder, _CACHE)]
        if caches or not level or len(level) > 1000:
            break
    return caches


def _place(holder: Any) -> str:
    """How a user knows what holds a tensor; empty for what is no container."""
    if isinstance(holder, dict):
        name = holder.get("__name__")
        if isinstance(name, str):
            return f"a global variable of {name}"
        return "a dictionary"
    if isinstance(holder, list | set | tuple):
        return f"a {type(holder).__name__}"
    return ""
