"""Several data sets of one kind as one, one after the other."""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from atrous.data.dataset import AnyLayout, DrawnLayout, LabelLayout, Layout, Sample, VolumeLayout
from atrous.data.volumes.geometry import Volume
from atrous.errors import DataError

T = TypeVar("T")


class _Joined(Dataset[Sample]):
    """What joined layouts of masks and of labels share: which part a sample lies in."""

    def __init__(self, parts: Sequence[AnyLayout], prefixes: Sequence[str]) -> None:
        self.parts = tuple(parts)
        self.names = _unique_names(parts, prefixes)
        self._starts = (0, *accumulate(len(part) for part in parts))

    def __len__(self) -> int:
        return self._starts[-1]

    def __getitem__(self, index: int) -> Sample:
        part, position = self._locate(index)
        return self.parts[part][position]

    def files(self, index: int) -> tuple[Path, ...]:
        """The files that sample `index` is read from."""
        part, position = self._locate(index)
        return self.parts[part].files(position)

    def _locate(self, index: int) -> tuple[int, int]:
        """The part that holds a sample, and where in it."""
        if not -len(self) <= index < len(self):
            raise IndexError(f"sample {index} of {len(self)}")
        index %= len(self)
        part = bisect_right(self._starts, index) - 1
        return part, index - self._starts[part]


class JoinedMasks(_Joined):
    """Layouts of masks with the same classes, as one."""

    def __init__(self, parts: Sequence[Layout], prefixes: Sequence[str]) -> None:
        super().__init__(parts, prefixes)
        self._layouts = tuple(parts)
        self.num_classes = _same([part.num_classes for part in parts], "numbers of classes")
        self.class_names = _same([part.class_names for part in parts], "classes")

    def rgb8_and_mask(self, index: int) -> tuple[NDArray[np.uint8], Tensor]:
        """Sample `index` without floats: RGB `(H, W, 3)` uint8 and mask `(H, W)` int64."""
        part, position = self._locate(index)
        return self._layouts[part].rgb8_and_mask(position)


class JoinedLabels(_Joined):
    """Layouts of labels with the same names, as one."""

    def __init__(self, parts: Sequence[LabelLayout], prefixes: Sequence[str]) -> None:
        super().__init__(parts, prefixes)
        self._layouts = tuple(parts)
        self.label_names = _same([part.label_names for part in parts], "labels")
        self.labels = tuple(label for part in parts for label in part.labels)

    def rgb8(self, index: int) -> NDArray[np.uint8]:
        """The image of sample `index`: RGB `(H, W, 3)` uint8."""
        part, position = self._locate(index)
        return self._layouts[part].rgb8(position)


class JoinedBoth(JoinedMasks):
    """Layouts of both masks and labels, as one."""

    def __init__(self, parts: Sequence[Layout], prefixes: Sequence[str]) -> None:
        super().__init__(parts, prefixes)
        labelled = [part for part in parts if isinstance(part, LabelLayout)]
        self.label_names = _same([part.label_names for part in labelled], "labels")
        self.labels = tuple(label for part in labelled for label in part.labels)

    def rgb8(self, index: int) -> NDArray[np.uint8]:
        """The image of sample `index`: RGB `(H, W, 3)` uint8."""
        return self.rgb8_and_mask(index)[0]


class JoinedDraws(JoinedMasks):
    """Layouts that patches are drawn from, as one: each is drawn from by its share of the grid."""

    def __init__(self, parts: Sequence[DrawnLayout], prefixes: Sequence[str]) -> None:
        super().__init__(parts, prefixes)
        self._drawn, self._prefixes = tuple(parts), tuple(prefixes)

    def draw(self, rng: np.random.Generator) -> tuple[NDArray[np.uint8], Tensor, str]:
        """A patch by chance: RGB `(H, W, 3)` uint8, mask `(H, W)` int64, and its name."""
        part, _ = self._locate(int(rng.integers(len(self))))
        rgb, mask, name = self._drawn[part].draw(rng)
        return rgb, mask, f"{self._prefixes[part]}/{name}"


class JoinedVolumes(_Joined):
    """Layouts of volumes with the same classes, channels and regions, as one."""

    def __init__(self, parts: Sequence[VolumeLayout], prefixes: Sequence[str]) -> None:
        super().__init__(parts, prefixes)
        self._layouts = tuple(parts)
        self.num_classes = _same([part.num_classes for part in parts], "numbers of classes")
        self.class_names = _same([part.class_names for part in parts], "classes")
        self.channel_names = _same([part.channel_names for part in parts], "channels")
        self.regions: Mapping[str, tuple[int, ...]] = _same(
            [dict(part.regions) for part in parts], "regions"
        )

    def volume(self, index: int) -> Volume:
        """The scan of sample `index` alone: `(C, D, H, W)`."""
        part, position = self._locate(index)
        return self._layouts[part].volume(position)

    def volume_and_mask(self, index: int) -> tuple[Volume, Tensor]:
        """The scan `(C, D, H, W)` and its mask `(D, H, W)` int64, 255 where unlabelled."""
        part, position = self._locate(index)
        return self._layouts[part].volume_and_mask(position)


def join(parts: Sequence[AnyLayout], prefixes: Sequence[str]) -> AnyLayout:
    """The samples of all parts, in order; of one part that part itself.

    Args:
        parts: All with masks, all with labels, all with both, or all of volumes.
        prefixes: One for each part, put before names that occur in more than one.

    Raises:
        DataError: If there is no part, or they differ in kind or classes.
    """
    if not parts:
        raise DataError("No data was named; expected at least one folder; name one.")
    if len(parts) == 1:
        return parts[0]
    volumes = [part for part in parts if isinstance(part, VolumeLayout)]
    if len(volumes) == len(parts):
        return JoinedVolumes(volumes, prefixes)
    masks = [part for part in parts if isinstance(part, Layout)]
    labels = [part for part in parts if isinstance(part, LabelLayout)]
    drawn = [part for part in parts if isinstance(part, DrawnLayout)]
    if len(drawn) == len(parts):
        return JoinedDraws(drawn, prefixes)
    if len(masks) == len(parts):
        is_joint = len(labels) == len(parts)
        return JoinedBoth(masks, prefixes) if is_joint else JoinedMasks(masks, prefixes)
    if len(labels) == len(parts):
        return JoinedLabels(labels, prefixes)
    raise DataError("Masks, labels and volumes are mixed in the data; expected one kind.")


def _same(values: Sequence[T], what: str) -> T:
    first = values[0]
    for other in values[1:]:
        if other != first:
            raise DataError(
                f"The data sets differ in their {what}: {first} and {other}; expected the same; "
                "make them equal by a class map."
            )
    return first


def _unique_names(parts: Sequence[AnyLayout], prefixes: Sequence[str]) -> tuple[str, ...]:
    names = [name for part in parts for name in part.names]
    if len(set(names)) == len(names):
        return tuple(names)
    return tuple(
        f"{index}-{prefix}/{name}" if prefixes.count(prefix) > 1 else f"{prefix}/{name}"
        for index, (part, prefix) in enumerate(zip(parts, prefixes, strict=True))
        for name in part.names
    )
