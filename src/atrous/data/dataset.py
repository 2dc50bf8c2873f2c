"""A data set as a value: its samples, and what all of them are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Literal, Protocol, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils import data as torch_data

from atrous.data.slides.parts import SlideReading
from atrous.data.slides.read import Slide
from atrous.data.volumes.geometry import Volume
from atrous.errors import DataError
from atrous.types import Kind, Size

Need = Literal["masks", "labels", "volumes", "slides"]
"""What a pipeline may need of a data set: masks of images, labels of whole images, and so on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One image or volume and what is known of it.

    Attributes:
        name: Unique in its data set, and stable between runs; used for output file names.
        image: `(C, *S)` float32: images in [0, 1], RGB where C is 3; volumes with the scan's own
            values.
        mask: `(*S)` int64 class indices, 255 where unlabelled; None where there is none.
        label: Class index of the whole image; None where there is none.
        spacing: Physical size of a pixel or voxel along each axis of S: mm for volumes, µm for
            slides; None where it is not known.
    """

    name: str
    image: Tensor
    mask: Tensor | None = None
    label: int | None = None
    spacing: tuple[float, ...] | None = None


class SlideTruth(Protocol):
    """A whole slide and its truth, both read in windows at one scale."""

    @property
    def name(self) -> str:
        """Name of the slide."""
        ...

    @property
    def slide(self) -> Slide:
        """The slide, open."""
        ...

    @property
    def mpp(self) -> tuple[float, float]:
        """Micrometres per pixel of the windows, down and to the right."""
        ...

    @property
    def frame(self) -> str:
        """Where the truth's places count from: `qupath` or `level0`."""
        ...

    @property
    def notes(self) -> tuple[str, ...]:
        """What of the truth was left out or taken for something else, a sentence each."""
        ...

    def truth(self, top: int, left: int, size: Size) -> NDArray[np.uint8]:
        """Classes of a window, `(H, W)`; 255 where unlabelled and beyond the slide."""
        ...


