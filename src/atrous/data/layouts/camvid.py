"""CamVid in the folders of the SegNet tutorial: `train/` and `trainannot/`, and so on."""

from pathlib import Path
from typing import Final

import torch
from torch import Tensor

from atrous.data.layouts.pairs import PairedMasks, pair_by_stem
from atrous.errors import DataError, UnknownNameError
from atrous.types import UNLABELLED

CAMVID_CLASSES: Final = (
    "Sky",
    "Building",
    "Pole",
    "Road",
    "Pavement",
    "Tree",
    "SignSymbol",
    "Fence",
    "Car",
    "Pedestrian",
    "Bicyclist",
)
CAMVID_VOID: Final = 11
"""What the mask files hold where nobody labelled; samples hold 255 there."""


class CamVid(PairedMasks):
    """Street scenes with 11 classes: images in `root/SPLIT`, masks in `root/SPLITannot`.

    Images and masks pair by stem, whatever the image's suffix.

    Args:
        root: Folder that holds the splits.
        split: Name of a split, such as `train`, `val` or `test`.

    Raises:
        UnknownNameError: If `root` has no such split; the message lists those it has.
        DataError: If `root` has no splits at all, or images and masks do not pair.

    Source: Badrinarayanan et al., "SegNet", whose tutorial published this split of CamVid
        (Brostow et al., 2009).
    """

    def __init__(self, root: str | Path, *, split: str) -> None:
        root = Path(root)
        splits = _splits(root)
        if split not in splits:
            raise UnknownNameError("split", split, splits)
        super().__init__(
            pair_by_stem(root / split, root / f"{split}annot"),
            num_classes=len(CAMVID_CLASSES),
            class_names=CAMVID_CLASSES,
        )

    def _to_classes(self, mask: Tensor, _path: Path) -> Tensor:
        return torch.where(mask == CAMVID_VOID, UNLABELLED, mask)


def _splits(root: Path) -> list[str]:
    splits = [
        masks.name.removesuffix("annot")
        for masks in root.glob("*annot")
        if (root / masks.name.removesuffix("annot")).is_dir() and masks.is_dir()
    ]
    if not splits:
        raise DataError(
            f"{root}: no split here; expected pairs of folders such as train/ and trainannot/; "
            "check the path."
        )
    return splits
