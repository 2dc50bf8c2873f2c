"""What a network is fed and what its classes are called: by the recipe, or by its start's card."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from atrous.data.dataset import Dataset
from atrous.errors import DataError
from atrous.networks.card import Card
from atrous.networks.catalog import Task
from atrous.networks.label_sets import LABEL_SETS, LabelSet, numbered_labels
from atrous.networks.preprocessing.images import Preprocessing
from atrous.networks.preprocessing.volume_spec import VolumeSpec
from atrous.training.losses.region_dice import region_members
from atrous.training.recipe.recipe import Recipe

_OURS: Final = Preprocessing(
    mean=(0.485, 0.456, 0.406),
    std=(0.229, 0.224, 0.225),
    interpolation="bilinear_antialias",
    steps=("resize", "normalise", "scale"),
)
"""ImageNet's statistics: of runs that start from nothing, where their recipe is silent."""


def preprocessing_of(recipe: Recipe, start: Card | None = None, *, task: Task) -> Preprocessing:
    """What the network must be fed: what the recipe says, else the card, else ImageNet's.

    Mean, std, order and range belong together: they are all the recipe's or all the card's. So do
    size and shorter side, which are not taken where one network answers with labels of whole
    images and the other with masks.

    Args:
        recipe: The recipe.
        start: Card of the weights that training starts from; None without such.
        task: Task of the network that is trained.
    """
    theirs = _OURS if start is None or start.volume is not None else start.preprocessing
    if start is not None and (start.task == "classification") != (task == "classification"):
        theirs = replace(theirs, size=None, shorter_side=None)
    found = theirs
    if recipe.mean is not None and recipe.std is not None:
        found = replace(
            found,
            mean=recipe.mean,
            std=recipe.std,
            channel_order=recipe.channel_order or "RGB",
            value_range=recipe.value_range or 1.0,
            final_scale=1.0,
        )
    if recipe.final_scale is not None:
        found = replace(found, final_scale=recipe.final_scale)
    if recipe.predict_size is not None:
        found = replace(
            found, size=recipe.predict_size or None, shorter_side=recipe.predict_shorter_side
        )
    return replace(
        found,
        interpolation=recipe.resize_filter or found.interpolation,
        steps=recipe.preprocessing_steps or found.steps,
    )


def mask_labels(recipe: Recipe, layout: Dataset, start: Card | None) -> LabelSet:
    """Names and colours of the masks' classes: the recipe's or the data's, else the card's.

    Classes that are called as those of the card, or as published ones, have their colours; those of
    the card have its void class too.

    Raises:
        DataError: If the recipe names another number of classes than the data has.
    """
    assert layout.has_masks  # the data's kind has been checked
    names = recipe.class_names or layout.class_names
    of_start = None
    if start is not None and start.task != "classification":
        of_start = start.labels if len(start.class_names) == layout.num_classes else None
    if names is None:
        return of_start or numbered_labels(layout.num_classes)
    if len(names) != layout.num_classes:
        raise DataError(
            f"class_names has {len(names)} names, but the data has {layout.num_classes} classes; "
            "expected one each; mend the recipe."
        )
    if of_start is not None and _same_names(of_start.names, names):
        return replace(of_start, names=tuple(names))
    for known in LABEL_SETS.values():
        if _same_names(known.names[: len(names)], names):
            return LabelSet(names=tuple(names), palette=known.palette[: len(names)])
    return named_labels(tuple(names))


def named_labels(names: tuple[str, ...]) -> LabelSet:
    """Classes with names of somebody's own, in the colours of numbered ones."""
    return LabelSet(names=names, palette=numbered_labels(len(names)).palette)


