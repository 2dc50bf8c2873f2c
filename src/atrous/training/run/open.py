"""Make a run ready to go: data, network, optimiser and objective, checked before all else."""

import logging
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import torch
from accelerate import Accelerator
from torch import Tensor

from atrous.data.check.fingerprint import fingerprint
from atrous.errors import DataError, UnknownNameError
from atrous.metrics.protocols import PROTOCOLS
from atrous.networks.card import Card
from atrous.networks.catalog import build_network, network_entry
from atrous.training.batches import steps_per_epoch
from atrous.training.class_weights import CLASS_WEIGHTS, cached_counts, class_weights
from atrous.training.fit import TrainingState, start_state
from atrous.training.objective import TrainingModule, objective_of
from atrous.training.optimiser import batch_norms, frozen_norms, learning_note
from atrous.training.recipe.effects import Situation, refuse_without_effect
from atrous.training.recipe.keys import MEASURE_KEYS
from atrous.training.recipe.recipe import Recipe
from atrous.training.run.data import (
    RunData,
    card_of,
    check_augmentation,
    check_sides,
    num_views,
    open_data,
)
from atrous.training.run.folder import RunFolder
from atrous.training.run.from_card import told_apart
from atrous.training.run.run import Run
from atrous.training.run.start_weights import Start, read_start, start_from
from atrous.training.run.volumes import RunVolumes, prepare_volumes, with_seen_ranges
from atrous.training.schedules import SCHEDULES

logger = logging.getLogger(__name__)