class Dataset(torch_data.Dataset[Sample]):
    """Samples on disk, whatever their folders look like; files are listed at once, read later.

    What the samples have is told by attributes. A method that the kind of data does not have
    raises `DataError`; `require` says so before any work.

    Attributes:
        kind: What the samples are: photos, patches of slides, or volumes.
        has_masks: Whether samples have a class for every pixel or voxel.
        is_drawn: Whether `draw` gives patches by chance, of images too large to be samples.
        num_classes: Class indices of masks are below this; 0 without masks.
        num_channels: Of `pixels_and_mask`; 3 is RGB.
        class_names: Name of every class of masks; None where nothing says it.
        label_names: Name of every label of whole images; empty without labels.
        labels: Index into `label_names` of every sample, in order; empty without labels.
        channel_names: What the channels of volumes are, such as `t1`; None where nothing says it.
        regions: Unions of classes that are learned and scored beside or instead of classes.
        lone_truths: Names of truth files of no sample, which are passed over.
    """

    kind: Kind = "photos"
    has_masks: bool = False
    is_drawn: bool = False
    num_classes: int = 0
    num_channels: int = 3
    class_names: tuple[str, ...] | None = None
    label_names: tuple[str, ...] = ()
    labels: tuple[int, ...] = ()
    channel_names: tuple[str, ...] | None = None
    regions: Mapping[str, tuple[int, ...]] = MappingProxyType({})
    lone_truths: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Name of every sample, in order; nothing is read for it."""
        raise NotImplementedError

    @property
    def has_labels(self) -> bool:
        """Whether every sample has a label of the whole image."""
        return bool(self.label_names)

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> Sample:
        label = self.labels[index] if self.has_labels else None
        if self.kind == "volumes":
            volume, mask = self.volume_and_mask(index)
            return Sample(
                name=self.names[index],
                image=torch.from_numpy(volume.array),
                mask=mask,
                spacing=volume.spacing,
            )
        rgb, found = self.rgb8_and_mask(index) if self.has_masks else (self.rgb8(index), None)
        image = torch.from_numpy(rgb).permute(2, 0, 1).contiguous().float().div_(255)
        return Sample(name=self.names[index], image=image, mask=found, label=label)

    def files(self, index: int) -> tuple[Path, ...]:
        """The files that sample `index` is read from, its image first; nothing is read for it."""
        raise NotImplementedError

    def rgb8(self, index: int) -> NDArray[np.uint8]:
        """The image of sample `index` alone: RGB `(H, W, 3)` uint8.

        Raises:
            DataError: If its file is broken, or the samples are volumes.
        """
        return self.rgb8_and_mask(index)[0]

    def rgb8_and_mask(self, index: int) -> tuple[NDArray[np.uint8], Tensor]:
        """Sample `index` without floats: RGB `(H, W, 3)` uint8 and mask `(H, W)` int64.

        Raises:
            DataError: If a file is broken, or there are no masks of images.
        """
        raise self._lacks("masks")

    def pixels_and_mask(self, index: int) -> tuple[NDArray[np.uint8 | np.float32], Tensor]:
        """What a network is fed of sample `index`, and its mask `(H, W)` int64.

        Pixels are RGB `(H, W, 3)` uint8, or of images of other channels `(H, W, C)` float32.

        Raises:
            DataError: As `rgb8_and_mask`.
        """
        return self.rgb8_and_mask(index)

    def volume(self, index: int) -> Volume:
        """The scan of sample `index` alone: `(C, D, H, W)`.

        Raises:
            DataError: If its file is broken, or the samples are no volumes.
        """
        raise self._lacks("volumes")

    def volume_and_mask(self, index: int) -> tuple[Volume, Tensor]:
        """The scan `(C, D, H, W)` and its mask `(D, H, W)` int64, 255 where unlabelled.

        Raises:
            DataError: If a file is broken, or the samples are no volumes.
        """
        raise self._lacks("volumes")

    def draw(self, rng: np.random.Generator) -> tuple[NDArray[np.uint8], Tensor, str]:
        """A patch by chance: RGB `(H, W, 3)` uint8, mask `(H, W)` int64, and its name.

        Raises:
            DataError: If a file is broken, or the data are no slides.
        """
        raise self._lacks("slides")

    @property
    def slide_names(self) -> tuple[str, ...]:
        """Name of every slide, in order; empty where the data are no slides."""
        return ()

    def open_slide(self, number: int) -> SlideTruth:
        """A slide and its truth; they stay open for those who hold them.

        Raises:
            DataError: If a file is broken, or the data are no slides.
        """
        raise self._lacks("slides")

    def read_at(
        self,
        *,
        mpp: float | None = None,
        patch_size: Size | None = None,
        names: Sequence[str] | None = None,
        reading: SlideReading | None = None,
    ) -> "Dataset":
        """The same slides, or some of them, at another scale or in other patches.

        Raises:
            DataError: If the data are no slides, or a length is not positive.
        """
        raise self._lacks("slides")

    def require(self, need: Need) -> Self:
        """The same data set, which is seen to have what is needed.

        Args:
            need: `masks` of images, `labels` of whole images, `volumes` with masks, or `slides`.

        Raises:
            DataError: If it has something else.
        """
        has_it = {
            "masks": self.has_masks and self.kind != "volumes",
            "labels": self.has_labels,
            "volumes": self.kind == "volumes",
            "slides": self.kind == "slides",
        }
        if not has_it[need]:
            raise self._lacks(need)
        return self

    def _lacks(self, need: Need) -> DataError:
        """The error for those who need what is not there."""
        name = type(self).__name__
        expected = {
            "masks": "images with masks; name a layout that has them, or a network for this data",
            "labels": "labels of whole images; name a layout that has them: image_folder or "
            "joint_folder",
            "volumes": "volumes; name a layout that has them, such as volume_folder",
            "slides": "slides with their truth; name the layout slides",
        }
        if self.kind == "volumes":
            found = "are volumes"
        elif self.has_masks:
            found = "has masks but no label for a whole image" if need == "labels" else "are images"
        else:
            found = "has a label for every image but no masks"
        return DataError(f"{name} data {found}; expected {expected[need]}.")


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
