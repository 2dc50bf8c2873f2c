"""Layouts by name: how a command line or a recipe says what a folder looks like inside."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from atrous.data.layouts.camvid import CamVid
from atrous.data.layouts.cityscapes import Cityscapes
from atrous.data.layouts.mask_folder import BinaryFolder, MaskFolder
from atrous.data.layouts.voc import VOC
from atrous.data.sample import Sample
from atrous.errors import DataError, UnknownNameError


class Layout(Protocol):
    """A dataset of images and masks on disk, whatever its folders look like.

    It has a length and integer indices, as `torch.utils.data.DataLoader` wants them.
    """

    num_classes: int
    class_names: tuple[str, ...] | None

    @property
    def names(self) -> tuple[str, ...]:
        """Name of every sample, in order."""
        ...

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Sample: ...

    def rgb8_and_mask(self, index: int) -> tuple[NDArray[np.uint8], Tensor]:
        """Sample `index` without floats: RGB `(H, W, 3)` uint8 and mask `(H, W)` int64."""
        ...


class LayoutFactory(Protocol):
    """The signature every layout has here, so that names are interchangeable."""

    def __call__(self, root: Path, *, split: str | None, num_classes: int | None) -> Layout: ...


def _camvid(
    root: Path,
    *,
    split: str | None,
    num_classes: int | None,  # noqa: ARG001 - one signature for all
) -> Layout:
    return CamVid(root, split=_named_split(root, split, layout="camvid"))


def _cityscapes(
    root: Path,
    *,
    split: str | None,
    num_classes: int | None,  # noqa: ARG001 - one signature for all
) -> Layout:
    return Cityscapes(root, split=_named_split(root, split, layout="cityscapes"))


def _voc(
    root: Path,
    *,
    split: str | None,
    num_classes: int | None,  # noqa: ARG001 - one signature for all
) -> Layout:
    return VOC(root, split=_named_split(root, split, layout="voc"))


def _named_split(root: Path, split: str | None, *, layout: str) -> str:
    if split is None:
        raise DataError(
            f"{root}: layout {layout!r} is kept in splits, but none was named; "
            "expected one such as 'val'; name it."
        )
    return split


def _mask_folder(root: Path, *, split: str | None, num_classes: int | None) -> Layout:
    if num_classes is None:
        raise DataError(
            f"{root}: layout 'mask_folder' does not know its classes; expected num_classes; "
            "say how many there are."
        )
    return MaskFolder(root, num_classes=num_classes, split=split)


def _binary_folder(
    root: Path,
    *,
    split: str | None,
    num_classes: int | None,  # noqa: ARG001 - one signature for all
) -> Layout:
    return BinaryFolder(root, split=split)


LAYOUTS: Final[Mapping[str, LayoutFactory]] = MappingProxyType(
    {
        "binary_folder": _binary_folder,
        "camvid": _camvid,
        "cityscapes": _cityscapes,
        "mask_folder": _mask_folder,
        "voc": _voc,
    }
)


def open_layout(
    name: str, root: str | Path, *, split: str | None = None, num_classes: int | None = None
) -> Layout:
    """Open a dataset on disk by the name of its layout; files are paired at once, read later.

    Args:
        name: `camvid`, `cityscapes`, `voc`, `mask_folder` or `binary_folder`.
        root: The dataset's folder.
        split: Which part; the first three need it, the others take it where `root` is so divided.
        num_classes: How many classes masks may hold, for layouts that cannot know: `mask_folder`
            needs it, the others leave it aside.

    Raises:
        UnknownNameError: If there is no such layout, or no such split.
        DataError: If the folder is not laid out so.
    """
    if name not in LAYOUTS:
        raise UnknownNameError("layout", name, LAYOUTS)
    return LAYOUTS[name](Path(root), split=split, num_classes=num_classes)
