"""Batches whose samples have pieces of each other, as the recipe's `mix` says."""

import numpy as np

from atrous.data.augment.mixing import classmix, cutmix, cutmix_labels
from atrous.errors import DataError
from atrous.networks.catalog import Task
from atrous.training.batches import Batch
from atrous.training.recipe.recipe import Recipe


def mixed(batch: Batch, recipe: Recipe, *, num_classes: int, step: int, rank: int = 0) -> Batch:
    """The batch, with pieces of its samples pasted on each other if the recipe asks for it.

    Args:
        batch: Of masks or of labels, not of both: see `check_mix`.
        recipe: For how.
        num_classes: Of labels, which become shares.
        step: Which step it is for; the same step mixes alike.
        rank: Of this process.
    """
    if recipe.mix == "none":
        return batch
    rng = np.random.default_rng((recipe.seed, step, rank, 1))
    chance = recipe.mix_probability
    if batch.masks is not None:
        mix = {"cutmix": cutmix, "classmix": classmix}[recipe.mix]
        images, masks = mix(batch.images, batch.masks, rng, probability=chance)
        return Batch(images, masks, None, batch.names)
    assert batch.labels is not None  # a batch has one of them
    images, shares = cutmix_labels(
        batch.images, batch.labels, rng, num_classes=num_classes, probability=chance
    )
    return Batch(images, None, shares, batch.names)


def check_mix(recipe: Recipe, task: Task) -> None:
    """Refuse a mixing that the task has no meaning for.

    Raises:
        DataError: If masks and labels would both be mixed, or labels along missing masks.
    """
    if recipe.mix != "none" and task == "joint":
        raise DataError(
            f"mix is {recipe.mix!r}, but {recipe.network} learns masks and labels of whole images, "
            "and a mixed image has no one label; set mix to 'none'."
        )
    if recipe.mix == "classmix" and task == "classification":
        raise DataError(
            "mix is 'classmix', which cuts along masks, but a classifier's data has none; set mix "
            "to 'cutmix' or 'none'."
        )
