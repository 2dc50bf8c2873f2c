"""Patches of breast biopsies with eight tissues, as the authors of Y-Net published some."""

from pathlib import Path
from typing import Final

from atrous.data.layouts.mask_folder import split_folder
from atrous.data.layouts.pairs import PairedMasks, pair_by_stem

TISSUES: Final = (
    "background",
    "benign epithelium",
    "malignant epithelium",
    "normal stroma",
    "desmoplastic stroma",
    "secretion",
    "blood",
    "necrosis",
)
"""Class names by index."""


class BreastBiopsy(PairedMasks):
    """Images in `root/images`, masks of the same stem in `root/masks`: 8 tissues, 255 unlabelled.

    A mask is grey, or has three channels that are equal.

    Args:
        root: Folder that holds `images/` and `masks/`, or holds splits that do.
        split: Name of a folder in `root` that holds `images/` and `masks/`.

    Raises:
        UnknownNameError: If `root` has no such split; the message lists those it has.
        DataError: If the folders are missing, or images and masks do not pair.

    Source: Mehta et al., "Y-Net: Joint Segmentation and Classification for Diagnosis of Breast
        Biopsy Images", MICCAI 2018, for the tissues; the authors' code for the files.
    """

    def __init__(self, root: str | Path, *, split: str | None = None) -> None:
        folder = split_folder(Path(root), split)
        super().__init__(
            pair_by_stem(folder / "images", folder / "masks"),
            num_classes=len(TISSUES),
            class_names=TISSUES,
        )
