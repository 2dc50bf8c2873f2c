"""Everything that a training must remember to go on as if it had never stopped.

Checkpoints are whole or absent: written under no name, synced, named. The last two are kept; one
that cannot be read is passed over for the one before it. They are torch files of plain tensors and
values, read with `weights_only=True`, and are for resuming only: weights to use are safetensors.
"""

import hashlib
import io
import logging
import random
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from atrous._files import write_atomically
from atrous.errors import DataError

logger = logging.getLogger(__name__)

FORMAT: Final = 1
NUM_KEPT: Final = 2
_NAME: Final = "checkpoint-{step:08d}.pt"
_DIGEST: Final = "archive/atrous_sha256"
"""Member of the archive with the SHA-256 of all others."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a checkpoint file holds.

    Attributes:
        step: Steps that were done.
        state: Tensors and plain values by name.
        path: The file.
    """

    step: int
    state: Mapping[str, Any]
    path: Path


def save_checkpoint(folder: Path, step: int, state: Mapping[str, Any]) -> Path:
    """Write a checkpoint, then remove all but the newest two.

    Raises:
        DataError: If it cannot be written; older ones are whole still.
    """
    buffer = io.BytesIO()
    torch.save({"format": FORMAT, "step": step, "state": dict(state)}, buffer)
    with zipfile.ZipFile(buffer) as archive:
        digest = _digest(archive)
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.writestr(_DIGEST, digest)
    path = folder / _NAME.format(step=step)
    with write_atomically(path) as file:
        file.write(buffer.getbuffer())
    for old in _checkpoints(folder)[NUM_KEPT:]:
        old.unlink(missing_ok=True)
    return path


def whole_checkpoints(folder: Path) -> Iterator[Checkpoint]:
    """The checkpoints of a folder, newest first, for a caller that stops at the one it can use.

    What is broken, or was given and not used, is set aside under another name, with a warning.

    Raises:
        DataError: If there are checkpoints, and none is left.
    """
    paths = _checkpoints(folder)
    for path in paths:
        found = _read(path)
        if found is not None:
            yield found
        with suppress(FileNotFoundError):  # another process has done it
            path.replace(path.with_name(f"{path.name}.damaged"))
        logger.warning("note: %s is not whole, and is set aside as %s.damaged", path, path.name)
    if paths:
        raise DataError(
            f"{folder} held {len(paths)} checkpoints, and none is whole; start anew with "
            "--overwrite."
        )


def random_states() -> dict[str, Any]:
    """The states of Python's, numpy's and torch's random numbers, as plain values."""
    # The global generator is what must go on, whoever uses it.
    kind, keys, position, has_gauss, cached = np.random.get_state(legacy=True)  # noqa: NPY002
    assert isinstance(keys, np.ndarray)  # as `legacy` promises
    version, internal, gauss = random.getstate()
    states: dict[str, Any] = {
        "python": (version, list(internal), gauss),
        "numpy": (kind, torch.from_numpy(keys.copy()), position, has_gauss, cached),
        "torch": torch.get_rng_state(),
    }
    if torch.cuda.is_available():
        states["cuda"] = torch.cuda.get_rng_state_all()
    return states


def restore_random_states(states: Mapping[str, Any]) -> None:
    """Let all random numbers go on from where `random_states` found them."""
    version, internal, gauss = states["python"]
    random.setstate((version, tuple(internal), gauss))
    kind, keys, position, has_gauss, cached = states["numpy"]
    np.random.set_state((kind, keys.numpy(), position, has_gauss, cached))  # noqa: NPY002
    torch.set_rng_state(states["torch"])
    if "cuda" in states and torch.cuda.is_available():
        torch.cuda.set_rng_state_all(states["cuda"])


def _checkpoints(folder: Path) -> list[Path]:
    """Newest first."""
    return sorted(folder.glob("checkpoint-*.pt"), reverse=True)


def _read(path: Path) -> Checkpoint | None:
    """None if the file is cut off or altered: every part carries a checksum, and so does all."""
    try:
        with zipfile.ZipFile(path) as archive:
            if archive.testzip() is not None:
                return None
            is_marked = _DIGEST in archive.namelist()  # those of earlier versions are not
            if is_marked and archive.read(_DIGEST).decode() != _digest(archive):
                return None
        content = torch.load(path, map_location="cpu", weights_only=True)
        version, step, state = content["format"], content["step"], content["state"]
    except Exception:  # torch's unpickler raises nearly anything on altered bytes
        return None
    if version != FORMAT:
        raise DataError(
            f"{path} has format {version}, this atrous reads {FORMAT}; resume with the version "
            "that wrote it."
        )
    if type(step) is not int or step < 0 or not isinstance(state, dict):
        return None
    return Checkpoint(step, state, path)


def _digest(archive: zipfile.ZipFile) -> str:
    digest = hashlib.sha256()
    for name in sorted(archive.namelist()):
        if name != _DIGEST:
            digest.update(f"{name} {archive.getinfo(name).file_size} ".encode())
            digest.update(archive.read(name))
    return digest.hexdigest()
