"""COCO-Stuff: COCO's photos with a class for every pixel, in masks of PNG."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import torch
from torch import Tensor

from atrous.data.dataset import MaskValueError
from atrous.data.layouts.coco_labels import (
    FIRST_STUFF_ID,
    NEVER_ANNOTATED,
    OTHER_ID,
    STUFF_NAMES,
    THING_NAMES,
)
from atrous.data.layouts.pairs import PairedMasks, pair_by_stem
from atrous.errors import DataError
from atrous.types import UNLABELLED


class COCOStuff(PairedMasks):
    """Photos with 171 classes, 80 things and 91 kinds of stuff, as `stuffthingmaps` has them.

    Images are `SPLIT/NAME.jpg` or `images/SPLIT/NAME.jpg`. Masks, of the same stem, are in
    `stuffthingmaps/SPLIT`, `stuffthingmaps_trainval2017/SPLIT` or `annotations/SPLIT`. A mask
    holds label id - 1, so 0 to 181, and 255 where unlabelled; the 11 ids that are not annotated in
    any image are no classes, and the classes are the others in the order of their ids.

    Args:
        root: Folder that holds the images and the masks.
        split: `train2017` or `val2017`.

    Raises:
        DataError: If the folders are not so, or an image has no mask.

    Source: Caesar et al., "COCO-Stuff: Thing and Stuff Classes in Context", CVPR 2018; ids and
        values from the README and `labels.txt` of its repository.
    """

    def __init__(self, root: str | Path, *, split: str) -> None:
        root = Path(root)
        masks = ("stuffthingmaps", "stuffthingmaps_trainval2017", "annotations")
        super().__init__(
            pair_by_stem(
                coco_images(root, split), _first_folder(root, [f"{m}/{split}" for m in masks])
            ),
            num_classes=len(_STUFF_AND_THINGS),
            class_names=tuple(_STUFF_AND_THINGS.values()),
        )

    def _to_classes(self, mask: Tensor, path: Path) -> Tensor:
        return _look_up(mask, path, _CLASS_OF_STUFF_THING_VALUE, "0 to 181 without the 11 unused")


class COCOStuffOnly(PairedMasks):
    """Photos with 92 classes, 91 kinds of stuff and `other` for all things.

    Images are as for `COCOStuff`. Masks, of the same stem, are in `stuff_SPLIT_pixelmaps` or
    `annotations/stuff_SPLIT_pixelmaps`. A mask holds label ids: 92 to 182 for stuff, 183 for
    `other`, and 0 where unlabelled.

    Args:
        root: Folder that holds the images and the masks.
        split: `train2017` or `val2017`.

    Raises:
        DataError: If the folders are not so, or an image has no mask.

    Source: the COCO 2017 Stuff Segmentation Challenge; ids from the README and `labels.txt` of
        COCO-Stuff.
    """

    def __init__(self, root: str | Path, *, split: str) -> None:
        root = Path(root)
        name = f"stuff_{split}_pixelmaps"
        super().__init__(
            pair_by_stem(
                coco_images(root, split), _first_folder(root, [name, f"annotations/{name}"])
            ),
            num_classes=len(_STUFF_AND_OTHER),
            class_names=tuple(_STUFF_AND_OTHER.values()),
        )

    def _to_classes(self, mask: Tensor, path: Path) -> Tensor:
        return _look_up(mask, path, _CLASS_OF_STUFF_VALUE, "92 to 183, or 0 where unlabelled")


def coco_images(root: Path, split: str) -> Path:
    """The folder of a split's photos.

    Raises:
        DataError: If there is none.
    """
    return _first_folder(root, [split, f"images/{split}"])


def _first_folder(root: Path, places: Sequence[str]) -> Path:
    folder = next((root / place for place in places if (root / place).is_dir()), None)
    if folder is None:
        raise DataError(
            f"{root}: none of the folders {', '.join(places)} is here; expected one of them; "
            "unpack the archive into this folder, or check root and split."
        )
    return folder


_NO_CLASS: Final = -1


def _table(class_of: Mapping[int, int]) -> Tensor:
    """Class by 8-bit mask value, `(256,)` int64; -1 for values that no mask should hold."""
    table = torch.full((256,), _NO_CLASS)
    for value, class_index in class_of.items():
        table[value] = class_index
    return table


_STUFF_AND_THINGS: Final = {
    label_id: name
    for label_id, name in enumerate(THING_NAMES + STUFF_NAMES, 1)
    if name not in NEVER_ANNOTATED
}
_STUFF_AND_OTHER: Final = {
    **dict(enumerate(STUFF_NAMES, FIRST_STUFF_ID)),
    OTHER_ID: "other",
}
_CLASS_OF_STUFF_THING_VALUE: Final = _table(
    {label_id - 1: index for index, label_id in enumerate(_STUFF_AND_THINGS)}
    | {UNLABELLED: UNLABELLED}
)
_CLASS_OF_STUFF_VALUE: Final = _table(
    {label_id: index for index, label_id in enumerate(_STUFF_AND_OTHER)} | {0: UNLABELLED}
)


def _look_up(mask: Tensor, path: Path, table: Tensor, expected: str) -> Tensor:
    is_wrong = (mask < 0) | (mask > UNLABELLED)
    classes = table[mask.clamp(0, UNLABELLED)]
    is_wrong |= classes == _NO_CLASS
    if is_wrong.any():
        raise MaskValueError(
            f"{path}: holds {int(mask[is_wrong][0])}; expected {expected}; name the layout that "
            "the masks are of, or fetch them anew.",
            values=tuple(mask[is_wrong].unique().tolist()),
        )
    return classes
