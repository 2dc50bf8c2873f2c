"""Run a network on an array tile by tile, and put the outputs together: side by side, or blended.

The sums may be kept on disk now and then, with how many tiles are in them, written in one step.
Tiles come in a fixed order, so a run that was killed adds the same numbers in the same order when
it goes on, and ends with the same bits. The sums lie in memory as a whole, which a slide's cannot:
`inference.slides` therefore keeps windows on disk, and gives core by core.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from functools import reduce
from pathlib import Path
from types import EllipsisType
from typing import Final

import numpy as np
import torch
from torch import Tensor, nn

from atrous._files import write_atomically
from atrous.errors import DataError, ShapeError
from atrous.inference.tiles.grid import Region, Tile
from atrous.types import Size

KEEP_EVERY: Final = 20.0
"""Seconds between two writes of the sums."""

_SIGMA: Final = 1 / 8
"""Of the Gaussian, in lengths of a window."""


class SumsFile:
    """The sums of a run so far, on disk.

    Attributes:
        num_done: Tiles that are in the sums.
        sums: `(..., K, *S)`; None before the first write.

    Args:
        file: Where the sums are kept between runs; None for nowhere.
        run: Says which run they are of: what the result depends on.
        keep_every: Seconds between two writes.

    Raises:
        DataError: If the file is of another run, or cannot be read.
    """

    def __init__(self, file: Path | None, *, run: str, keep_every: float = KEEP_EVERY) -> None:
        self._file = file
        self._run = run
        self._keep_every = keep_every
        self._kept_at = time.monotonic()
        self.num_done = 0
        self.sums: Tensor | None = None
        if file is not None and file.is_file():
            self._read(file)

    def keep(self, sums: Tensor, num_done: int) -> None:
        """Write the sums, if it is time to.

        Raises:
            DataError: If they cannot be written.
        """
        if self._file is not None and time.monotonic() - self._kept_at >= self._keep_every:
            with write_atomically(self._file) as out:
                np.savez(out, sums=sums.numpy(), num_done=num_done, run=self._run)
            self._kept_at = time.monotonic()

    def _read(self, file: Path) -> None:
        try:
            with file.open("rb") as opened, np.load(opened, allow_pickle=False) as kept:
                run, num_done, sums = str(kept["run"]), int(kept["num_done"]), kept["sums"]
        except Exception as error:  # zipfile and NumPy raise nearly anything on altered bytes
            raise DataError(
                f"{file}: cannot be read ({error}); expected the beginning of a run; remove it."
            ) from error
        if run != self._run:
            raise DataError(
                f"{file} holds the beginning of another run; expected one of this scan, model and "
                "options; give the same command, another folder, or --overwrite."
            )
        self.sums, self.num_done = torch.from_numpy(sums), num_done


@torch.inference_mode()
def run_tiled(
    run: nn.Module | Callable[[Tensor], Tensor],
    image: Tensor,
    tiles: Iterable[Tile],
    *,
    is_blended: bool = False,
    kept: SumsFile | None = None,
    advance: Callable[[], None] = lambda: None,
) -> Tensor:
    """What `run` makes of the whole image, computed tile by tile.

    Args:
        run: Gives an output of the input's spatial size.
        image: The network's input.
        tiles: How to cut it, such as a `TileGrid`; exact if halo and cuts are the network's.
        is_blended: Whether cores overlap, and are averaged with Gaussian weights.
        kept: What an earlier run did of it; sums are kept there.
        advance: Called after every tile.

    Shape:
        `(B, C, *S)` to `(B, K, *S)`, or to `(K, *S)` if `run` gives no batch.

    Raises:
        DataError: If the sums are to be kept and cannot be written.
        ShapeError: If the tiles are for another size, or an output is not of its input's size.
    """
    tiles, size = tuple(tiles), tuple(image.shape[2:])
    if (end := tuple(part.stop for part in tiles[-1].core)) != size:
        raise ShapeError(
            f"The image is of size {size}, but the grid of {end}; plan one for this image."
        )
    num_done, sums = (kept.num_done, kept.sums) if kept else (0, None)
    for number, tile in enumerate(tiles[num_done:], num_done + 1):
        output = run(image[_at(tile.window)])
        leading, lengths = output.shape[: -len(size)], tuple(output.shape[-len(size) :])
        if lengths != tile.window_size:
            raise ShapeError(
                f"A tile of {tile.window_size} gave an output of {lengths}; expected the same "
                "size: resize the output first."
            )
        if len(tiles) == 1 and not is_blended:
            advance()
            return output  # so that a whole is held once
        sums = output.new_zeros((*leading, *size)) if sums is None else sums
        if is_blended:
            sums[_at(tile.core)] += output * window_weights(lengths)
        else:
            sums[_at(tile.core)] = output[_at(tile.inside)]
        if kept:
            kept.keep(sums, number)
        advance()
    assert sums is not None  # there is a tile at least
    if is_blended:
        weights = torch.zeros(size)
        for tile in tiles:
            weights[tile.core] += window_weights(tile.window_size)
        sums /= weights
    return sums


def gaussian(positions: Tensor, middle: float, length: int) -> Tensor:
    """Weights of positions along an axis by their distance from a middle, 1 there.

    Args:
        positions: `(n,)`, of the floating type in which the weights are computed.
        middle: Where the Gaussian is centred.
        length: Of a window, of which the deviation is an eighth.

    Source: Isensee et al., "nnU-Net", Nature Methods 2021.
    """
    return torch.exp(-0.5 * ((positions - middle) / (length * _SIGMA)) ** 2)


def outer(axes: Sequence[Tensor]) -> Tensor:
    """Weights of a box from those of its axes, each `(n_i,)`: `(n_0, n_1, ...)`."""
    return reduce(lambda box, axis: box[..., None] * axis, axes)


def window_weights(size: Size) -> Tensor:
    """Weights of a window by the distance from its middle, 1 there and nowhere 0: `(*size)`."""
    return outer([gaussian(torch.arange(n, dtype=torch.float32), (n - 1) / 2, n) for n in size])


def _at(region: Region) -> tuple[EllipsisType | slice, ...]:
    return (..., *region)
