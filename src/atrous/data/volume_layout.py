"""What a layout of labelled volumes is to its users."""

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol, runtime_checkable

from torch import Tensor

from atrous.data.sample import Sample
from atrous.data.volume import Volume


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
