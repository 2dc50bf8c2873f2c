"""ADE20K as the scene parsing challenge packs it: `ADEChallengeData2016`."""

import csv
from pathlib import Path
from typing import Final

import torch
from torch import Tensor

from atrous.data.dataset import MaskValueError
from atrous.data.layouts.pairs import PairedMasks, pair_by_stem
from atrous.errors import DataError, UnknownNameError
from atrous.types import UNLABELLED

NUM_ADE20K_CLASSES: Final = 150

_IMAGES: Final = "images"
_MASKS: Final = "annotations"
_CLASS_TABLE: Final = "objectInfo150.txt"
_ARCHIVE: Final = "ADEChallengeData2016"


class ADE20K(PairedMasks):
    """Scenes with 150 classes: images in `images/SPLIT`, masks in `annotations/SPLIT`.

    Mask files hold 1 to 150 for the classes and 0 for other objects, which are not scored. Samples
    hold classes 0 to 149 and 255 there (elsewhere called "reduce zero label").

    Class names are the first of the names in the data's own `objectInfo150.txt`; without that file
    they are not known. The full ADE20K of over 3,000 classes has other folders and is not read.

    Args:
        root: The folder `ADEChallengeData2016`, or the one that holds it.
        split: Name of a split: `training` or `validation`.

    Raises:
        UnknownNameError: If `root` has no such split; the message lists those it has.
        DataError: If the folders are not so, images and masks do not pair, or the table of classes
            cannot be read.

    Source: Zhou et al., "Scene Parsing through ADE20K Dataset", CVPR 2017; folders and values from
        the development kit of the Scene Parsing Challenge 2016.
    """

    def __init__(self, root: str | Path, *, split: str) -> None:
        folder = _archive(Path(root))
        splits = _splits(folder)
        if split not in splits:
            raise UnknownNameError("split", split, splits)
        super().__init__(
            pair_by_stem(folder / _IMAGES / split, folder / _MASKS / split),
            num_classes=NUM_ADE20K_CLASSES,
            class_names=_class_names(folder / _CLASS_TABLE),
        )

    def _to_classes(self, mask: Tensor, path: Path) -> Tensor:
        is_wrong = (mask < 0) | (mask > NUM_ADE20K_CLASSES)
        if is_wrong.any():
            raise MaskValueError(
                f"{path}: holds {int(mask[is_wrong][0])}; expected 0 to {NUM_ADE20K_CLASSES}, "
                "0 being what is not scored; fetch the mask anew.",
                values=tuple(mask[is_wrong].unique().tolist()),
            )
        return torch.where(mask == 0, UNLABELLED, mask - 1)


def _archive(root: Path) -> Path:
    inside = root / _ARCHIVE
    return inside if not (root / _IMAGES).is_dir() and inside.is_dir() else root


def _splits(folder: Path) -> list[str]:
    splits = sorted(
        images.name
        for images in folder.glob(f"{_IMAGES}/*")
        if images.is_dir() and (folder / _MASKS / images.name).is_dir()
    )
    if not splits:
        raise DataError(
            f"{folder}: no split here; expected {_IMAGES}/training and {_MASKS}/training; name the "
            f"folder {_ARCHIVE}."
        )
    return splits


def _class_names(table: Path) -> tuple[str, ...] | None:
    """First name of every class, or None where there is no table."""
    if not table.is_file():
        return None
    try:
        with table.open(encoding="utf-8", newline="") as file:
            names = [row["Name"] for row in csv.DictReader(file, delimiter="\t")]
        first = tuple(name.partition(",")[0].strip() for name in names)
    except (OSError, UnicodeDecodeError, csv.Error, KeyError, AttributeError) as error:
        raise DataError(
            f"{table}: {error!r}; expected the table of classes with a column 'Name'; "
            "fetch it anew, or remove it to do without names."
        ) from error
    if len(set(first)) != NUM_ADE20K_CLASSES or len(first) != NUM_ADE20K_CLASSES:
        raise DataError(
            f"{table}: names {len(first)} classes, {len(set(first))} of them different; expected "
            f"{NUM_ADE20K_CLASSES}; fetch it anew, or remove it to do without names."
        )
    return first
