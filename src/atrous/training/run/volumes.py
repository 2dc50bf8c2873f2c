"""What a run on volumes learns from: its prepared volumes, their views, the regions scored."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from accelerate import Accelerator

from atrous.data.augment.volumes import VolumeAugmentation
from atrous.data.dataset import Dataset
from atrous.data.volumes.modalities import match_channels
from atrous.data.volumes.read import read_geometry
from atrous.errors import DataError
from atrous.networks.card import Card
from atrous.networks.preprocessing.volume_spec import Ranges
from atrous.networks.preprocessing.volumes import prepare_scan
from atrous.training.batches_volumes import VolumeViews
from atrous.training.recipe.recipe import Recipe
from atrous.training.volume_cache import PreparedVolume, VolumeCache, as_uint8
from atrous.types import UNLABELLED


def volume_augmentation_of(recipe: Recipe) -> VolumeAugmentation:
    """The recipe's augmentation of volumes.

    Raises:
        DataError: If it is not possible.
    """
    return VolumeAugmentation(
        size=recipe.size,
        fit=recipe.fit,  # type: ignore[arg-type]  # it is checked there, by its one owner
        foreground=recipe.foreground,
        scale=recipe.scale,
        rotation=recipe.rotation,
        elastic=recipe.elastic,
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
    train: Dataset,
    val: Dataset,
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
        DataError: If a volume cannot be read, the folder not be written in, or no training scan
            holds a class besides the background.
    """
    with accelerator.main_process_first():
        found = RunVolumes(
            _open_volumes(folder / "train", train, card, fingerprint=prints["train"]),
            _open_volumes(folder / "val", val, card, fingerprint=prints["val"]),
        )
        _check_foreground(found.train, train)
        return found


def _open_volumes(folder: Path, layout: Dataset, card: Card, *, fingerprint: str) -> VolumeCache:
    def prepare(index: int) -> PreparedVolume:
        volume, labels = layout.volume_and_mask(index)
        scan = prepare_scan(volume.array[channels], volume.spacing, facts)
        mask = as_uint8(scan.prepare_labels(labels), layout.num_classes)
        return PreparedVolume(scan.image, mask, scan.spacing)

    assert card.volume is not None  # `card_of` has seen that the data are volumes
    facts = card.volume
    channels = _channels(layout, facts.channel_names)
    return VolumeCache(folder, layout, prepare, fingerprint=f"{fingerprint} {facts}")


def with_seen_ranges(card: Card, layout: Dataset, volumes: VolumeCache) -> Card:
    """The card with the extents and spacings of the training scans, of files that say them."""
    assert card.volume is not None  # `card_of` has seen that the data are volumes
    prepared = [volumes[index] for index in range(len(volumes))]
    extents = [
        [n * step for n, step in zip(volume.image.shape[1:], volume.spacing, strict=True)]
        for volume in prepared
    ]
    spacings = [read_geometry(layout.files(index)[0]).spacing for index in range(len(layout))]
    seen = replace(card.volume, seen_extent=_ranges(extents), seen_spacing=_ranges(spacings))
    return replace(card, volume=seen)


def _ranges(values: Sequence[Sequence[float]]) -> Ranges:
    """Least and most along D, H, W, to four digits."""
    d, h, w = (
        (float(f"{min(along):.4g}"), float(f"{max(along):.4g}"))
        for along in zip(*values, strict=True)
    )
    return d, h, w


def _check_foreground(volumes: VolumeCache, layout: Dataset) -> None:
    """See that there is something to learn, as in masks of 0 and 255 there is not."""
    has_unlabelled = False
    for index in range(len(volumes)):
        mask = volumes[index].mask
        if ((mask > 0) & (mask != UNLABELLED)).any():
            return
        has_unlabelled = has_unlabelled or bool((mask == UNLABELLED).any())
    held = "0 and 255 only, and 255 is unlabelled" if has_unlabelled else "class 0 only"
    raise DataError(
        f"The masks of all {len(volumes)} training scans hold {held}, such as "
        f"{layout.files(0)[-1]}; expected class indices from 1 on; write the foreground as 1."
    )


def _channels(layout: Dataset, wanted: Sequence[str]) -> list[int] | slice:
    """Where the network's channels lie among the scans'; all of them where nothing names those.

    Raises:
        DataError: If the scans lack one.
    """
    order = match_channels(wanted, layout.channel_names)
    return slice(None) if order is None else order


def volume_views(volumes: VolumeCache, layout: Dataset, recipe: Recipe) -> VolumeViews:
    """The recipe's views of prepared volumes."""
    return VolumeViews(
        volumes,
        layout.names,
        volume_augmentation_of(recipe),
        seed=recipe.seed,
        views_per_volume=recipe.views_per_volume,
    )
