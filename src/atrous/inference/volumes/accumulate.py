"""Logits of a scan, gathered part by part; kept on disk now and then so that a killed run goes on.

The file holds the sums and how many parts are in them, written in one step. Parts come in a fixed
order, so a run that goes on adds the same numbers in the same order and ends with the same bits.
"""

import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
import torch
from torch import Tensor

from atrous._files import write_atomically
from atrous.errors import DataError
from atrous.inference.volumes.plan import Part, VolumePlan
from atrous.types import Size

KEEP_EVERY: Final = 20.0
"""Seconds between two writes of the sums."""

_SIGMA: Final = 1 / 8
"""Of the Gaussian, in lengths of a window: nnU-Net's and MONAI's."""


class VolumeSums:
    """What the parts said so far.

    Args:
        plan: The parts, in order.
        size: `(D, H, W)` of the network's input.
        num_classes: K.
        file: Where the sums are kept between runs; None for nowhere.
        run: Says which run they are of: what the result depends on.
        keep_every: Seconds between two writes.

    Raises:
        DataError: If the file is of another run, or cannot be read.
    """

    def __init__(
        self,
        plan: VolumePlan,
        size: Size,
        *,
        num_classes: int,
        file: Path | None = None,
        run: str = "",
        keep_every: float = KEEP_EVERY,
    ) -> None:
        self._plan = plan
        self._file = file
        self._run = run
        self._keep_every = keep_every
        self._kept_at = time.monotonic()
        self.num_done = 0
        self._shape = (num_classes, *size)
        self._sums: Tensor | None = None  # until a part is there, so that a whole is held once
        if file is not None and file.is_file():
            self._go_on(file)

    def left(self) -> Iterator[Part]:
        """The parts that are still to be run, in order; `add` must follow each."""
        while self.num_done < len(self._plan.parts):
            yield self._plan.parts[self.num_done]

    def add(self, part: Part, logits: Tensor) -> None:
        """Take what the network says of a part's window: `(K, d, h, w)`.

        Raises:
            DataError: If the sums are to be kept and cannot be written.
        """
        if len(self._plan.parts) == 1 and self._plan.kind != "blended":
            self._sums, self.num_done = logits, 1
            return
        if self._sums is None:
            self._sums = torch.zeros(self._shape)
        place = (slice(None), *part.core)
        inside = tuple(
            slice(core.start - window.start, core.stop - window.start)
            for core, window in zip(part.core, part.window, strict=True)
        )
        kept = logits[(slice(None), *inside)]
        if self._plan.kind == "blended":
            self._sums[place] += kept * gaussian(tuple(kept.shape[1:]))
        else:
            self._sums[place] = kept
        self.num_done += 1
        if self._file is not None and time.monotonic() - self._kept_at >= self._keep_every:
            self._keep(self._file, self._sums)

    def logits(self) -> Tensor:
        """`(K, D, H, W)`, once all parts are there; the sums themselves, which it uses up."""
        assert self._sums is not None  # there is a part at least
        if self._plan.kind == "blended":
            weights = torch.zeros(self._sums.shape[1:])
            for part in self._plan.parts:
                weights[part.core] += gaussian(tuple(weights[part.core].shape))
            self._sums /= weights
        return self._sums

    def _keep(self, file: Path, sums: Tensor) -> None:
        with write_atomically(file) as out:
            np.savez(out, sums=sums.numpy(), num_done=self.num_done, run=self._run)
        self._kept_at = time.monotonic()

    def _go_on(self, file: Path) -> None:
        try:
            with file.open("rb") as opened, np.load(opened, allow_pickle=False) as kept:
                run, num_done, sums = str(kept["run"]), int(kept["num_done"]), kept["sums"]
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise DataError(
                f"{file}: cannot be read ({error}); expected the beginning of a run; remove it."
            ) from error
        if run != self._run or sums.shape != self._shape:
            raise DataError(
                f"{file} holds the beginning of another run; expected one of this scan, model and "
                "options; give the same command, another folder, or --overwrite."
            )
        self._sums, self.num_done = torch.from_numpy(sums), num_done


def gaussian(size: Size) -> Tensor:
    """Weights of a window by the distance from its middle, 1 there and nowhere 0: `(d, h, w)`."""
    axes = []
    for length in size:
        distance = (torch.arange(length) - (length - 1) / 2) / (length * _SIGMA)
        axes.append(torch.exp(-0.5 * distance**2))
    return axes[0][:, None, None] * axes[1][:, None] * axes[2]
