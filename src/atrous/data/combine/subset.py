"""Part of a data set, as a list of sample names says, in the order of the list."""

from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from atrous.data.dataset import AnyLayout, LabelLayout, Layout, Sample, VolumeLayout
from atrous.data.layouts.name_list import read_names
from atrous.data.volumes.geometry import Volume
from atrous.errors import DataError

_MAX_COMPARED = 20_000
"""Among more names than this the nearest is not looked for: it would take seconds."""


class MaskSubset(Dataset[Sample]):
    """Some samples of a layout that has masks.

    Attributes:
        indices: Of the samples in the whole layout, in the order of this one.
        num_classes: As the whole layout's, and so `class_names`.
    """

    def __init__(self, whole: Layout, indices: Sequence[int]) -> None:
        self.indices = tuple(indices)
        self.num_classes = whole.num_classes
        self.class_names = whole.class_names
        self._whole = whole

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> Sample:
        return self._whole[self.indices[index]]

    @property
    def names(self) -> tuple[str, ...]:
        """Name of every sample, in order; nothing is read for it."""
        names = self._whole.names
        return tuple(names[index] for index in self.indices)

    def rgb8_and_mask(self, index: int) -> tuple[NDArray[np.uint8], Tensor]:
        """Sample `index` without floats: RGB `(H, W, 3)` uint8 and mask `(H, W)` int64."""
        return self._whole.rgb8_and_mask(self.indices[index])

    def files(self, index: int) -> tuple[Path, ...]:
        """The files that sample `index` is read from."""
        return self._whole.files(self.indices[index])


class LabelSubset(Dataset[Sample]):
    """Some samples of a layout that has labels; its label names are those of the whole.

    Attributes:
        indices: Of the samples in the whole layout, in the order of this one.
        label_names: As the whole layout's.
        labels: One per sample of this one.
    """

    def __init__(self, whole: LabelLayout, indices: Sequence[int]) -> None:
        self.indices = tuple(indices)
        self.label_names = whole.label_names
        self.labels = tuple(whole.labels[index] for index in self.indices)
        self._whole = whole

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> Sample:
        return self._whole[self.indices[index]]

    @property
    def names(self) -> tuple[str, ...]:
        """Name of every sample, in order; nothing is read for it."""
        names = self._whole.names
        return tuple(names[index] for index in self.indices)

    def rgb8(self, index: int) -> NDArray[np.uint8]:
        """The image of sample `index`: RGB `(H, W, 3)` uint8."""
        return self._whole.rgb8(self.indices[index])

    def files(self, index: int) -> tuple[Path, ...]:
        """The files that sample `index` is read from."""
        return self._whole.files(self.indices[index])


class JointSubset(MaskSubset):
    """Some samples of a layout that has both masks and labels; attributes as the two others."""

    def __init__(self, whole: Layout, labelled: LabelLayout, indices: Sequence[int]) -> None:
        super().__init__(whole, indices)
        self.label_names = labelled.label_names
        self.labels = tuple(labelled.labels[index] for index in self.indices)
        self._labelled = labelled

    def rgb8(self, index: int) -> NDArray[np.uint8]:
        """The image of sample `index`: RGB `(H, W, 3)` uint8."""
        return self._labelled.rgb8(self.indices[index])


class VolumeSubset(Dataset[Sample]):
    """Some samples of a layout of volumes; classes, channels and regions are those of the whole.

    Attributes:
        indices: Of the samples in the whole layout, in the order of this one.
    """

    def __init__(self, whole: VolumeLayout, indices: Sequence[int]) -> None:
        self.indices = tuple(indices)
        self.num_classes = whole.num_classes
        self.class_names = whole.class_names
        self.channel_names = whole.channel_names
        self.regions = whole.regions
        self._whole = whole

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> Sample:
        return self._whole[self.indices[index]]

    @property
    def names(self) -> tuple[str, ...]:
        """Name of every sample, in order; nothing is read for it."""
        names = self._whole.names
        return tuple(names[index] for index in self.indices)

    def volume(self, index: int) -> Volume:
        """The scan of sample `index` alone: `(C, D, H, W)`."""
        return self._whole.volume(self.indices[index])

    def volume_and_mask(self, index: int) -> tuple[Volume, Tensor]:
        """The scan `(C, D, H, W)` and its mask `(D, H, W)` int64, 255 where unlabelled."""
        return self._whole.volume_and_mask(self.indices[index])

    def files(self, index: int) -> tuple[Path, ...]:
        """The files that sample `index` is read from."""
        return self._whole.files(self.indices[index])


def take(layout: AnyLayout, indices: Sequence[int]) -> AnyLayout:
    """The samples of those indices, as a layout of the same kind."""
    if isinstance(layout, VolumeLayout):
        return VolumeSubset(layout, indices)
    if isinstance(layout, Layout):
        if isinstance(layout, LabelLayout):
            return JointSubset(layout, layout, indices)
        return MaskSubset(layout, indices)
    return LabelSubset(layout, indices)


def subset_indices(names: Sequence[str], listed: Path) -> tuple[int, ...]:
    """Where the names that a file lists stand among `names`, in the file's order.

    Raises:
        DataError: If the file cannot be read, lists a name twice, or lists one that is not there.
    """
    index_of = {name: index for index, name in enumerate(names)}
    wanted = read_names(listed)
    unknown = [name for name in wanted if name not in index_of]
    if unknown:
        close = get_close_matches(unknown[0], names, n=1) if len(names) <= _MAX_COMPARED else []
        hint = f" (did you mean {close[0]!r}?)" if close else ""
        raise DataError(
            f"{listed}: {len(unknown)} of its {len(wanted)} names are not in the data, the first "
            f"being {unknown[0]!r}{hint}; expected names of samples such as {names[0]!r}; correct "
            "the file or name the data that it was made for."
        )
    return tuple(index_of[name] for name in wanted)
