"""Prepared volumes as memory-mapped files: decoded, cropped and normalised once for all epochs.

```
RUN/volumes/train/
  index.json           fingerprint of the data and of the preparation; names, spacings
  0000-image.npy       (C, D, H, W) float32, as the network is fed it
  0000-mask.npy        (D, H, W) uint8, 255 where unlabelled
```

Views of a volume read only the pages that they touch, and worker processes share them.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from atrous._documents import read_json
from atrous._files import make_folder, write_atomically, write_text
from atrous.data.dataset import Dataset
from atrous.data.prefetch import prefetch
from atrous.types import UNLABELLED

_FORM: Final = 1
"""Of the files; raised when other versions could not read them."""

Prepare: TypeAlias = Callable[[int], "PreparedVolume"]
"""Read volume `index` of a layout and make of it what the network is fed."""


@dataclass(frozen=True, slots=True)
class PreparedVolume:
    """A volume as the network is fed it, and its labels on the same grid.

    Attributes:
        image: `(C, D, H, W)` float32.
        mask: `(D, H, W)` uint8; 255 where unlabelled.
        spacing: mm along D, H, W.
    """

    image: NDArray[np.float32]
    mask: NDArray[np.uint8]
    spacing: tuple[float, ...]

    def tensors(self) -> tuple[Tensor, Tensor]:
        """Image and mask; of a memory-mapped volume nothing is read before it is used."""
        return torch.from_numpy(self.image), torch.from_numpy(self.mask)


class VolumeCache:
    """The prepared volumes of a layout, by index.

    Args:
        folder: Where the files lie; they are made anew if they are of other data.
        layout: Of volumes.
        prepare: Makes each.
        fingerprint: Says which data and which preparation these are.

    Raises:
        DataError: If a volume cannot be read, or the folder not be written in.
    """

    def __init__(
        self, folder: Path, layout: Dataset, prepare: Prepare, *, fingerprint: str
    ) -> None:
        self.folder = folder
        spacings = _kept_spacings(folder, fingerprint, layout.names)
        self._spacings = spacings or _filled(folder, layout, prepare, fingerprint)

    def __len__(self) -> int:
        return len(self._spacings)

    def __getitem__(self, index: int) -> PreparedVolume:
        # Copy on write: torch takes writable memory only, and nobody writes.
        image, mask = (np.load(path, mmap_mode="c") for path in _paths(self.folder, index))
        return PreparedVolume(image, mask, self._spacings[index])


def as_uint8(labels: Tensor, num_classes: int) -> NDArray[np.uint8]:
    """Labels as a cache keeps them; what is no class is unlabelled.

    Example:
        >>> as_uint8(torch.tensor([[[0, 2, 255]]]), 3).tolist()
        [[[0, 2, 255]]]
    """
    kept = torch.where((labels >= 0) & (labels < num_classes), labels, UNLABELLED)
    return kept.to(torch.uint8).numpy()


def _paths(folder: Path, index: int) -> tuple[Path, Path]:
    return folder / f"{index:04d}-image.npy", folder / f"{index:04d}-mask.npy"


def _kept_spacings(
    folder: Path, fingerprint: str, names: Sequence[str]
) -> list[tuple[float, ...]] | None:
    """What the index says, if it is of these data; it is written last, so the files are whole."""
    try:
        index = read_json(folder / "index.json")
        is_same = index["form"] == _FORM and index["fingerprint"] == fingerprint
        spacings = [tuple(map(float, spacing)) for spacing in index["spacings"]]
    except (OSError, ValueError, KeyError, TypeError, OverflowError):
        return None
    is_whole = all(
        path.is_file() for number in range(len(names)) for path in _paths(folder, number)
    )
    return spacings if is_same and is_whole and len(spacings) == len(names) else None


def _filled(
    folder: Path, layout: Dataset, prepare: Prepare, fingerprint: str
) -> list[tuple[float, ...]]:
    make_folder(folder)
    (folder / "index.json").unlink(missing_ok=True)
    spacings = []
    for index, prepared in enumerate(prefetch(prepare, range(len(layout.names)))):
        arrays = (prepared.image, prepared.mask)
        for path, array in zip(_paths(folder, index), arrays, strict=True):
            with write_atomically(path) as file:
                np.save(file, np.ascontiguousarray(array), allow_pickle=False)
        spacings.append(prepared.spacing)
    record = {
        "form": _FORM,
        "fingerprint": fingerprint,
        "names": layout.names,
        "spacings": spacings,
    }
    write_text(folder / "index.json", json.dumps(record, indent=1) + "\n")
    return spacings
