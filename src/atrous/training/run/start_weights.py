"""What a network starts from: trained weights, all of them or those that fit."""

import hashlib
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import torch
from torch import Tensor, nn

from atrous.errors import DataError
from atrous.networks.card import Card
from atrous.networks.convert.inflate import inflate
from atrous.networks.shipped import resolve_weights
from atrous.networks.weights import load_weights, misfits
from atrous.training.recipe.recipe import Recipe
from atrous.training.run.folder import RunFolder

logger = logging.getLogger(__name__)

_WRAPPER = "segmenter."
"""Joint networks keep under this name what a segmenter alone keeps without it."""

_ENOUGH: Final = 0.5
"""Share of an encoder's numbers under which a start is no start from those weights."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """Weights that a training starts from.

    Attributes:
        path: Their file; gone perhaps, once a checkpoint holds them.
        sha256: Of the file.
        card: Theirs.
    """

    path: Path
    sha256: str
    card: Card

    def to_json(self) -> dict[str, object]:
        """Plain values, for `run.json`."""
        card = json.loads(self.card.to_json())
        return {"path": str(self.path), "sha256": self.sha256, "card": card}


def read_start(recipe: Recipe, folder: RunFolder | None) -> Start | None:
    """The weights that a recipe names; of a run that goes on what it remembers of them.

    Args:
        recipe: The recipe.
        folder: Of a run that has a checkpoint; None of a new one.

    Raises:
        DataError: If the file cannot be read, or the run began with other weights.
    """
    kept = None if folder is None else folder.read_facts().get("start")
    path = None if recipe.weights is None else resolve_weights(recipe.weights)
    if isinstance(kept, dict):
        if path is None or (path.is_file() and sha256_of(path) != kept["sha256"]):
            raise DataError(
                f"weights is {recipe.weights!r}, but the run began with {kept['path']} of other "
                "bytes; expected those, or nothing in their place; start anew with --overwrite."
            )
        card = Card.from_json(json.dumps(kept["card"]))
        return Start(path=Path(kept["path"]), sha256=kept["sha256"], card=card)
    if path is None:
        return None
    if folder is not None:
        raise DataError(
            f"weights is {recipe.weights!r}, but the run began with none; leave it out, or start "
            "anew with --overwrite."
        )
    return Start(path=path, card=load_weights(path).card, sha256=sha256_of(path))


def sha256_of(path: Path) -> str:
    """The hash of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def start_from(network: nn.Module, start: Start, recipe: Recipe) -> tuple[str, ...]:
    """Give a network the tensors of a weights file, by name, and say how much that was.

    Args:
        network: Changed in place.
        start: A file that `save_weights` wrote.
        recipe: Of which `replace_head` takes what fits by name and shape and leaves the rest of the
            network as it is; `inflate` makes kernels of images kernels of volumes first.

    Returns:
        Names of the network's tensors that start anew.

    Raises:
        DataError: If the file cannot be read; if a tensor does not fit, without `replace_head`; if
            less than half of the encoder fits with it, unless `allow_partial`.
    """
    path = start.path
    given = load_weights(path).network.state_dict()
    wanted = network.state_dict()
    if recipe.inflate != "none":
        given = _inflated(given, network, filling=recipe.inflate)
    if not recipe.replace_head and (wrong := misfits(given, wanted)):
        raise DataError(
            f"{path} does not fit the recipe's network: {wrong[0]}, and "
            f"{len(wrong) - 1} more; set replace_head = true to take what fits."
        )
    fitting = _by_name(given, wanted) if recipe.replace_head else given
    taken = Taken.of(network, fitting)
    if taken.share_of_encoder < _ENOUGH and not recipe.allow_partial:
        raise DataError(
            f"{path}: {taken}; expected at least half of the encoder; name weights of the same "
            "encoder, or set allow_partial = true to start from so little."
        )
    network.load_state_dict(fitting, strict=False)
    logger.warning("note: from %s: %s", path, taken)
    return tuple(name for name in wanted if name not in fitting)


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """How much of a network some tensors are.

    Attributes:
        num_tensors: How many of the network's tensors they are, and how many it has.
        by_part: Learned numbers that are taken, and all, by part of the network.
    """

    num_tensors: tuple[int, int]
    by_part: Mapping[str, tuple[int, int]]

    @classmethod
    def of(cls, network: nn.Module, fitting: Mapping[str, Tensor]) -> "Taken":
        """Count them."""
        parts: dict[str, tuple[int, int]] = {}
        for name, parameter in network.named_parameters():
            part = name.removeprefix(_WRAPPER).partition(".")[0]
            taken, total = parts.get(part, (0, 0))
            count = parameter.numel()
            parts[part] = (taken + (count if name in fitting else 0), total + count)
        wanted = network.state_dict()
        return cls(num_tensors=(sum(n in fitting for n in wanted), len(wanted)), by_part=parts)

    @property
    def share_of_encoder(self) -> float:
        """Share of the encoder's learned numbers, or of all where no part is called so."""
        parts = [self.by_part["encoder"]] if "encoder" in self.by_part else self.by_part.values()
        taken, total = (sum(counts) for counts in zip(*parts, strict=True))
        return taken / total

    def __str__(self) -> str:
        taken, total = (sum(counts) for counts in zip(*self.by_part.values(), strict=True))
        anew = [
            f"{part} ({total - taken:,} of {total:,})"
            for part, (taken, total) in self.by_part.items()
            if taken < total
        ]
        return (
            f"{self.num_tensors[0]} of {self.num_tensors[1]} tensors, {100 * taken / total:.3g} % "
            f"of the {total:,} learned numbers, are taken; anew begin {', '.join(anew) or 'none'}"
        )


def _inflated(
    given: dict[str, Tensor], network: nn.Module, *, filling: Literal["mean", "centre"]
) -> dict[str, Tensor]:
    """The tensors whose kernels lack nothing but a depth, with that depth; the others as they are.

    Raises:
        DataError: If there is none: the weights are not of images, or not of such a network.
    """
    wanted = network.state_dict()
    flat = {
        name: tensor
        for name, tensor in given.items()
        if name in wanted and tensor.ndim == 4 and _lacks_depth(tensor.shape, wanted[name].shape)
    }
    if not flat:
        raise DataError(
            f"inflate is {filling!r}, but none of the weights is a kernel of images that the "
            "recipe's network has for volumes; expected weights of the same network or encoder "
            'built for images; name others, or set inflate to "none".'
        )
    return given | inflate(flat, network, filling=filling, strict=False)


def _lacks_depth(flat: torch.Size, deep: torch.Size) -> bool:
    return len(deep) == 5 and tuple(flat) == (*deep[:2], *deep[3:])


def _by_name(given: dict[str, Tensor], wanted: dict[str, Tensor]) -> dict[str, Tensor]:
    fitting = {}
    for name, tensor in wanted.items():
        source = given.get(name, given.get(name.removeprefix(_WRAPPER)))
        if source is not None and source.shape == tensor.shape:
            fitting[name] = source
    return fitting
