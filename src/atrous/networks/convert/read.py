"""Read a published torch checkpoint without running what may be hidden in it."""

import pickle
import warnings
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from atrous.errors import DataError

_CONTAINERS = ("state_dict", "model_state_dict", "model", "net")


def read_checkpoint(path: Path) -> dict[str, Tensor]:
    """The state dict that a `.pth` file holds, on the CPU.

    A dict that keeps it under `state_dict` or a like name is opened, and the `module.` in front of
    every key that DataParallel leaves is taken off.

    Raises:
        DataError: If the file is missing, no checkpoint, or holds anything but tensors; code in a
            pickle is refused, not run.
    """
    if not path.is_file():
        found = "a folder" if path.is_dir() else "nothing"
        raise DataError(f"{path}: found {found}, expected a torch checkpoint; check the path.")
    try:
        with warnings.catch_warnings():
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
    return _state_dict(path, loaded)


def _state_dict(path: Path, loaded: object) -> dict[str, Tensor]:
    if isinstance(loaded, Mapping):
        for name in _CONTAINERS:
            if isinstance(loaded.get(name), Mapping):
                loaded = loaded[name]
                break
    if (
        not isinstance(loaded, Mapping)
        or not loaded
        or not all(isinstance(k, str) and isinstance(v, Tensor) for k, v in loaded.items())
    ):
        raise DataError(
            f"{path} holds {_describe(loaded)}, expected a state dict: names and their tensors."
        )
    prefix = "module."
    if all(key.startswith(prefix) for key in loaded):
        return {key[len(prefix) :]: tensor for key, tensor in loaded.items()}
    return dict(loaded)


def _describe(loaded: object) -> str:
    if isinstance(loaded, Mapping):
        return f"a dict with keys {[str(key) for key in list(loaded)[:4]]}"
    return f"a {type(loaded).__name__}"
