"""The samples that a recipe names, and what a card says of a network trained on them."""

import inspect
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from atrous.data.augment.photos import Augmentation
from atrous.data.catalog import open_layout
from atrous.data.combine import Subset, join
from atrous.data.dataset import Dataset
from atrous.data.photos.bands import RGB, channel_statistics
from atrous.errors import DataError
from atrous.networks.card import Card
from atrous.networks.catalog import Argument, Task, build_network, network_entry
from atrous.networks.label_sets import LabelSet
from atrous.networks.mask_resize import MaskResize
from atrous.networks.preprocessing.images import Preprocessing
from atrous.networks.preprocessing.volume_spec import VolumeSpec
from atrous.training.recipe.recipe import Recipe
from atrous.training.run.from_card import (
    mask_labels,
    named_labels,
    preprocessing_of,
    volume_spec_of,
)
from atrous.training.run.volumes import volume_augmentation_of
from atrous.types import Size


@dataclass(frozen=True, slots=True)
class RunData:
    """What a run learns from, and what it is measured on."""

    train: Dataset
    val: Dataset
    labels: LabelSet
    """Of masks, or of whole images for a classifier."""
    label_names: tuple[str, ...]
    """Of whole images, for a joint network."""


def open_data(recipe: Recipe) -> RunData:
    """Open both parts of the recipe's data; files are listed, not read.

    Raises:
        DataError: If a folder is not laid out so, the parts overlap or are empty, or the data is
            of another kind than the network's task.
        UnknownNameError: If the layout, the network or a split is not known.
    """
    task = network_entry(recipe.network).task
    train = _open(recipe, recipe.train_split, recipe.train_subset, patch_size=_patch_size(recipe))
    val = _open(recipe, recipe.val_split, recipe.val_subset, patch_size=None)
    common = {train.files(i)[0] for i in range(len(train))}
    common &= {val.files(i)[0] for i in range(len(val))}
    if common:
        raise DataError(
            f"{len(common)} of {len(val)} validation images are training images too, the first "
            f"being {min(common)}; expected none: a score on them says nothing. Give splits or "
            "subsets."
        )
    if recipe.limit is not None:
        train = Subset(train, range(min(recipe.limit, len(train))))
    for layout, part in ((train, "training"), (val, "validation")):
        if not len(layout):
            raise DataError(f"The {part} data is empty; expected at least one sample; name others.")
        _check_kind(layout, task, recipe)
    label_names = train.label_names if train.has_labels else ()
    if task == "classification":
        return RunData(train, val, named_labels(label_names), ())
    return RunData(
        train, val, mask_labels(recipe, train, None), label_names if task == "joint" else ()
    )


def card_of(recipe: Recipe, data: RunData, start: Card | None = None) -> Card:
    """The card of the network that the recipe makes; its scores are still empty."""
    task = network_entry(recipe.network).task
    labels = data.labels if task == "classification" else mask_labels(recipe, data.train, start)
    arguments: dict[str, Argument] = dict(recipe.network_arguments)
    arguments["num_classes"] = len(labels.names)
    if task == "joint":
        arguments["num_labels"] = len(data.label_names)
    facts = None
    if data.train.kind == "volumes":
        facts = volume_spec_of(recipe, data.train, labels.names, start)
        arguments |= _for_volumes(recipe, len(facts.channel_names))
    elif data.train.num_channels != RGB:
        arguments |= _for_channels(recipe, data.train.num_channels)
    network = build_network(recipe.network, arguments)
    divisor = getattr(network, "divisor", 1)
    return Card(
        name=recipe.name,
        network=recipe.network,
        arguments=arguments,
        task=task,
        class_names=labels.names,
        palette=labels.palette,
        void_class=labels.void_class,
        label_names=data.label_names,
        preprocessing=(
            _as_prepared(facts) if facts else _of_images(recipe, data, start, task=task)
        ),
        volume=facts,
        mask_resize=_mask_resize(task, start),
        mpp=recipe.mpp,
        divisor=divisor if isinstance(divisor, int) else 1,
        source=recipe.source,
        licence=recipe.licence,
    )


def _mask_resize(task: Task, start: Card | None) -> MaskResize:
    """As the start's masks get to their size, so that it is scored as it was."""
    is_of_masks = start is not None and "classification" not in (task, start.task)
    return start.mask_resize if start is not None and is_of_masks else "linear"


def _for_volumes(recipe: Recipe, num_channels: int) -> dict[str, Argument]:
    """Arguments that the data decide, of networks that have them; the recipe's own go before."""
    known = inspect.signature(network_entry(recipe.network).build).parameters
    decided = {"in_channels": num_channels, "spatial_dims": 3}
    return {
        name: value
        for name, value in decided.items()
        if name in known and name not in recipe.network_arguments
    }


def _for_channels(recipe: Recipe, num_channels: int) -> dict[str, Argument]:
    """The number of the images' channels, where the recipe leaves it to the data."""
    known = inspect.signature(network_entry(recipe.network).build).parameters
    if "in_channels" not in known:
        raise DataError(
            f"The images have {num_channels} channels, and {recipe.network} takes red, green and "
            "blue only; expected a network with in_channels, such as espnet; name one."
        )
    return {} if "in_channels" in recipe.network_arguments else {"in_channels": num_channels}


