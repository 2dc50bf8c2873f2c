"""Any layout with its classes renamed, merged and dropped by a class map."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from atrous.data.class_map import ClassMap
from atrous.data.dataset import (
    AnyLayout,
    DrawnLayout,
    LabelLayout,
    Layout,
    Sample,
    SlideLayout,
    SlideTruth,
    VolumeLayout,
)
from atrous.data.volumes.geometry import Volume
from atrous.errors import DataError
from atrous.types import UNLABELLED, Size


class RemappedMasks(Dataset[Sample]):
    """The samples of another layout, their masks in the shared classes of a class map.

    Classes that the map leaves out become 255, unlabelled; what was unlabelled stays so.

    Attributes:
        num_classes: Of the map.
        class_names: The map's shared classes.

    Raises:
        UnknownNameError: If the map names a class that the layout does not have.
    """

    def __init__(self, source: Layout, class_map: ClassMap) -> None:
        self.num_classes = len(class_map.classes)
        self.class_names: tuple[str, ...] | None = class_map.classes
        self._source = source
        self._map_files = () if class_map.path is None else (class_map.path,)
        self._table = _table(source, class_map)

    def __len__(self) -> int:
        return len(self._source)

    def __getitem__(self, index: int) -> Sample:
        sample = self._source[index]
        assert sample.mask is not None  # every layout of masks gives one
        return replace(sample, mask=self._table[sample.mask])

    @property
    def names(self) -> tuple[str, ...]:
        """Name of every sample, in order; nothing is read for it."""
        return self._source.names

    def rgb8_and_mask(self, index: int) -> tuple[NDArray[np.uint8], Tensor]:
        """Sample `index` without floats: RGB `(H, W, 3)` uint8 and mask `(H, W)` int64."""
        rgb, mask = self._source.rgb8_and_mask(index)
        return rgb, self._table[mask]

    def files(self, index: int) -> tuple[Path, ...]:
        """The files that sample `index` is read from, and that of the class map."""
        return (*self._source.files(index), *self._map_files)


class RemappedJoint(RemappedMasks):
    """As `RemappedMasks`, of a layout that has labels too; these are left as they are."""

    def __init__(self, source: Layout, labelled: LabelLayout, class_map: ClassMap) -> None:
        super().__init__(source, class_map)
        self.label_names = labelled.label_names
        self.labels = labelled.labels
        self._labelled = labelled

    def rgb8(self, index: int) -> NDArray[np.uint8]:
        """The image of sample `index`: RGB `(H, W, 3)` uint8."""
        return self._labelled.rgb8(index)


class RemappedDraws(RemappedMasks):
    """As `RemappedMasks`, of a layout that patches are drawn from."""

    def __init__(self, source: DrawnLayout, class_map: ClassMap) -> None:
        super().__init__(source, class_map)
        self._drawn = source

    def draw(self, rng: np.random.Generator) -> tuple[NDArray[np.uint8], Tensor, str]:
        """A patch by chance, its classes those of the map; it is balanced by those of the data."""
        rgb, mask, name = self._drawn.draw(rng)
        return rgb, self._table[mask], name


class RemappedSlides(RemappedDraws):
    """As `RemappedDraws`, of slides, which can be scored whole."""

    def __init__(self, source: SlideLayout, class_map: ClassMap) -> None:
        super().__init__(source, class_map)
        self._slides = source

    @property
    def slide_names(self) -> tuple[str, ...]:
        """Of all slides, in order."""
        return self._slides.slide_names

    def open_slide(self, number: int) -> SlideTruth:
        """A slide and its truth in the classes of the map."""
        return _RemappedSlide(self._slides.open_slide(number), self._table)


class _RemappedSlide:
    """A slide, its truth in the shared classes."""

    def __init__(self, whole: SlideTruth, table: Tensor) -> None:
        self.name, self.slide, self.mpp = whole.name, whole.slide, whole.mpp
        self._whole = whole
        self._table = table.numpy().astype(np.uint8)

    def truth(self, top: int, left: int, size: Size) -> NDArray[np.uint8]:
        """Labels of a window, `(H, W)`."""
        return self._table[self._whole.truth(top, left, size)]


class RemappedLabels(Dataset[Sample]):
    """The samples of another layout, their labels in the shared classes of a class map.

    Samples whose label the map leaves out are left out.

    Attributes:
        label_names: The map's shared classes.
        labels: One per sample that is left.

    Raises:
        UnknownNameError: If the map names a label that the layout does not have.
        DataError: If no sample is left.
    """

    def __init__(self, source: LabelLayout, class_map: ClassMap) -> None:
        names = source.label_names
        table = class_map.data_table(names, num_classes=len(names))
        self._source = source
        self._indices = [i for i, label in enumerate(source.labels) if table[label] != UNLABELLED]
        self.label_names = class_map.classes
        self.labels = tuple(table[source.labels[i]] for i in self._indices)
        if not self._indices:
            raise DataError(
                f"{class_map.name} leaves out the labels of all {len(source)} images; expected "
                f"some of {', '.join(sorted({names[label] for label in source.labels}))}; add them."
            )

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, index: int) -> Sample:
        return replace(self._source[self._indices[index]], label=self.labels[index])

    @property
    def names(self) -> tuple[str, ...]:
        """Name of every sample, in order; nothing is read for it."""
        names = self._source.names
        return tuple(names[index] for index in self._indices)

    def rgb8(self, index: int) -> NDArray[np.uint8]:
        """The image of sample `index`: RGB `(H, W, 3)` uint8."""
        return self._source.rgb8(self._indices[index])

    def files(self, index: int) -> tuple[Path, ...]:
        """The files that sample `index` is read from."""
        return self._source.files(self._indices[index])


class RemappedVolumes(Dataset[Sample]):
    """The volumes of another layout, their masks in the shared classes of a class map.

    Regions are dropped: they were unions of the classes that are no more.

    Attributes:
        num_classes: Of the map.
        class_names: The map's shared classes.
        channel_names: As the other layout's.

    Raises:
        UnknownNameError: If the map names a class that the layout does not have.
    """

    def __init__(self, source: VolumeLayout, class_map: ClassMap) -> None:
        self.num_classes = len(class_map.classes)
        self.class_names: tuple[str, ...] | None = class_map.classes
        self.channel_names = source.channel_names
        self.regions: Mapping[str, tuple[int, ...]] = {}
        self._source = source
        self._map_files = () if class_map.path is None else (class_map.path,)
        self._table = _table(source, class_map)

    def __len__(self) -> int:
        return len(self._source)

    def __getitem__(self, index: int) -> Sample:
        sample = self._source[index]
        assert sample.mask is not None  # every layout of volumes gives one
        return replace(sample, mask=self._table[sample.mask])

    @property
    def names(self) -> tuple[str, ...]:
        """Name of every sample, in order; nothing is read for it."""
        return self._source.names

    def volume(self, index: int) -> Volume:
        """The scan of sample `index` alone: `(C, D, H, W)`."""
        return self._source.volume(index)

    def volume_and_mask(self, index: int) -> tuple[Volume, Tensor]:
        """The scan `(C, D, H, W)` and its mask `(D, H, W)` int64, 255 where unlabelled."""
        volume, mask = self._source.volume_and_mask(index)
        return volume, self._table[mask]

    def files(self, index: int) -> tuple[Path, ...]:
        """The files that sample `index` is read from, and that of the class map."""
        return (*self._source.files(index), *self._map_files)


def remapped(layout: AnyLayout, class_map: ClassMap) -> AnyLayout:
    """A layout of the same kind in the shared classes; the map's side of networks is not read.

    Where a layout has masks and labels, the map is for the masks.

    Raises:
        UnknownNameError: If the map names a class that the layout does not have.
        DataError: If the layout has labels only, and no sample is left.
    """
    if isinstance(layout, VolumeLayout):
        return RemappedVolumes(layout, class_map)
    if isinstance(layout, SlideLayout):
        return RemappedSlides(layout, class_map)
    if isinstance(layout, DrawnLayout):
        return RemappedDraws(layout, class_map)
    if isinstance(layout, Layout):
        if isinstance(layout, LabelLayout):
            return RemappedJoint(layout, layout, class_map)
        return RemappedMasks(layout, class_map)
    return RemappedLabels(layout, class_map)


def _table(source: Layout | VolumeLayout, class_map: ClassMap) -> Tensor:
    """Indexed by all that a mask may hold: classes, and 255, which stays what it is."""
    known = class_map.data_table(source.class_names, num_classes=source.num_classes)
    table = torch.full((UNLABELLED + 1,), UNLABELLED)
    table[: len(known)] = torch.tensor(known)
    return table
