"""What a run on volumes learns from: its prepared volumes, their views, the regions scored."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from accelerate import Accelerator

from atrous.data.augment_volume import VolumeAugmentation
from atrous.data.volume_layout import VolumeLayout
from atrous.networks.card import Card
from atrous.training.feed_volumes import VolumeViews
from atrous.training.recipe import Recipe
from atrous.training.volume_cache import PreparedVolume, VolumeCache, as_uint8


def volume_augmentation_of(recipe: Recipe) -> VolumeAugmentation:
    """The recipe's augmentation of volumes.

    Raises:
        DataError: If it is not possible.
    """
    return VolumeAugmentation(
        size=recipe.size,
        foreground=recipe.foreground,
        scale=recipe.scale,
        rotation=recipe.rotation,
        warp_probability=recipe.warp_probability,
        flip=recipe.flip,
        flip_axes=recipe.flip_axes,
        brightness=recipe.brightness,
        contrast=recipe.contrast,
        gamma=recipe.gamma,
        bias_field=recipe.bias_field,
        noise=recipe.noise,
        blur=recipe.blur,
        modality_dropout=recipe.modality_dropout,
    )


@dataclass(frozen=True, slots=True)
class RunVolumes:
    """The prepared volumes that a run learns from, and those that it is measured on."""

    train: VolumeCache
    val: VolumeCache


def prepare_volumes(
    folder: Path,
    train: VolumeLayout,
    val: VolumeLayout,
    card: Card,
    *,
    prints: Mapping[str, str],
    accelerator: Accelerator,
) -> RunVolumes:
    """Both parts of the data, prepared by one process for all.

    Args:
        folder: Where the files lie, a folder for each part.
        train: To learn from.
        val: To measure on.
        card: For what the network must be fed.
        prints: Fingerprints of `train` and `val`.
        accelerator: Whose processes wait for the first.

    Raises:
        DataError: If a volume cannot be read, or the folder not be written in.
    """
    with accelerator.main_process_first():
        return RunVolumes(
            _open_volumes(folder / "train", train, card, fingerprint=prints["train"]),
            _open_volumes(folder / "val", val, card, fingerprint=prints["val"]),
        )


def _open_volumes(
    folder: Path, layout: VolumeLayout, card: Card, *, fingerprint: str
) -> VolumeCache:
    def prepare(index: int) -> PreparedVolume:
        volume, labels = layout.volume_and_mask(index)
        image = volume.array - volume.array.mean(axis=(1, 2, 3), keepdims=True)
        image /= image.std(axis=(1, 2, 3), keepdims=True).clip(1e-8)
        mask = as_uint8(labels, layout.num_classes)
        return PreparedVolume(np.ascontiguousarray(image), mask, volume.spacing)

    facts = repr((card.preprocessing, layout.channel_names))
    return VolumeCache(folder, layout, prepare, fingerprint=f"{fingerprint} {facts}")


def volume_views(volumes: VolumeCache, layout: VolumeLayout, recipe: Recipe) -> VolumeViews:
    """The recipe's views of prepared volumes."""
    return VolumeViews(
        volumes,
        layout.names,
        volume_augmentation_of(recipe),
        seed=recipe.seed,
        views_per_volume=recipe.views_per_volume,
    )


def regions_of(recipe: Recipe, layout: VolumeLayout, card: Card) -> Mapping[str, tuple[str, ...]]:
    """Names of the classes of every region: the recipe's, or else the layout's."""
    if recipe.regions:
        return recipe.regions
    return {
        name: tuple(card.class_names[index] for index in members)
        for name, members in layout.regions.items()
    }
