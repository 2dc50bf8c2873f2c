"""Read a published torch checkpoint without running what may be hidden in it."""

import _codecs
import pickle
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch
from torch import Tensor

from atrous.errors import DataError, UnknownNameError

_CONTAINERS: Final = (
    *("state_dict", "model_state_dict", "model", "net", "network", "module", "weights", "params"),
    *("state_dict_ema", "model_ema", "ema", "ema_state_dict", "ema_model", "params_ema"),
)
"""Names under which trainings keep a state dict, in the order in which they are looked for; those
of moving averages come last."""

_WRAPPERS: Final = ("module.", "_orig_mod.", "model.", "net.", "network.", "ema.")
"""What wrappers put in front of every name: data parallel, torch.compile, Lightning and so on."""

_MAX_WRAPPERS: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """What a torch checkpoint holds.

    Attributes:
        state: Tensors by name.
        key: Under which name they were kept; empty where they are all there is.
        others: Names of other state dicts beside them, such as a moving average's.
    """

    state: dict[str, Tensor]
    key: str
    others: tuple[str, ...]


def read_checkpoint(path: Path, *, key: str | None = None) -> Checkpoint:
    """The state dict that a `.pth` file holds, on the CPU.

    A dict that keeps it under `state_dict` or a like name is opened. Optimisers, counters and
    numbers of numpy beside it are left out.

    Args:
        path: The file.
        key: Name that the state dict is kept under; None for the first known one.

    Raises:
        DataError: If the file is missing, no checkpoint, or holds no tensors there; code in a
            pickle is refused, not run.
        UnknownNameError: If there is no such key.
    """
    if not path.is_file():
        found = "a folder" if path.is_dir() else "nothing"
        raise DataError(f"{path}: found {found}, expected a torch checkpoint; check the path.")
    try:
        with warnings.catch_warnings(), torch.serialization.safe_globals(_numpy_numbers()):
            # torch warns of pickles newer than its own, just before it refuses them.
            warnings.simplefilter("ignore", UserWarning)
            loaded = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if "Unsupported" in str(error) or "GLOBAL" in str(error):
            raise DataError(
                f"{path} holds Python objects that only running its code could restore, which was "
                f"refused; expected tensors only: ask for a state dict."
            ) from error
        raise DataError(
            f"{path} is not a torch checkpoint; expected a .pth file of tensors."
        ) from error
    except Exception as error:  # torch's unpickler raises nearly anything on cut or altered bytes
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(
            f"{path} is not a whole torch checkpoint ({reason}); fetch it again."
        ) from error
    return _state_dict(path, loaded, key)


def unwrapped(state: Mapping[str, Tensor]) -> Iterator[dict[str, Tensor]]:
    """The tensors by their names, and without one after the other of the prefixes of wrappers.

    What lies beside the wrapped network, such as a loss's weights or a counter of averages, is left
    out with the prefix.

    Example:
        >>> [list(tensors) for tensors in unwrapped({"module.net.a": torch.ones(1)})]
        [['module.net.a'], ['net.a'], ['a']]
    """
    plain = dict(state)
    yield plain
    for _ in range(_MAX_WRAPPERS):
        counts = {p: sum(key.startswith(p) for key in plain) for p in _WRAPPERS}
        prefix = max(counts, key=lambda p: counts[p])
        if 2 * counts[prefix] <= len(plain):
            return
        plain = {
            key.removeprefix(prefix): tensor
            for key, tensor in plain.items()
            if key.startswith(prefix)
        }
        yield plain


def _numpy_numbers() -> list[Callable[..., object] | tuple[Callable[..., object], str]]:
    """What rebuilds a number of numpy: torch may call these, and nothing else of numpy."""
    scalar = np.float64(0).__reduce__()[0]
    assert callable(scalar)
    kinds = {
        type(np.dtype(kind)) for kind in (np.float64, np.float32, np.int64, np.int32, np.bool_)
    }
    names = ("numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar")
    return [*((scalar, name) for name in names), np.dtype, *kinds, _codecs.encode]


def _state_dict(path: Path, loaded: object, key: str | None) -> Checkpoint:
    found = ""
    others: tuple[str, ...] = ()
    if key is not None:
        if not isinstance(loaded, Mapping) or key not in loaded:
            known = map(str, loaded) if isinstance(loaded, Mapping) else ()
            raise UnknownNameError(f"part of {path}", key, known)
        loaded, found = loaded[key], key
    while isinstance(loaded, Mapping) and not any(isinstance(v, Tensor) for v in loaded.values()):
        names = [name for name in _CONTAINERS if isinstance(loaded.get(name), Mapping)]
        if not names:
            break
        loaded, found, others = loaded[names[0]], names[0], (*others, *names[1:])
    tensors = _tensors(loaded)
    if not tensors:
        raise DataError(
            f"{path} holds {_describe(loaded)}, expected a state dict: names and their tensors."
        )
    return Checkpoint(state=tensors, key=found, others=others)


def _tensors(loaded: object) -> dict[str, Tensor]:
    """The tensors of a dict, whose other values may be plain numbers; else nothing."""
    if not isinstance(loaded, Mapping):
        return {}
    plain = (Tensor, int, float, str, bool, np.generic, type(None))
    if not all(isinstance(k, str) and isinstance(v, plain) for k, v in loaded.items()):
        return {}
    return {name: value for name, value in loaded.items() if isinstance(value, Tensor)}


def _describe(loaded: object) -> str:
    if isinstance(loaded, Mapping):
        return f"a dict with keys {[str(key) for key in list(loaded)[:4]]}"
    return f"a {type(loaded).__name__}"
