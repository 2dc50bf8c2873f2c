"""Scans with label volumes, case by case: what the layouts of volumes share."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from atrous.data.dataset import Dataset, MaskValueError
from atrous.data.volumes.geometry import Volume
from atrous.data.volumes.names import volume_stem, volumes_in
from atrous.data.volumes.read import read_mask_volume, read_volume
from atrous.errors import DataError
from atrous.types import UNLABELLED


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Where the scan and the labels of one patient, or of one visit, lie."""

    name: str
    """Unique in the dataset."""
    images: tuple[Path, ...]
    """One file of all channels, or one a channel, in the layout's order."""
    labels: Path


class VolumeCases(Dataset):
    """Labelled scans; paths are known at construction, voxels are read on access.

    Attributes:
        cases: One per sample, in natural order of names.
        num_classes: Class indices are below this.
        class_names: One per class, where the layout knows them.
        channel_names: One per channel, where the layout knows them.
        regions: Unions of classes by name.
    """

    kind = "volumes"
    has_masks = True

    def __init__(
        self,
        cases: Sequence[Case],
        *,
        num_classes: int,
        class_names: tuple[str, ...] | None = None,
        channel_names: tuple[str, ...] | None = None,
        regions: Mapping[str, tuple[int, ...]] | None = None,
    ) -> None:
        if not 1 <= num_classes <= UNLABELLED:
            raise DataError(
                f"num_classes={num_classes}; expected 1 to {UNLABELLED}, because label "
                f"{UNLABELLED} means unlabelled; name the number of classes."
            )
        names = [case.name for case in cases]
        twice = next((name for name, count in Counter(names).items() if count > 1), None)
        if twice is not None:
            raise DataError(
                f"Case {twice!r} is there twice; expected every case once; take one out, or rename "
                "it."
            )
        self.cases = tuple(cases)
        self.num_classes = num_classes
        self.class_names = class_names
        self.channel_names = channel_names
        self.regions = regions or {}

    @property
    def names(self) -> tuple[str, ...]:
        """Name of every sample, in order; nothing is read for it."""
        return tuple(case.name for case in self.cases)

    def volume(self, index: int) -> Volume:
        """The scan of sample `index` alone: `(C, D, H, W)`.

        Raises:
            DataError: If a file is broken, they do not lie on one grid, or the scan has other
                channels than the layout names.
        """
        case = self.cases[index]
        volume = read_volume(case.images)
        if self.channel_names is not None and len(volume.array) != len(self.channel_names):
            raise DataError(
                f"{case.images[0]}: {len(volume.array)} channels; expected "
                f"{len(self.channel_names)}: {', '.join(self.channel_names)}; make the scan so."
            )
        return volume

    def volume_and_mask(self, index: int) -> tuple[Volume, Tensor]:
        """The scan `(C, D, H, W)` and its mask `(D, H, W)` int64, 255 where unlabelled.

        Raises:
            DataError: As `volume`, or if a label is neither a class nor 255.
        """
        case = self.cases[index]
        volume = self.volume(index)
        labels = read_mask_volume(case.labels, like=volume.geometry)
        mask = self._to_classes(labels, case.labels)
        if int(mask.max()) >= self.num_classes:
            is_wrong = (mask >= self.num_classes) & (mask != UNLABELLED)
            if is_wrong.any():
                raise MaskValueError(
                    f"{case.labels}: holds class {int(mask[is_wrong][0])}; expected classes below "
                    f"num_classes={self.num_classes}, or {UNLABELLED} where unlabelled; correct "
                    "the labels or num_classes.",
                    values=tuple(mask[is_wrong].unique().tolist()),
                )
        return volume, mask

    def files(self, index: int) -> tuple[Path, ...]:
        """The files of sample `index`, its scan's first and its labels last; nothing is read."""
        case = self.cases[index]
        return *case.images, case.labels

    def _to_classes(self, labels: Tensor, _path: Path) -> Tensor:
        """Class indices and 255 from the values in a file; layouts with other values override."""
        return labels


def by_stem(folder: Path) -> dict[str, Path]:
    """The volumes of a folder by stem, in natural order.

    Raises:
        DataError: If it cannot be listed, or two share a stem.
    """
    found: dict[str, Path] = {}
    for path in volumes_in(folder):
        other = found.setdefault(volume_stem(path), path)
        if other is not path:
            raise DataError(
                f"{folder}: {other.name!r} and {path.name!r} share a stem; expected one file a "
                "stem, because stems pair scans with labels; remove one."
            )
    return found
