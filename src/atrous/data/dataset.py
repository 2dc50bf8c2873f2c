"""What every layout gives and every pipeline takes: one image and what is known of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from atrous.data.slides.read import Slide
from atrous.data.volumes.geometry import Volume
from atrous.errors import DataError
from atrous.types import Size


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One image (or volume) and what is known of it."""

    name: str
    """Unique in its dataset; stable between runs; used for output file names."""
    image: Tensor
    """`(C, *S)` float32: images in [0, 1], RGB where C is 3; volumes with the scan's own values."""
    mask: Tensor | None = None
    """`(*S)` int64 class indices; 255 where unlabelled."""
    label: int | None = None
    """Class index of the whole image."""
    spacing: tuple[float, ...] | None = None
    """Physical size of a pixel or voxel along each axis of S: mm for volumes, µm for slides."""


@runtime_checkable
class VolumeLayout(Protocol):
    """A dataset of scans on disk with a class for every voxel, whatever its folders look like."""

    num_classes: int
    class_names: tuple[str, ...] | None
    channel_names: tuple[str, ...] | None
    """What the scans' channels are, such as `t1` and `flair`; None where nothing says it."""
    regions: Mapping[str, tuple[int, ...]]
    """Unions of classes that are scored and learned beside or instead of classes; maybe none."""

    @property
    def names(self) -> tuple[str, ...]:
        """Name of every sample, in order."""
        ...

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Sample: ...

    def volume(self, index: int) -> Volume:
        """The scan of sample `index` alone: `(C, D, H, W)`."""
        ...

    def volume_and_mask(self, index: int) -> tuple[Volume, Tensor]:
        """The scan `(C, D, H, W)` and its mask `(D, H, W)` int64, 255 where unlabelled."""
        ...

    def files(self, index: int) -> tuple[Path, ...]:
        """The files that sample `index` is read from: one or more of the scan, then the labels."""
        ...


__all__ = [
    "AnyLayout",
    "DrawnLayout",
    "LabelLayout",
    "Layout",
    "MaskSizeError",
    "MaskValueError",
    "SlideLayout",
    "SlideTruth",
    "VolumeLayout",
    "require_labels",
    "require_masks",
    "require_slides",
    "require_volumes",
]


@runtime_checkable
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

    def files(self, index: int) -> tuple[Path, ...]:
        """The files that sample `index` is read from, its image first; nothing is read for it."""
        ...


@runtime_checkable
class DrawnLayout(Layout, Protocol):
    """A layout of images too large to be samples, such as slides.

    Its samples are a fixed choice of patches, to measure by; a training draws others.
    """

    def draw(self, rng: np.random.Generator) -> tuple[NDArray[np.uint8], Tensor, str]:
        """A patch by chance: RGB `(H, W, 3)` uint8, mask `(H, W)` int64, and its name."""
        ...


class SlideTruth(Protocol):
    """A whole slide and its truth, both read in windows at one scale."""

    @property
    def name(self) -> str:
        """Of the slide."""
        ...

    @property
    def slide(self) -> Slide:
        """Open."""
        ...

    @property
    def mpp(self) -> tuple[float, float]:
        """Micrometres per pixel of the windows, down and to the right."""
        ...

    def truth(self, top: int, left: int, size: Size) -> NDArray[np.uint8]:
        """Labels of a window, `(H, W)`; 255 where unlabelled and beyond the slide."""
        ...


@runtime_checkable
class SlideLayout(DrawnLayout, Protocol):
    """A layout of slides, which can be scored whole."""

    @property
    def slide_names(self) -> tuple[str, ...]:
        """Of all slides, in order."""
        ...

    def open_slide(self, number: int) -> SlideTruth:
        """A slide and its truth; they stay open for those who hold them."""
        ...


@runtime_checkable
class LabelLayout(Protocol):
    """A dataset of images on disk, each with one label of the whole of it.

    A layout that has masks too keeps both protocols; of one that has none, `Sample.mask` is None.
    """

    label_names: tuple[str, ...]
    labels: tuple[int, ...]
    """Index into `label_names` of every sample, in order."""

    @property
    def names(self) -> tuple[str, ...]:
        """Name of every sample, in order."""
        ...

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Sample: ...

    def rgb8(self, index: int) -> NDArray[np.uint8]:
        """The image of sample `index`: RGB `(H, W, 3)` uint8."""
        ...

    def files(self, index: int) -> tuple[Path, ...]:
        """The files that sample `index` is read from, its image first; nothing is read for it."""
        ...


AnyLayout: TypeAlias = Layout | LabelLayout | VolumeLayout
"""What `open_layout` gives; `require_masks`, `require_labels` and `require_volumes` tell which."""


class MaskSizeError(DataError):
    """An image and its mask differ in size."""


class MaskValueError(DataError):
    """A mask holds values that are neither a class nor 255.

    Attributes:
        values: All of them that this mask holds, ascending.
    """

    def __init__(self, message: str, *, values: tuple[int, ...]) -> None:
        super().__init__(message)
        self.values = values


def require_masks(layout: AnyLayout) -> Layout:
    """The same layout, which is seen to have masks.

    Raises:
        DataError: If it has labels only, or volumes.
    """
    if isinstance(layout, Layout):
        return layout
    if isinstance(layout, VolumeLayout):
        raise DataError(
            f"{type(layout).__name__} data are volumes; expected images with masks; name a layout "
            "of images, or a network for volumes."
        )
    raise DataError(
        f"{type(layout).__name__} data has a label for every image but no masks; expected masks; "
        "name a layout that has them, or train and score a classifier."
    )


def require_labels(layout: AnyLayout) -> LabelLayout:
    """The same layout, which is seen to have a label for every image.

    Raises:
        DataError: If it has masks only.
    """
    if isinstance(layout, LabelLayout):
        return layout
    raise DataError(
        f"{type(layout).__name__} data has masks but no label for a whole image; expected labels; "
        "name a layout that has them: image_folder or joint_folder."
    )


def require_volumes(layout: AnyLayout) -> VolumeLayout:
    """The same layout, which is seen to hold labelled volumes.

    Raises:
        DataError: If it holds images.
    """
    if isinstance(layout, VolumeLayout):
        return layout
    raise DataError(
        f"{type(layout).__name__} data are images; expected volumes; name a layout that has them, "
        "such as volume_folder."
    )


def require_slides(layout: AnyLayout) -> SlideLayout:
    """The same layout, which is seen to hold slides with masks.

    Raises:
        DataError: If it holds images or volumes.
    """
    if isinstance(layout, SlideLayout):
        return layout
    raise DataError(
        f"{type(layout).__name__} data are no slides; expected slides with their truth; name the "
        "layout slides."
    )
