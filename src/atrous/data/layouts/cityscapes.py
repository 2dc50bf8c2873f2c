"""Cityscapes as its archives unpack: `leftImg8bit/SPLIT/CITY` and `gtFine/SPLIT/CITY`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import torch
from torch import Tensor

from atrous.data.dataset import MaskValueError
from atrous.data.layouts.pairs import Pair, PairedMasks
from atrous.data.listing import images_in
from atrous.errors import DataError, UnknownNameError
from atrous.types import UNLABELLED

CITYSCAPES_CLASSES: Final = (
    "road",
    "sidewalk",
    "building",
    "wall",
    "fence",
    "pole",
    "traffic light",
    "traffic sign",
    "vegetation",
    "terrain",
    "sky",
    "person",
    "rider",
    "car",
    "truck",
    "bus",
    "train",
    "motorcycle",
    "bicycle",
)
LABEL_IDS: Final = (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33)
"""What `labelIds` masks hold for each class; the other ids, 0 to 33, are not scored."""
NUM_LABEL_IDS: Final = 34
_UNLABELLED_ID: Final = 0

_IMAGES: Final = "leftImg8bit"
_MASKS: Final = "gtFine"
_IMAGE_END: Final = f"_{_IMAGES}"
_LABEL_IDS_END: Final = f"_{_MASKS}_labelIds.png"
_TRAIN_IDS_END: Final = f"_{_MASKS}_labelTrainIds.png"


def label_ids_of(class_names: Sequence[str]) -> tuple[int, ...]:
    """The id that Cityscapes' server takes for each class of a network; 0 for a void class.

    Raises:
        DataError: If a class is none of Cityscapes'.

    Example:
        >>> label_ids_of(("road", "bicycle", "background"))
        (7, 33, 0)
    """
    known = dict(zip(CITYSCAPES_CLASSES, LABEL_IDS, strict=True))
    known |= dict.fromkeys(("background", "void", "unlabelled"), _UNLABELLED_ID)
    names = [name.casefold() for name in class_names]
    unknown = next((name for name in names if name not in known), None)
    if unknown is not None:
        raise DataError(
            f"The network has a class {unknown!r}, which is none of Cityscapes'; expected "
            f"{', '.join(CITYSCAPES_CLASSES)}; leave out the label ids."
        )
    return tuple(known[name] for name in names)


class Cityscapes(PairedMasks):
    """Street scenes with the 19 classes that are scored; everything else is 255.

    Images are `leftImg8bit/SPLIT/CITY/NAME_leftImg8bit.png`. Masks are
    `gtFine/SPLIT/CITY/NAME_gtFine_labelIds.png`, or where that is missing
    `NAME_gtFine_labelTrainIds.png`, which the official scripts write.

    Args:
        root: Folder that holds `leftImg8bit` and `gtFine`.
        split: Name of a split, `train`, `val` or `test`. The public masks of `test` label nothing.

    Raises:
        UnknownNameError: If `root` has no such split; the message lists those it has.
        DataError: If the folders are not so, or an image has no mask.

    Source: Cordts et al., "The Cityscapes Dataset for Semantic Urban Scene Understanding", CVPR
        2016; label ids and train ids from the official scripts' table of labels.
    """

    def __init__(self, root: str | Path, *, split: str) -> None:
        root = Path(root)
        splits = _splits(root)
        if split not in splits:
            raise UnknownNameError("split", split, splits)
        super().__init__(
            _pairs(root / _IMAGES / split, root / _MASKS / split),
            num_classes=len(CITYSCAPES_CLASSES),
            class_names=CITYSCAPES_CLASSES,
        )

    def _to_classes(self, mask: Tensor, path: Path) -> Tensor:
        if path.name.endswith(_TRAIN_IDS_END):
            return mask
        # The licence plate's id is -1, which 8 bits hold as 255.
        is_wrong = (mask != UNLABELLED) & ((mask < 0) | (mask >= NUM_LABEL_IDS))
        if is_wrong.any():
            raise MaskValueError(
                f"{path}: holds label id {int(mask[is_wrong][0])}; expected 0 to "
                f"{NUM_LABEL_IDS - 1}, or 255; fetch the mask anew.",
                values=tuple(mask[is_wrong].unique().tolist()),
            )
        return _TRAIN_ID_OF[mask]


def _train_id_table() -> Tensor:
    """Class of every 8-bit label id, `(256,)` int64; 255 where it is not scored."""
    table = torch.full((256,), UNLABELLED)
    table[torch.tensor(LABEL_IDS)] = torch.arange(len(LABEL_IDS))
    return table


_TRAIN_ID_OF: Final = _train_id_table()


def _splits(root: Path) -> list[str]:
    splits = sorted(
        images.name
        for images in root.glob(f"{_IMAGES}/*")
        if images.is_dir() and (root / _MASKS / images.name).is_dir()
    )
    if not splits:
        raise DataError(
            f"{root}: no split here; expected folders such as {_IMAGES}/val/CITY and "
            f"{_MASKS}/val/CITY; unpack both archives into one folder, and name that."
        )
    return splits


def _pairs(images: Path, masks: Path) -> tuple[Pair, ...]:
    cities = sorted(path for path in images.iterdir() if path.is_dir())
    found = [pair for city in cities for pair in _city(city, masks / city.name)]
    if not found:
        raise DataError(
            f"{images}: no image here; expected CITY/NAME{_IMAGE_END}.png; check the folder."
        )
    orphans = [name for name, _, mask in found if mask is None]
    if orphans:
        raise DataError(
            f"{masks}: {len(orphans)} of {len(found)} images have no mask here, the first being "
            f"{orphans[0]!r}; expected CITY/NAME{_LABEL_IDS_END} or CITY/NAME{_TRAIN_IDS_END}; "
            "unpack the masks' archive beside the images'."
        )
    return tuple(
        Pair(name=name, image=image, mask=mask) for name, image, mask in found if mask is not None
    )


def _city(images: Path, masks: Path) -> list[tuple[str, Path, Path | None]]:
    """Name, image and mask of every frame of a city, in order."""
    present = {path.name for path in masks.iterdir()} if masks.is_dir() else set()
    frames: dict[str, tuple[str, Path, Path | None]] = {}
    for image in images_in(images):
        if not image.stem.endswith(_IMAGE_END):
            continue
        name = image.stem.removesuffix(_IMAGE_END)
        if name in frames:
            raise DataError(
                f"{images}: {frames[name][1].name!r} and {image.name!r} are images of one frame; "
                "expected one; remove the other."
            )
        ends = (end for end in (_LABEL_IDS_END, _TRAIN_IDS_END) if name + end in present)
        mask = next((masks / (name + end) for end in ends), None)
        frames[name] = (name, image, mask)
    return list(frames.values())