def _of_images(recipe: Recipe, data: RunData, start: Card | None, *, task: Task) -> Preprocessing:
    """Preprocessing; mean and deviation of other channels than RGB are counted from the data."""
    count = data.train.num_channels
    known = start is not None and len(start.preprocessing.mean) == count
    if count == RGB or recipe.mean is not None or (known and recipe.std is None):
        return preprocessing_of(recipe, start, task=task)
    mean, std = channel_statistics(
        data.train.pixels_and_mask(index)[0] for index in range(len(data.train))
    )
    return replace(preprocessing_of(recipe, task=task), mean=mean, std=std)


def _as_prepared(facts: VolumeSpec) -> Preprocessing:
    """Prepared volumes are the network's input as they are."""
    count = len(facts.channel_names)
    return Preprocessing(mean=(0.0,) * count, std=(1.0,) * count)


def training_facts(card: Card) -> Preprocessing:
    """What augmented views are fed as, which have their size already."""
    return replace(card.preprocessing, size=None, shorter_side=None)


def augmentation_of(recipe: Recipe) -> Augmentation:
    """The recipe's augmentation.

    Raises:
        DataError: If it is not possible.
    """
    return Augmentation(
        size=recipe.size,
        fit=recipe.fit,  # type: ignore[arg-type]  # it is checked there, by its one owner
        scale=recipe.scale,
        aspect=recipe.aspect,
        rotation=recipe.rotation,
        flip=recipe.flip,
        vertical_flip=recipe.vertical_flip,
        brightness=recipe.brightness,
        contrast=recipe.contrast,
        saturation=recipe.saturation,
        hue=recipe.hue,
        grey=recipe.grey,
        stain=recipe.stain,
        stain_shift=recipe.stain_shift,
        blur=recipe.blur,
        noise=recipe.noise,
    )


def check_augmentation(recipe: Recipe, data: RunData) -> None:
    """See that the recipe's augmentation is possible for its data.

    Raises:
        DataError: If it is not.
    """
    is_volumes = data.train.kind == "volumes"
    dims = 3 if is_volumes else 2
    sizes = [recipe.size or (), *(size for _, *size in recipe.size_steps), *recipe.size_cycle]
    wrong = next((size for size in sizes if len(size) not in (0, dims)), None)
    if wrong is not None:
        raise DataError(
            f"The recipe has a size of {list(wrong)}, but the data are "
            f"{'volumes' if is_volumes else 'images'}; expected {dims} lengths; mend the recipe."
        )
    if is_volumes:
        volume_augmentation_of(recipe)
    else:
        augmentation_of(recipe)


_LEFT_TO_RIGHT: Final = 2
"""The axis of volumes, of D, H, W."""


def check_sides(recipe: Recipe, class_names: Sequence[str], *, is_volumes: bool) -> None:
    """See that mirroring turns no class into another, as it does left into right.

    Raises:
        DataError: If it does.
    """
    if not recipe.flip or (is_volumes and _LEFT_TO_RIGHT not in recipe.flip_axes):
        return
    folded = [name.casefold() for name in class_names]
    for name in folded:
        other = re.sub(r"(?<![a-z])(left|lh|l)(?![a-z])", lambda side: _OTHER_SIDE[side[1]], name)
        if other != name and other in folded:
            rest = "flip_axes = [0, 1]" if is_volumes else "flip = false"
            raise DataError(
                f"The classes {class_names[folded.index(name)]!r} and "
                f"{class_names[folded.index(other)]!r} would be mirrored into each other; "
                f"expected no mirroring from left to right; set {rest}."
            )


_OTHER_SIDE: Final = {"left": "right", "lh": "rh", "l": "r"}


def num_views(data: RunData, recipe: Recipe) -> int:
    """How many views an epoch has: one of every image, or so many of every volume or slide."""
    if data.train.is_drawn:
        return recipe.patches_per_epoch or len(data.train)
    return len(data.train) * recipe.views_per_volume


def _patch_size(recipe: Recipe) -> Size | None:
    return recipe.size if recipe.patch_size is None else recipe.patch_size


def _open(
    recipe: Recipe,
    split: str | None,
    subsets: tuple[str, ...],
    *,
    patch_size: Size | None,
) -> Dataset:
    lists: list[Path | None] = [Path(path) for path in subsets] or [None] * len(recipe.data)
    parts = [
        open_layout(
            recipe.layout,
            folder,
            split=split,
            num_classes=recipe.num_classes,
            subset=listed,
            remap=recipe.remap,
            mpp=recipe.mpp,
            patch_size=patch_size,
        )
        for folder, listed in zip(recipe.data, lists, strict=True)
    ]
    return join(parts, [Path(folder).name for folder in recipe.data])


def _check_kind(layout: Dataset, task: Task, recipe: Recipe) -> None:
    needed = {
        "classification": ("labels", layout.has_labels),
        "segmentation": ("masks", layout.has_masks),
        "joint": (
            "masks and labels",
            layout.has_masks and layout.has_labels,
        ),
    }
    what, has_it = needed[task]
    if not has_it:
        raise DataError(
            f"Dataset {recipe.layout!r} does not give {what}, which {recipe.network} learns from; "
            "name another layout or network."
        )