def open_run(
    recipe: Recipe, root: Path, accelerator: Accelerator, *, overwrite: bool = False
) -> Run:
    """A new run in a folder, or the one there, from its newest whole checkpoint.

    All that can be wrong is found before anything is written.

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
    goes_on = folder.has_checkpoint and not overwrite
    start = read_start(recipe, folder if goes_on else None)
    if start is not None and recipe.mpp is None and recipe.layout == "slides":
        recipe = replace(recipe, mpp=start.card.mpp)
    data = open_data(recipe)
    check_augmentation(recipe, data)
    card = card_of(recipe, data, None if start is None else start.card)
    _check_channels(card, data.train.num_channels)
    data = replace(data, labels=card.labels)
    check_sides(recipe, card.class_names, is_volumes=card.volume is not None)
    state = _checked_state(recipe, data, card, start, accelerator, is_new=not goes_on)
    changed: frozenset[str] = frozenset()
    if accelerator.is_main_process:
        if overwrite:
            folder.clear()
        changed = folder.claim(recipe)
    accelerator.wait_for_everyone()
    prints = {"train": fingerprint(data.train), "val": fingerprint(data.val)}
    is_measured_anew = _check_data_unchanged(folder, recipe, prints) or bool(changed & MEASURE_KEYS)
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
    run.start_scores = () if start is None else start.card.scores
    if accelerator.is_main_process:
        has_names = data.train.class_names is not None
        for note in [] if goes_on else _start_notes(card, start, recipe, has_names=has_names):
            logger.warning("note: %s", note)
        _note_norms(state, recipe, accelerator)
        folder.write_facts({"data": prints, **_start_facts(start)})
    if run.resume() and is_measured_anew:
        run.measure_anew()
    return run


def _start_notes(card: Card, start: Start | None, recipe: Recipe, *, has_names: bool) -> list[str]:
    """What the start weights were fed or called otherwise."""
    if start is None:
        return []
    return list(told_apart(card, start.card, recipe, has_names=has_names))


def _start_facts(start: Start | None) -> dict[str, object]:
    """What `run.json` says of the start weights."""
    if start is None:
        return {}
    return {"start": start.to_json(), "start_sha256": start.sha256}


def _checked_state(
    recipe: Recipe,
    data: RunData,
    card: Card,
    start: Start | None,
    accelerator: Accelerator,
    *,
    is_new: bool,
) -> TrainingState:
    """The network at its start, once all of the recipe is seen to be possible.

    Raises:
        DataError: If it is not, or a key would be without effect.
        UnknownNameError: If the recipe names what there is not.
    """
    steps_per_epoch(num_views(data, recipe), recipe.batch_size)
    known = {"protocol": PROTOCOLS, "schedule": SCHEDULES, "class_weights": CLASS_WEIGHTS}
    for key, names in known.items():
        if getattr(recipe, key) not in names:
            raise UnknownNameError(key.replace("_", " "), getattr(recipe, key), names)
    own = data.train.num_classes or len(data.labels.names)
    if recipe.num_classes not in (None, own) and recipe.remap is None:
        raise DataError(
            f"num_classes is {recipe.num_classes}, but layout {recipe.layout} has {own} classes by "
            "itself; expected no other number; leave num_classes out."
        )
    objective_of(  # says what it cannot be made of
        recipe,
        card.task,
        num_classes=len(card.class_names),
        class_weights=None,
        regions=tuple(card.volume.regions.values()) if card.volume else (),
    )
    torch.manual_seed(recipe.seed)  # one start for all processes
    network = build_network(card.network, card.arguments)
    refuse_without_effect(
        recipe,
        Situation(
            kind=data.train.kind,
            task=card.task,
            network=network,
            num_frozen_norms=len(frozen_norms(network, recipe)),
            volume=card.volume,
        ),
    )
    _check_shapes(recipe, card)
    if start is not None and is_new:
        start_from(network, start, recipe)
    return start_state(network, recipe, accelerator)


def _check_shapes(recipe: Recipe, card: Card) -> None:
    """See that the network takes every size that it is given, and has the heads that are weighed.

    It is run without numbers, on torch's meta device.

    Raises:
        ShapeError: If it does not take a size.
        DataError: If auxiliary heads are weighed, and it has none, or one where they decay.
    """
    wanted = (recipe.size, *(size for _, *size in recipe.size_steps), *recipe.size_cycle)
    sizes = {tuple(size) for size in (*wanted, card.preprocessing.size) if size}
    channels = len(card.preprocessing.mean)
    counts: set[int] = set()
    for size in sizes or {tuple(network_entry(card.network).size)}:
        # Not every network runs so, and those are seen when they run.
        with suppress(NotImplementedError, RuntimeError), torch.device("meta"), torch.no_grad():
            network = build_network(card.network, card.arguments).eval()
            trainee = TrainingModule(network, with_auxiliary=recipe.auxiliary_weight > 0)
            answers = trainee(torch.empty(1, channels, *size))
            counts.add(len(answers) - (2 if card.task == "joint" else 1))
    if recipe.auxiliary_weight > 0 and counts and max(counts) < 1:
        raise DataError(
            f"auxiliary_weight is {recipe.auxiliary_weight}, but {card.network} has no auxiliary "
            "heads with these arguments; set it to 0, or change network_arguments."
        )
    if recipe.auxiliary_decay != 1 and counts and max(counts) < 2:
        raise DataError(
            f"auxiliary_decay is {recipe.auxiliary_decay}, but {card.network} has one auxiliary "
            "head with these arguments; expected several; leave it out."
        )


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


def _note_norms(state: TrainingState, recipe: Recipe, accelerator: Accelerator) -> None:
    """Say what of the network moves, and where batch norms see less than the batch."""
    note = learning_note(state.network, recipe)
    if note is not None:
        logger.warning("note: %s", note)
    norms = len(list(batch_norms(state.network))) - len(frozen_norms(state.network, recipe))
    parts = recipe.accumulate
    if norms and parts > 1:
        logger.warning(
            "note: accumulate = %d gives the update of the whole batch, but %d batch norms see "
            "parts of %d samples; freeze_batch_norm = true keeps their statistics",
            parts,
            norms,
            -(-recipe.batch_size // (parts * accelerator.num_processes)),
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


def _check_data_unchanged(folder: RunFolder, recipe: Recipe, prints: dict[str, str]) -> bool:
    """See that a run that goes on has the data it began with, wherever they lie now.

    Returns:
        Whether other data are validated on, which changes what scores mean.

    Raises:
        DataError: If the training data differ.
    """
    before = folder.read_facts().get("data")
    if not isinstance(before, dict) or not folder.has_checkpoint:
        return False
    if before.get("train") != prints["train"]:
        raise DataError(
            f"The data of {recipe.name} has changed since its run in {folder.root} began; expected "
            "the same files; bring them back, or start anew with --overwrite."
        )
    return before.get("val") != prints["val"]


def _class_weights(
    recipe: Recipe, data: RunData, folder: RunFolder, data_fingerprint: str, device: torch.device
) -> Tensor | None:
    if recipe.class_weights == "none" or not data.train.has_masks:
        return None
    counts = cached_counts(data.train, folder.class_counts, data_fingerprint)
    weights = class_weights(recipe.class_weights, counts)
    return None if weights is None else weights.to(device)
