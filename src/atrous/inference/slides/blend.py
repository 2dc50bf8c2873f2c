"""Average overlapping windows with Gaussian weights, a core at a time, with the rest on disk.

A slide's sums would not fit into memory, as a scan's do in `inference.tiles.sums`: windows wait
on disk until all that reach a core are there, and are removed when no core needs them any more.
"""

import os
import zlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from atrous._argmax import argmax_classes
from atrous._files import make_folder, write_atomically
from atrous.inference.slides.plan import SlidePlan
from atrous.inference.slides.store import LEVELS, Core
from atrous.inference.tiles.grid import Place, Region, Tile, relative
from atrous.inference.tiles.sums import gaussian, outer

_STRIP: Final = 128
"""Rows that are averaged at a time."""
_CHECKSUM_BYTES: Final = 4
"""Behind the numbers of a window."""


class Blender:
    """Keeps windows until all that overlap a core are there, and then gives the core.

    Args:
        plan: Of the slide.
        folder: Where probabilities of windows lie in between, as 16-bit floats.
        num_classes: Of the masks.
        finished: Places whose cores are done already.
    """

    def __init__(
        self, plan: SlidePlan, folder: Path, *, num_classes: int, finished: Iterable[Place]
    ) -> None:
        make_folder(folder)
        self._plan = plan
        self._folder = folder
        self._num_classes = num_classes
        self._run = frozenset(tuple[int, ...](place) for place in plan.places)
        self._finished: set[Place] = set(finished)
        self._there: set[Place] = set()
        self._there.update(place for place in self._run if self._is_whole(place))
        for place in plan.places:
            self._forget(place)
        self._candidates: set[Place] = set(self._run - self._finished)

    def needs(self, tile: Tile) -> bool:
        """Whether a window has still to be run."""
        is_wanted = any(place not in self._finished for place in self._around(tile.place))
        return is_wanted and tile.place not in self._there

    def keep(self, tile: Tile, logits: Tensor) -> None:
        """Take the logits `(C, h, w)` of a window.

        Raises:
            DataError: If the disk is full.
        """
        probabilities = logits.softmax(0).to(torch.float16).cpu().numpy()
        with write_atomically(self._file(tile.place)) as file:
            np.save(file, probabilities)
            file.write(_checksum(probabilities))
        self._there.add(tile.place)
        self._candidates.update(self._around(tile.place))

    def ready(self) -> Iterator[Core]:
        """Cores that can be given now; one is taken for safe when the next is asked for."""
        candidates = sorted(self._candidates - self._finished)
        self._candidates.clear()  # until one of their windows comes
        for place in candidates:
            if all(near in self._there for near in self._around(place)):
                yield self._blend(self._plan.grid.tile(place))
                self._finished.add(place)
                for neighbour in self._around(place):
                    self._forget(neighbour)

    def _is_whole(self, place: Place) -> bool:
        """Whether the window of a place is kept, as it was written."""
        wanted = (self._num_classes, *self._plan.grid.tile(place).window_size)
        file = self._file(place)
        try:
            window = np.load(file, mmap_mode="r")
            if window.shape != wanted or window.dtype != np.float16:
                return False
            with file.open("rb") as opened:
                opened.seek(-_CHECKSUM_BYTES, os.SEEK_END)
                return opened.read() == _checksum(window)
        except Exception:  # none, or one that is damaged, of which NumPy says nearly anything
            return False  # it is run again

    def _forget(self, place: Place) -> None:
        if place in self._there and all(p in self._finished for p in self._around(place)):
            self._there.discard(place)
            with suppress(OSError):  # it is taken away with its folder at the end
                self._file(place).unlink()

    def _around(self, place: Place) -> list[Place]:
        """Places that are run and whose windows reach this core, itself among them."""
        return [near for near in self._plan.grid.neighbours(place) if near in self._run]

    def _file(self, place: Place) -> Path:
        return self._folder / f"{place[0]}_{place[1]}.npy"

    def _blend(self, wanted: Tile) -> Core:
        rows, columns = wanted.core
        tiles = [self._plan.grid.tile(other) for other in self._around(wanted.place)]
        windows = [np.load(self._file(tile.place), mmap_mode="r") for tile in tiles]
        shape = (rows.stop - rows.start, columns.stop - columns.start)
        labels = np.empty(shape, np.uint8)
        probabilities = np.empty((self._num_classes, *shape), np.uint8)
        for top in range(rows.start, rows.stop, _STRIP):
            strip = (slice(top, min(rows.stop, top + _STRIP)), columns)
            total = np.zeros((self._num_classes, strip[0].stop - top, shape[1]), dtype=np.float32)
            weight = np.zeros(total.shape[1:], np.float32)
            for tile, window in zip(tiles, windows, strict=True):
                _add(total, weight, strip, tile, window, side=self._plan.window)
            total /= weight
            part = slice(top - rows.start, strip[0].stop - rows.start)
            labels[part] = argmax_classes(torch.from_numpy(total)).numpy()
            probabilities[:, part] = np.rint(total * LEVELS)
        return Core(tile=wanted, labels=labels, probabilities=probabilities)


def _checksum(window: NDArray[np.float16]) -> bytes:
    return zlib.crc32(np.ascontiguousarray(window).data).to_bytes(_CHECKSUM_BYTES)


def _add(
    total: NDArray[np.float32],
    weight: NDArray[np.float32],
    region: Region,
    tile: Tile,
    window: NDArray[np.float16],
    *,
    side: int,
) -> None:
    """Add what a window says of a region, by how near to the middle of its core it is."""
    common = tuple(
        slice(max(a.start, b.start), min(a.stop, b.stop))
        for a, b in zip(region, tile.window, strict=True)
    )
    if any(part.start >= part.stop for part in common):
        return
    weights = outer([_weights(*axis, side=side) for axis in zip(common, tile.core, strict=True)])
    here = relative(common, region)
    weight[here] += weights.numpy()
    there = window[(slice(None), *relative(common, tile.window))]
    total[(slice(None), *here)] += weights.numpy() * there


def _weights(part: slice, core: slice, *, side: int) -> Tensor:
    """Of positions along an axis, by their distance from the middle of a core; never 0."""
    positions = torch.arange(part.start, part.stop, dtype=torch.float64)
    return gaussian(positions, (core.start + core.stop - 1) / 2, side).float() + 1e-6
