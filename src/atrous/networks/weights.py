"""Weights in one file with their card: save and load."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from atrous._files import write_atomically
from atrous.errors import AtrousError, DataError, ShapeError
from atrous.networks.budget import size_limit
from atrous.networks.card import Card
from atrous.networks.catalog import build_network

METADATA_KEY = "atrous"
"""Where in the file's metadata the card lies."""
DIGEST_KEY = "atrous_sha256"
"""Where the checksum of the tensors lies; files of earlier versions have none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """A built network in eval mode and the card it came with."""

    network: nn.Module
    card: Card


def save_weights(
    path: Path | str, network: nn.Module, card: Card, *, is_half: bool = False
) -> None:
    """Write a network's tensors and card as one safetensors file, whole or not at all.

    Args:
        path: The file.
        network: The one that the card describes.
        card: Goes into the file.
        is_half: Keep kernels, but no biases and statistics, as float16: half the size, and they
            are float32 again when they are loaded.

    Raises:
        DataError: If the network is not the one that the card describes, or the file cannot be
            written.
    """
    path = Path(path)
    state = {key: tensor.detach().cpu() for key, tensor in network.state_dict().items()}
    _fill(build_network(card.network, card.arguments), state, card, path)
    contiguous = {
        key: (tensor.half() if is_half and _is_kernel(tensor) else tensor).contiguous()
        for key, tensor in state.items()
    }
    metadata = {METADATA_KEY: card.to_json(), DIGEST_KEY: _digest(contiguous)}
    with write_atomically(path) as file:
        file.write(_sorted_metadata(save(contiguous, metadata=metadata)))


def _sorted_metadata(content: bytes) -> bytes:
    """A safetensors file with its metadata in the order of their keys, so that equal is equal.

    The library writes them in another order each time. Tensors count from the end of the header,
    so that they stay where they are whatever its length.
    """
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + content[8 + length :]


def misfits(given: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> list[str]:
    """In what some tensors are not those that a network wants, a few words each, sorted."""
    return sorted(
        [
            *(f"{name} is missing" for name in wanted.keys() - given.keys()),
            *(f"{name} is not wanted" for name in given.keys() - wanted.keys()),
            *(
                f"{name} is {tuple(given[name].shape)}, expected {tuple(wanted[name].shape)}"
                for name in wanted.keys() & given.keys()
                if given[name].shape != wanted[name].shape
            ),
        ]
    )


def load_weights(path: Path | str) -> Weights:
    """Read a file that `save_weights` wrote.

    Raises:
        DataError: If the file is missing, of another kind, without a card, does not fit it, or
            holds numbers that are not finite.
    """
    path = Path(path)
    if not path.is_file():
        found = "a folder" if path.is_dir() else "nothing"
        raise DataError(f"{path}: found {found}, expected a .safetensors file; check the path.")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            if METADATA_KEY not in metadata:
                raise DataError(
                    f"{path} holds tensors but no card, so neither its network nor its "
                    f"preprocessing is known; expected a file written by `atrous convert` or "
                    f"`save_weights`: convert the original checkpoint."
                )
            card = _card(path, metadata[METADATA_KEY])
            state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - no mapping
    except (SafetensorError, OSError) as error:
        raise DataError(f"{path} {_what_it_is(path, error)}") from error
    if metadata.get(DIGEST_KEY, "") not in ("", _digest(state)):
        raise DataError(
            f"{path}: its tensors are not those that were written, by the checksum beside its "
            "card; expected an unaltered file; copy or convert it again."
        )
    wrong = next((key for key, tensor in state.items() if not tensor.isfinite().all()), None)
    if wrong is not None:
        raise DataError(
            f"{path}: tensor {wrong!r} holds NaN or infinity; expected finite numbers; fetch or "
            "convert the file again."
        )
    num_values = sum(tensor.numel() for tensor in state.values())
    try:
        with size_limit(num_tensors=len(state), num_values=num_values):
            network = build_network(card.network, card.arguments)
    except AtrousError as error:
        raise type(error)(f"{path}: {error}") if type(error) in _PLAIN else error from error
    _fill(network, state, card, path)
    return Weights(network=network.eval(), card=card)


_PLAIN: Final = (DataError, ShapeError)
"""Errors that are made from their text alone."""


def _card(path: Path, text: str) -> Card:
    try:
        return Card.from_json(text)
    except DataError as error:
        raise DataError(f"{path}: {error}") from error


def _digest(tensors: Mapping[str, torch.Tensor]) -> str:
    """SHA-256 of names, types, shapes and bytes."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)} ".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _is_kernel(tensor: torch.Tensor) -> bool:
    return tensor.is_floating_point() and tensor.ndim > 1


def _fill(network: nn.Module, state: dict[str, torch.Tensor], card: Card, path: Path) -> None:
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        first = str(error).splitlines()[1].strip() if "\n" in str(error) else str(error)
        raise DataError(
            f"{path}: the tensors do not fit {card.network} with {dict(card.arguments)}, which the "
            f"card names ({first}); convert the original checkpoint again."
        ) from error


def _what_it_is(path: Path, error: Exception) -> str:
    """Why a file cannot be read as safetensors, in the words of what it seems to be."""
    try:
        with path.open("rb") as file:
            start = file.read(4)
    except OSError as fault:
        return f"cannot be read: {fault.strerror}; check its permissions."
    if start[:2] == b"PK" or start[:1] == b"\x80":
        return (
            "is a torch checkpoint, not a file with a card; convert it first: "
            f"atrous convert {path} --to {path.with_suffix('.safetensors').name}"
        )
    return f"is not a whole safetensors file ({error}); fetch or convert it again."
