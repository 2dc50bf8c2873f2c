"""A run done again by its own recipe, and whether it came out the same."""

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from atrous.errors import DataError
from atrous.pipelines.provenance import facts
from atrous.pipelines.train import machine, open_training

if TYPE_CHECKING:
    from atrous.training.run.run import Run

logger = logging.getLogger(__name__)


def open_again(run: str | Path, out: str | Path | None, *, device: str = "auto") -> "Run":
    """A run by the recipe that another run keeps, into a folder beside it.

    What may make its bits differ is logged: other versions, threads, processors, data.

    Args:
        run: Folder of the run that is done again.
        out: Folder of the new run; None for the same name with `-again`.
        device: As of `train`.

    Raises:
        DataError: As `train`, and if the folder holds no run.
    """
    from atrous.training.run.folder import RunFolder

    before = RunFolder(Path(run))
    if not before.recipe.is_file():
        raise DataError(f"{run} holds no run that could be done again; expected its recipe.toml.")
    root = Path(out) if out is not None else Path(f"{Path(run)}-again")
    opened = open_training(before.read_recipe(), root, device=device)
    now = {**facts(), **machine(opened), **opened.folder.read_facts()}
    kept = before.read_facts()
    keys = ("versions", "machine", "instruction_set", "device", "processes", "commit")
    for key in (*keys, "threads", "data", "start_sha256"):
        if key in kept and kept[key] != now.get(key):
            logger.warning(
                "note: %s was %s and is %s: bits may differ", key, kept[key], now.get(key)
            )
    return opened


def same_bits(run: "Run", before: str | Path) -> bool | None:
    """Whether two runs ended with the same weights; None where the other has none.

    Args:
        run: That is done.
        before: Folder of the other.
    """
    import torch

    from atrous.networks.weights import load_weights
    from atrous.training.run.folder import RunFolder

    other = RunFolder(Path(before)).last
    if not other.is_file():
        return None
    ours, theirs = (load_weights(path).network.state_dict() for path in (run.folder.last, other))
    return ours.keys() == theirs.keys() and all(
        torch.equal(tensor, theirs[name]) for name, tensor in ours.items()
    )
