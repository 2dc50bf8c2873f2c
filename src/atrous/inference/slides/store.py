"""Where the results of a slide's tiles wait on disk: chunk by chunk, never whole in memory."""

import logging
import shutil
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from atrous._extras import require
from atrous.data.slides.mask_map import Labels
from atrous.errors import DataError
from atrous.inference.tiles.grid import Region, Tile
from atrous.types import UNLABELLED, Size

logger = logging.getLogger(__name__)

LEVELS: Final = 255
"""Probabilities are kept as this many steps from 0 to 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Core:
    """What is said of a tile's core.

    Attributes:
        tile: Which.
        labels: `(h, w)` uint8.
        probabilities: `(C, h, w)` in steps of 1 / 255, where they are wanted.
    """

    tile: Tile
    labels: NDArray[np.uint8]
    probabilities: NDArray[np.uint8] | None


class SlideStore:
    """Labels, and probabilities if wanted, of a whole slide in chunks of one tile's core.

    It is a label map (`data.label_map.MaskMap`): 255 where nothing ran.

    Args:
        folder: Where the chunks lie; made if it is not there.
        size: `(H, W)`, pixels.
        chunk: `(H, W)` of a core.
        num_classes: Probabilities are kept for so many classes; 0 for none.

    Raises:
        DataError: If it cannot be written in.
        MissingExtraError: If the extra `slides` is not installed.
    """

    def __init__(self, folder: Path, *, size: Size, chunk: Size, num_classes: int = 0) -> None:
        zarr = require("zarr", extra="slides")
        self.size = tuple(size)
        self.chunk = tuple(chunk)
        self.folder = folder
        wanted = {"labels": (self.size, self.chunk, UNLABELLED)}
        if num_classes:
            wanted["probabilities"] = ((num_classes, *self.size), (num_classes, *self.chunk), 0)
        with _told(folder):
            found = _opened(zarr, folder, wanted) if folder.is_dir() else None
            if found is None:  # chunks without what describes them: their tiles are run again
                shutil.rmtree(folder, ignore_errors=True)
                found = _made(zarr.open_group(folder, mode="a"), wanted)
        self._labels: Any = found["labels"]
        self._probabilities: Any = found.get("probabilities")

    @property
    def has_probabilities(self) -> bool:
        """Whether they are kept."""
        return self._probabilities is not None

    def write(self, core: Core) -> int:
        """Keep what is said of a core, which is one chunk, and give its checksum.

        Raises:
            DataError: If the disk is full or the folder has gone.
        """
        with _told(self.folder):
            self._labels[core.tile.core] = core.labels
            if self._probabilities is not None:
                self._probabilities[(slice(None), *core.tile.core)] = core.probabilities
        return _checksum(core.labels, core.probabilities)

    def checksum(self, core: Region) -> int | None:
        """Of what is kept of a core; None if it cannot be read."""
        try:
            labels = np.asarray(self._labels[core])
            kept = self._probabilities
            probabilities = None if kept is None else np.asarray(kept[(slice(None), *core)])
        except Exception:  # a torn chunk, whatever its decoder says of it
            return None
        return _checksum(labels, probabilities)

    def read(self, top: int, left: int, height: int, width: int) -> Labels:
        """A rectangle of labels, `(height, width)` uint8."""
        return np.asarray(self._labels[top : top + height, left : left + width])

    def read_probabilities(self, top: int, left: int, height: int, width: int) -> NDArray[np.uint8]:
        """The same of probabilities in steps of 1 / 255, `(C, height, width)`; 0 if not run."""
        return np.asarray(self._probabilities[:, top : top + height, left : left + width])

    def remove(self) -> None:
        """Take all of it from the disk."""
        shutil.rmtree(self.folder, ignore_errors=True)


def _made(group: Any, wanted: Mapping[str, tuple[Size, Size, int]]) -> dict[str, Any]:  # noqa: ANN401 - zarr's
    return {
        name: group.require_array(name, shape=shape, chunks=chunk, dtype="uint8", fill_value=fill)
        for name, (shape, chunk, fill) in wanted.items()
    }


def _opened(
    zarr: Any,  # noqa: ANN401 - the module
    folder: Path,
    wanted: Mapping[str, tuple[Size, Size, int]],
) -> dict[str, Any] | None:
    """The arrays that are there already; None if they are damaged, or described otherwise."""
    try:
        found = _made(zarr.open_group(folder, mode="a"), wanted)
        is_same = all(
            (found[name].shape, found[name].chunks, int(found[name].fill_value))
            == (tuple(shape), tuple(chunk), fill)
            for name, (shape, chunk, fill) in wanted.items()
        )
    except OSError:
        raise
    except Exception:  # zarr raises nearly anything on altered descriptions
        is_same = False
    if not is_same:
        logger.warning("note: %s is damaged; what it held is done again", folder)
    return found if is_same else None


def _checksum(labels: Labels, probabilities: NDArray[np.uint8] | None) -> int:
    value = zlib.crc32(labels.tobytes())
    if probabilities is not None:
        value = zlib.crc32(probabilities.tobytes(), value)
    return value


@contextmanager
def _told(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DataError(
            f"{folder} could not be written in: {error.strerror or error}; make room there or "
            "give another folder, and run again: what is done is kept."
        ) from error
