"""Data sets made of others: a part of one, several as one, or one in other classes."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import replace
from difflib import get_close_matches
from itertools import accumulate
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from atrous.data.class_map import ClassMap
from atrous.data.dataset import Dataset, Sample, SlideTruth
from atrous.data.layouts.name_list import read_names
from atrous.data.volumes.geometry import Volume
from atrous.errors import DataError
from atrous.types import UNLABELLED, Size

T = TypeVar("T")

_MAX_COMPARED = 20_000
"""Among more names than this the nearest is not looked for: it would take seconds."""


class _Made(Dataset):
    """A data set whose samples are those of others; it says where each lies, and which classes."""

    def __init__(self, like: Dataset) -> None:
        self.kind, self.has_masks = like.kind, like.has_masks
        self.num_classes, self.class_names = like.num_classes, like.class_names
        self.num_channels = like.num_channels
        self.label_names, self.labels = like.label_names, like.labels
        self.channel_names, self.regions = like.channel_names, dict(like.regions)

    def _at(self, index: int) -> tuple[Dataset, int]:
        """The data set that holds sample `index`, and where in it."""
        raise NotImplementedError

    def _classes(self, mask: Tensor) -> Tensor:
        """A mask of the other data set in the classes of this one."""
        return mask

    def __getitem__(self, index: int) -> Sample:
        dataset, position = self._at(index)
        sample = dataset[position]
        return replace(
            sample,
            name=self.names[index],
            mask=None if sample.mask is None else self._classes(sample.mask),
            label=self.labels[index] if self.has_labels else sample.label,
        )

    def files(self, index: int) -> tuple[Path, ...]:
        dataset, position = self._at(index)
        return dataset.files(position)

    def rgb8(self, index: int) -> NDArray[np.uint8]:
        dataset, position = self._at(index)
        return dataset.rgb8(position)

    def rgb8_and_mask(self, index: int) -> tuple[NDArray[np.uint8], Tensor]:
        dataset, position = self._at(index)
        rgb, mask = dataset.rgb8_and_mask(position)
        return rgb, self._classes(mask)

    def pixels_and_mask(self, index: int) -> tuple[NDArray[np.uint8 | np.float32], Tensor]:
        dataset, position = self._at(index)
        pixels, mask = dataset.pixels_and_mask(position)
        return pixels, self._classes(mask)

    def volume(self, index: int) -> Volume:
        dataset, position = self._at(index)
        return dataset.volume(position)

    def volume_and_mask(self, index: int) -> tuple[Volume, Tensor]:
        dataset, position = self._at(index)
        volume, mask = dataset.volume_and_mask(position)
        return volume, self._classes(mask)


class Subset(_Made):
    """Some samples of a data set, in another order.

    Attributes:
        indices: Where the samples lie in the whole data set.
    """

    def __init__(self, whole: Dataset, indices: Sequence[int]) -> None:
        super().__init__(whole)
        self.indices = tuple(indices)
        self.labels = tuple(whole.labels[i] for i in self.indices) if whole.has_labels else ()
        self._whole = whole

    @property
    def names(self) -> tuple[str, ...]:
        names = self._whole.names
        return tuple(names[index] for index in self.indices)

    def __len__(self) -> int:
        return len(self.indices)

    def _at(self, index: int) -> tuple[Dataset, int]:
        return self._whole, self.indices[index]


class Joined(_Made):
    """Several data sets of one kind as one, one after the other.

    Raises:
        DataError: If they differ in classes, labels, channels or regions.
    """

    def __init__(self, parts: Sequence[Dataset], prefixes: Sequence[str]) -> None:
        super().__init__(parts[0])
        self.num_classes = _same([part.num_classes for part in parts], "numbers of classes")
        self.class_names = _same([part.class_names for part in parts], "classes")
        self.label_names = _same([part.label_names for part in parts], "labels")
        self.channel_names = _same([part.channel_names for part in parts], "channels")
        self.num_channels = _same([part.num_channels for part in parts], "numbers of channels")
        self.regions = _same([dict(part.regions) for part in parts], "regions")
        self.labels = tuple(label for part in parts for label in part.labels)
        self.is_drawn = all(part.is_drawn for part in parts)
        self.parts, self._prefixes = tuple(parts), tuple(prefixes)
        self._names = _unique_names(parts, prefixes)
        self._starts = (0, *accumulate(len(part) for part in parts))

    @property
    def names(self) -> tuple[str, ...]:
        return self._names

    def __len__(self) -> int:
        return self._starts[-1]

    def draw(self, rng: np.random.Generator) -> tuple[NDArray[np.uint8], Tensor, str]:
        """A patch by chance; each part is drawn from by its share of the grid."""
        number = self._part_of(int(rng.integers(len(self))))
        rgb, mask, name = self.parts[number].draw(rng)
        return rgb, mask, f"{self._prefixes[number]}/{name}"

    def _at(self, index: int) -> tuple[Dataset, int]:
        if not -len(self) <= index < len(self):
            raise IndexError(f"sample {index} of {len(self)}")
        index %= len(self)
        number = self._part_of(index)
        return self.parts[number], index - self._starts[number]

    def _part_of(self, index: int) -> int:
        return bisect_right(self._starts, index) - 1


class Remapped(_Made):
    """A data set in the shared classes of a class map; labels too, where there are no masks.

    Classes that the map leaves out become 255, unlabelled; images whose label it leaves out are
    left out. Regions of volumes are dropped: they were unions of the classes that are no more.

    Raises:
        UnknownNameError: If the map names a class that the data set does not have.
        DataError: If there are labels only, and no sample is left.
    """

    def __init__(self, source: Dataset, class_map: ClassMap) -> None:
        super().__init__(source)
        self.regions = {}
        self.is_drawn = source.is_drawn
        self.lone_truths = source.lone_truths
        self._source = source
        self._map_files = () if class_map.path is None else (class_map.path,)
        self._indices: Sequence[int] = range(0)
        if source.has_masks:
            self.num_classes, self.class_names = len(class_map.classes), class_map.classes
            self._table = _table(source, class_map)
        else:
            self._take_labels(source, class_map)

    def _take_labels(self, source: Dataset, class_map: ClassMap) -> None:
        names = source.label_names
        table = class_map.data_table(names, num_classes=len(names))
        self._indices = [i for i, label in enumerate(source.labels) if table[label] != UNLABELLED]
        self.label_names = class_map.classes
        self.labels = tuple(table[source.labels[i]] for i in self._indices)
        self._map_files = ()
        if not self._indices:
            raise DataError(
                f"{class_map.name} leaves out the labels of all {len(source)} images; expected "
                f"some of {', '.join(sorted({names[label] for label in source.labels}))}; add them."
            )

    @property
    def names(self) -> tuple[str, ...]:
        names = self._source.names
        return names if self.has_masks else tuple(names[index] for index in self._indices)

    def __len__(self) -> int:
        return len(self._source) if self.has_masks else len(self._indices)

    def files(self, index: int) -> tuple[Path, ...]:
        return (*super().files(index), *self._map_files)

    def draw(self, rng: np.random.Generator) -> tuple[NDArray[np.uint8], Tensor, str]:
        """A patch by chance, its classes those of the map; it is balanced by those of the data."""
        rgb, mask, name = self._source.draw(rng)
        return rgb, self._table[mask], name

    @property
    def slide_names(self) -> tuple[str, ...]:
        return self._source.slide_names

    def open_slide(self, number: int) -> SlideTruth:
        return _RemappedSlide(self._source.open_slide(number), self._table)

    def _at(self, index: int) -> tuple[Dataset, int]:
        return self._source, index if self.has_masks else self._indices[index]

    def _classes(self, mask: Tensor) -> Tensor:
        return self._table[mask]


class _RemappedSlide:
    """A slide, its truth in the shared classes."""

    def __init__(self, whole: SlideTruth, table: Tensor) -> None:
        self.name, self.slide, self.mpp = whole.name, whole.slide, whole.mpp
        self.frame, self.notes = whole.frame, whole.notes
        self._whole = whole
        self._table = table.numpy().astype(np.uint8)

    def truth(self, top: int, left: int, size: Size) -> NDArray[np.uint8]:
        """Labels of a window, `(H, W)`."""
        return self._table[self._whole.truth(top, left, size)]


def join(parts: Sequence[Dataset], prefixes: Sequence[str]) -> Dataset:
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
    if len({(part.kind, part.has_masks, part.has_labels) for part in parts}) > 1:
        raise DataError("Masks, labels and volumes are mixed in the data; expected one kind.")
    return Joined(parts, prefixes)


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


def _table(source: Dataset, class_map: ClassMap) -> Tensor:
    """Indexed by all that a mask may hold: classes, and 255, which stays what it is."""
    known = class_map.data_table(source.class_names, num_classes=source.num_classes)
    table = torch.full((UNLABELLED + 1,), UNLABELLED)
    table[: len(known)] = torch.tensor(known)
    return table


def _same(values: Sequence[T], what: str) -> T:
    first = values[0]
    for other in values[1:]:
        if other != first:
            raise DataError(
                f"The data sets differ in their {what}: {first} and {other}; expected the same; "
                "make them equal by a class map."
            )
    return first


def _unique_names(parts: Sequence[Dataset], prefixes: Sequence[str]) -> tuple[str, ...]:
    names = [name for part in parts for name in part.names]
    if len(set(names)) == len(names):
        return tuple(names)
    return tuple(
        f"{index}-{prefix}/{name}" if prefixes.count(prefix) > 1 else f"{prefix}/{name}"
        for index, (part, prefix) in enumerate(zip(parts, prefixes, strict=True))
        for name in part.names
    )
