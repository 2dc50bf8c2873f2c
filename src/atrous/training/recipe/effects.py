"""What each key of a recipe needs for having an effect: a key that would have none is refused."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass
from types import MappingProxyType
from typing import Final

from torch import nn

from atrous.errors import DataError
from atrous.networks.catalog import Task
from atrous.networks.preprocessing.volume_spec import VolumeSpec
from atrous.training.losses.catalog import USE_CLASS_WEIGHTS
from atrous.training.recipe.keys import IMAGE_KEYS, VOLUME_KEYS
from atrous.training.recipe.recipe import Recipe
from atrous.types import Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """What a recipe meets: which data, which task, how scans are prepared.

    Attributes:
        kind: Kind of the data.
        task: Task of the network.
        network: Built.
        num_frozen_norms: Batch norms whose statistics the recipe keeps.
        volume: How scans become the network's input; None of images.
    """

    kind: Kind
    task: Task
    network: nn.Module
    num_frozen_norms: int = 0
    volume: VolumeSpec | None = None

    @property
    def has_scored_masks(self) -> bool:
        """Whether validation scores masks of images, by a protocol."""
        return self.task != "classification" and self.volume is None


@dataclass(frozen=True, slots=True)
class Need:
    """What a key needs.

    Attributes:
        words: In a message, behind "which has an effect only".
        is_met: Whether a recipe has it in a situation.
    """

    words: str
    is_met: Callable[[Recipe, Situation], bool]


def _of_masks(_: Recipe, situation: Situation) -> bool:
    return situation.has_scored_masks


def _of_slides(_: Recipe, situation: Situation) -> bool:
    return situation.kind == "slides"


def _from_weights(recipe: Recipe, _: Situation) -> bool:
    return recipe.weights is not None


def _is_cut_out(recipe: Recipe, _: Situation) -> bool:
    has_size = bool(recipe.size or recipe.size_cycle or recipe.size_steps)
    return has_size and recipe.fit == "own"


def _works_at_sizes(_: Recipe, situation: Situation) -> bool:
    return "working_size" in inspect.signature(situation.network.forward).parameters


def _has_such_norms(_: Recipe, situation: Situation) -> bool:
    return situation.num_frozen_norms > 0


NEEDS: Final[Mapping[str, Need]] = MappingProxyType(
    {
        "replace_head": Need("with weights", _from_weights),
        "allow_partial": Need("with replace_head", lambda recipe, _: recipe.replace_head),
        "inflate": Need("with weights", _from_weights),
        "class_names": Need(
            "on classes of masks; labels of whole images are named by the data",
            lambda _, situation: situation.task != "classification",
        ),
        "patch_size": Need("on slides", _of_slides),
        "patches_per_epoch": Need("on slides", _of_slides),
        "predict_shorter_side": Need(
            "of classifiers with a predict_size: whoever cuts the middle out of an image for masks "
            "leaves out the rest of it",
            lambda recipe, situation: (
                situation.task == "classification" and bool(recipe.predict_size)
            ),
        ),
        "outside": Need(
            'with crop = "nonzero" or is_inside = true',
            lambda _, situation: (
                situation.volume is not None
                and (situation.volume.crop == "nonzero" or situation.volume.is_inside)
            ),
        ),
        "interpolation": Need(
            "with a spacing",
            lambda _, situation: (
                situation.volume is not None and situation.volume.spacing is not None
            ),
        ),
        "working_sizes": Need("of networks that take a working_size", _works_at_sizes),
        "foreground": Need('with a size and fit = "own"', _is_cut_out),
        "warp_probability": Need(
            "with scale, rotation or elastic",
            lambda recipe, _: (
                recipe.scale != (1.0, 1.0) or bool(recipe.rotation) or bool(recipe.elastic)
            ),
        ),
        "flip_axes": Need("with flip above 0", lambda recipe, _: recipe.flip > 0),
        "modality_dropout": Need(
            "on scans of several channels",
            lambda _, situation: (
                situation.volume is not None and len(situation.volume.channel_names) > 1
            ),
        ),
        "mix": Need(
            "with a mix_probability above 0 and several samples in a batch",
            lambda recipe, _: recipe.mix_probability > 0 and recipe.batch_size > 1,
        ),
        "mix_probability": Need("with mix", lambda recipe, _: recipe.mix != "none"),
        "class_weights": Need(
            f"with a loss that weighs classes ({', '.join(sorted(USE_CLASS_WEIGHTS))})",
            lambda recipe, _: not USE_CLASS_WEIGHTS.isdisjoint(recipe.losses),
        ),
        "label_smoothing": Need(
            "with labels of whole images, or with cross_entropy among the losses",
            lambda recipe, situation: (
                situation.task != "segmentation" or "cross_entropy" in recipe.losses
            ),
        ),
        "auxiliary_decay": Need(
            "with auxiliary_weight above 0", lambda recipe, _: recipe.auxiliary_weight > 0
        ),
        "diagnosis_weight": Need(
            "of networks that give masks and labels",
            lambda _, situation: situation.task == "joint",
        ),
        "freeze_batch_norm": Need("on networks with batch norms of such names", _has_such_norms),
        "protocol": Need("on masks of images", _of_masks),
        "samples_every": Need("on masks of images", _of_masks),
    }
)
"""By key. A key that is not here has an effect on all data that it is for."""


def refuse_without_effect(recipe: Recipe, situation: Situation) -> None:
    """See that every key that a recipe sets has an effect.

    Raises:
        DataError: If one is for the other kind of data, or what it needs is missing.
    """
    is_volumes = situation.volume is not None
    of, found = ("images", "volumes") if is_volumes else ("volumes", "images")
    for key in sorted(IMAGE_KEYS if is_volumes else VOLUME_KEYS):
        if is_set(recipe, key):
            raise DataError(
                f"{key} = {getattr(recipe, key)!r} is of {of}, but the data are {found}; expected "
                f"{_default(key)!r}; leave the key out."
            )
    for key, need in NEEDS.items():
        if is_set(recipe, key) and not need.is_met(recipe, situation):
            raise DataError(
                f"The recipe has {key} = {getattr(recipe, key)!r}, which has an effect only "
                f"{need.words}; expected that, or the default; leave the key out."
            )


def is_set(recipe: Recipe, key: str) -> bool:
    """Whether a key has another value than where it is left out."""
    return bool(getattr(recipe, key) != _default(key))


def _default(key: str) -> object:
    known = Recipe.__dataclass_fields__[key]
    return {} if known.default is MISSING else known.default