def volume_spec_of(
    recipe: Recipe, layout: Dataset, class_names: Sequence[str], start: Card | None = None
) -> VolumeSpec:
    """How scans become the network's input: what the recipe says, else the card of its start.

    A scan is read where nothing says how many channels there are.

    Raises:
        DataError: If the facts are not possible, or that scan cannot be read.
        UnknownNameError: If a region names a class that there is not.
    """
    theirs = None if start is None else start.volume
    names = recipe.channel_names or layout.channel_names
    if names is None:
        count = len(layout.volume_and_mask(0)[0].array)
        is_theirs = theirs is not None and len(theirs.channel_names) == count
        names = theirs.channel_names if theirs is not None and is_theirs else None
        names = names or tuple(f"channel {index}" for index in range(count))
    base = theirs or VolumeSpec(channel_names=names, normalise="z_score")
    same_classes = start is not None and _same_names(start.class_names, class_names)
    regions = dict(layout.regions) or (dict(base.regions) if same_classes else {})
    if recipe.regions:
        members = region_members(recipe.regions, class_names)
        regions = dict(zip(recipe.regions, members, strict=True))
    largest = base.largest_only if same_classes else ()
    return VolumeSpec(
        channel_names=names,
        crop=recipe.crop or base.crop,
        outside=recipe.outside or base.outside,
        clip_values=base.clip_values if recipe.clip_values is None else _pair(recipe.clip_values),
        normalise=recipe.normalise or base.normalise,
        is_inside=base.is_inside if recipe.is_inside is None else recipe.is_inside,
        spacing=base.spacing if recipe.spacing is None else _triple(recipe.spacing),
        interpolation=recipe.interpolation or base.interpolation,
        window=recipe.size or base.window,
        flip_axes=recipe.flip_axes if recipe.flip else (),
        working_sizes=base.working_sizes if recipe.working_sizes is None else recipe.working_sizes,
        largest_only=largest if recipe.largest_only is None else recipe.largest_only,
        label_values=base.label_values if same_classes else (),
        regions=regions,
    )


def told_apart(card: Card, start: Card, recipe: Recipe, *, has_names: bool) -> list[str]:
    """In what a run differs from the card that it starts from, a sentence each with both values.

    Args:
        card: Of the run.
        start: Of the weights that it starts from.
        recipe: The recipe.
        has_names: Whether the data name their classes.
    """
    found = []
    if (ours := card.volume) is not None and (theirs := start.volume) is not None:
        names = ("channel_names", "crop", "outside", "clip_values", "normalise", "is_inside")
        apart = _apart(ours, theirs, (*names, "spacing", "interpolation"))
    elif card.volume is None and start.volume is None:
        colours = ("mean", "std", "channel_order", "value_range", "final_scale")
        sizes: tuple[str, ...] = ("size", "shorter_side", "interpolation", "steps")
        sizes = sizes if (card.task == "classification") == (start.task == "classification") else ()
        apart = _apart(card.preprocessing, start.preprocessing, (*colours, *sizes))
    else:
        apart = []
    if apart:
        found.append(
            f"{recipe.name} feeds its network otherwise than its start weights were fed: "
            f"{'; '.join(apart)}; what they know fits other pixels, and the score they had may be "
            "lost; leave the keys out to take the card's"
        )
    is_like = (card.task == "classification") == (start.task == "classification")
    if is_like and len(card.class_names) == len(start.class_names):
        if not _same_names(card.class_names, start.class_names):
            found.append(
                f"the classes are {', '.join(card.class_names)} instead of "
                f"{', '.join(start.class_names)} on the card of the start weights, as many: the "
                "head begins with what it knows of those, in their order"
            )
        elif not (recipe.class_names or has_names):
            found.append(
                "the classes are called as on the card of the start weights: "
                f"{', '.join(card.class_names)}; set class_names if they are others"
            )
    return found


def _apart(ours: object, theirs: object, keys: Sequence[str]) -> list[str]:
    pairs = [(key, getattr(ours, key), getattr(theirs, key)) for key in keys]
    return [f"{key} {mine} instead of {its}" for key, mine, its in pairs if mine != its]


def _same_names(first: Sequence[str], second: Sequence[str]) -> bool:
    return [name.casefold() for name in first] == [name.casefold() for name in second]


def _pair(values: tuple[float, ...]) -> tuple[float, float] | None:
    return (values[0], values[1]) if values else None


def _triple(values: tuple[float, ...]) -> tuple[float, float, float] | None:
    return (values[0], values[1], values[2]) if values else None
