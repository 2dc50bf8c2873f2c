"""Make a run ready to go: data, network, optimiser and objective, checked before all else."""

import logging
from pathlib import Path

import torch
from accelerate import Accelerator
from torch import Tensor

from atrous.data.check.fingerprint import fingerprint
from atrous.errors import DataError
from atrous.networks.card import Card
from atrous.networks.catalog import build_network
from atrous.networks.shipped import resolve_weights
from atrous.networks.weights import load_weights
from atrous.training.batches import steps_per_epoch
from atrous.training.class_weights import cached_counts, class_weights
from atrous.training.fit import start_state
from atrous.training.objective import objective_of
from atrous.training.recipe.recipe import Recipe
from atrous.training.run.data import RunData, card_of, check_augmentation, num_views, open_data
from atrous.training.run.folder import RunFolder
from atrous.training.run.run import Run
from atrous.training.run.start_weights import start_from
from atrous.training.run.volumes import RunVolumes, prepare_volumes, with_seen_ranges

logger = logging.getLogger(__name__)


def open_run(
    recipe: Recipe, root: Path, accelerator: Accelerator, *, overwrite: bool = False
) -> Run:
    """A new run in a folder, or the one there, from its newest whole checkpoint.

    Args:
        recipe: What to train.
        root: Where everything goes.
        accelerator: The device, and the processes that share the work.
        overwrite: Remove an earlier run first.

    Raises:
        DataError: If the folder holds another run, the data or the device cannot be used so.
        UnknownNameError: If the recipe names what there is not.
    """
    folder = RunFolder(root)
    data = open_data(recipe)
    check_augmentation(recipe, data)  # says what is wrong before anything is written
    start = None if recipe.weights is None else resolve_weights(recipe.weights)
    start_card = None if start is None else load_weights(start).card
    card = card_of(recipe, data, start_card)
    _check_channels(card, data.train.num_channels)
    steps_per_epoch(num_views(data, recipe), recipe.batch_size)
    if accelerator.is_main_process:
        if overwrite:
            folder.clear()
        folder.claim(recipe)
    accelerator.wait_for_everyone()
    prints = {"train": fingerprint(data.train), "val": fingerprint(data.val)}
    _check_data_unchanged(folder, recipe, prints)
    torch.manual_seed(recipe.seed)  # one start for all processes
    network = build_network(card.network, card.arguments)
    if start is not None:
        start_from(network, start, replace_head=recipe.replace_head, inflation=recipe.inflate)
    state = start_state(network, recipe, accelerator)
    card, volumes = _prepared(folder, data, card, prints, accelerator)
    weights = _class_weights(recipe, data, folder, prints["train"], accelerator.device)
    objective = objective_of(
        recipe,
        card.task,
        num_classes=len(card.class_names),
        class_weights=weights,
        regions=tuple(card.volume.regions.values()) if card.volume else (),
    )
    torch.manual_seed(recipe.seed + accelerator.process_index)  # dropout differs between them
    run = Run(recipe, folder, data, card, state, objective, volumes)
    run.start_scores = () if start_card is None else start_card.scores
    if accelerator.is_main_process:
        _tell_preprocessing(card, start_card, recipe)
        folder.write_facts({"data": prints})
    run.resume()
    return run


def _prepared(
    folder: RunFolder,
    data: RunData,
    card: Card,
    prints: dict[str, str],
    accelerator: Accelerator,
) -> tuple[Card, RunVolumes | None]:
    """The prepared volumes, and the card that says what of them training sees."""
    if data.train.kind != "volumes":
        return card, None
    volumes = prepare_volumes(
        folder.volumes,
        data.train,
        data.val.require("volumes"),
        card,
        prints=prints,
        accelerator=accelerator,
    )
    return with_seen_ranges(card, data.train, volumes.train), volumes


def _tell_preprocessing(card: Card, start: Card | None, recipe: Recipe) -> None:
    """Say what the network is fed where training starts from weights that were fed something."""
    if start is None or card.volume is not None or start.volume is not None:
        return
    ours, theirs = card.preprocessing, start.preprocessing
    keys = ("mean", "std", "channel_order", "value_range", "final_scale")
    apart = [key for key in keys if getattr(ours, key) != getattr(theirs, key)]
    if apart:
        said = "; ".join(f"{k} {getattr(ours, k)} instead of {getattr(theirs, k)}" for k in apart)
        logger.warning(
            "note: %s feeds its network otherwise than its start weights were fed: %s; what they "
            "know fits other pixels; leave mean and std out to take the card's",
            recipe.name,
            said,
        )


def _check_channels(card: Card, num_channels: int) -> None:
    """See that a network of images takes the channels that they are read as.

    Raises:
        DataError: If it takes others.
    """
    wanted = card.arguments.get("in_channels", 3)
    means = len(card.preprocessing.mean)
    if card.volume is None and (wanted, means) != (num_channels, num_channels):
        raise DataError(
            f"{card.network} takes {wanted} channels, and mean and std are of {means}, but the "
            f"images have {num_channels}; expected as many of each; leave in_channels, mean and "
            "std to the data."
        )


def _check_data_unchanged(folder: RunFolder, recipe: Recipe, prints: dict[str, str]) -> None:
    """See that a run that goes on has the data it began with.

    Raises:
        DataError: If it has not.
    """
    before = folder.read_facts().get("data")
    if before is not None and before != prints:
        raise DataError(
            f"The data of {recipe.name} has changed since its run in {folder.root} began; expected "
            "the same files; bring them back, or start anew with --overwrite."
        )


def _class_weights(
    recipe: Recipe, data: RunData, folder: RunFolder, data_fingerprint: str, device: torch.device
) -> Tensor | None:
    if recipe.class_weights == "none" or not data.train.has_masks:
        return None
    counts = cached_counts(data.train, folder.class_counts, data_fingerprint)
    weights = class_weights(recipe.class_weights, counts)
    return None if weights is None else weights.to(device)
