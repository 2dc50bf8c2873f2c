"""What a run of a network over windows takes in memory, and what fits under a ceiling."""

import re
from dataclasses import dataclass
from functools import lru_cache
from math import prod
from typing import Final

import psutil
from torch import nn

from atrous.analysis.profile import profile
from atrous.errors import DataError
from atrous.types import Size

DEFAULT: Final = 4_000_000_000
"""Ceiling where none is given, bytes."""
BASE: Final = 1_300_000_000
"""Bytes of the program itself with its libraries, its weights, a slide that is open, and what is
written of it: as measured of runs whose tiles take next to nothing."""
MARGIN: Final = 1.35
"""What the kernels' own working memory and the allocator add to the feature maps."""
QUEUED: Final = 4
"""Windows of 8 bits that are read ahead, being read, or wait to be written."""
LARGEST_CORE: Final = 1024
SMALLEST_CORE: Final = 64
"""Sides of a core, pixels. Larger ones save no more work than a few per cent, and lose time
before the first result; smaller ones are all halo."""
SMALL_ENOUGH: Final = 4_000_000
"""Pixels of an image below which nothing is asked: about 0.7 GB for ESPNet."""
_PROBE: Final = (256, 256)


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryModel:
    """Bytes of a run: a part that is fixed, and one that grows with the window.

    Attributes:
        ceiling: Bytes that the run must keep under.
        fixed: Bytes that it takes whatever the window.
        per_element: Bytes for each pixel or voxel of a window.
        whole: Size of the whole input, where that is known.
        if_cut: Bytes on top where the window is not the whole, such as those of sums.
    """

    ceiling: int
    fixed: int
    per_element: float
    whole: Size = ()
    if_cut: int = 0

    def needed(self, window: Size) -> int:
        """Bytes of a run by windows of this size."""
        fixed = self.fixed + (0 if window == self.whole else self.if_cut)
        return round(fixed + self.per_element * prod(window))

    def fits(self, window: Size) -> bool:
        """Whether a run by windows of this size keeps under the ceiling."""
        return self.needed(window) <= self.ceiling

    def least(self, halo: Size, alignment: Size, *, wanted: int | None = None) -> int:
        """The smallest ceiling under which a core fits with its halo, bytes, rounded up to 100 MB.

        Args:
            halo: As of `core_for`.
            alignment: Likewise.
            wanted: Likewise.
        """
        step = alignment[0]
        side = max(1, -(-(wanted or max(SMALLEST_CORE, step)) // step)) * step
        return -(-self.needed(tuple(side + 2 * pixels for pixels in halo)) // 10**8) * 10**8

    def core_for(self, halo: Size, alignment: Size, *, wanted: int | None = None) -> Size:
        """The largest square core that fits with its halo; empty if none does.

        Args:
            halo: Pixels on every side, `(H, W)`.
            alignment: What a side is a multiple of, alike on both axes.
            wanted: The side that it must have, rounded up to such a multiple.
        """
        step = alignment[0]
        largest, smallest = LARGEST_CORE // step * step, -(-max(SMALLEST_CORE, step) // step) * step
        if wanted is not None:
            largest = smallest = max(1, -(-wanted // step)) * step
        for side in range(largest, smallest - 1, -step):
            if self.fits(tuple(side + 2 * pixels for pixels in halo)):
                return (side,) * len(halo)
        return ()


@lru_cache(maxsize=8)
def bytes_per_element(network: nn.Module, probe: Size, in_channels: int) -> float:
    """Bytes of feature maps at the peak, for each pixel or voxel of the input.

    Args:
        network: Its own graph is measured.
        probe: Size of the input at which it is; the peak grows with the number of pixels.
        in_channels: Channels of the input.
    """
    return profile(network, probe, in_channels=in_channels).peak_activation_bytes / prod(probe)


def memory_model(
    network: nn.Module, *, ceiling: int, num_classes: int, keeps: bool = False
) -> MemoryModel:
    """What a slide takes, whose windows wait in 8 bits before and after the network.

    Args:
        network: Gives masks of its input's size.
        ceiling: Bytes.
        num_classes: Of the masks.
        keeps: Whether probabilities are kept too.
    """
    peak = bytes_per_element(network, _PROBE, 3)
    # RGB is of 32 bits as it is run, and of 8 as it waits; the likeliest class is a 64-bit index
    # before it is 8 bits; probabilities are one map more.
    running = peak + 4 * 3 + 9 + (4 * num_classes if keeps else 0)
    waiting = 3 + 1 + (num_classes if keeps else 0)
    return MemoryModel(ceiling=ceiling, fixed=BASE, per_element=MARGIN * running + QUEUED * waiting)


def check_memory(network: nn.Module, size: Size, *, num_channels: int) -> None:
    """Refuse an image whose feature maps would not fit into the free memory of this machine.

    A full memory kills without a word, so this is asked before an image is run. The peak is that of
    the network's own graph at a quarter of the image's length per axis, times the pixels left out.

    Args:
        network: The network that will be run on the CPU.
        size: Spatial size of its input.
        num_channels: Channels of its input.

    Raises:
        DataError: If it would not fit; the message says how much is needed and how much is free.
    """
    if prod(size) <= SMALL_ENOUGH:
        return
    probe = tuple(max(1, length // 4) for length in size)
    model = MemoryModel(
        ceiling=psutil.virtual_memory().available,
        fixed=0,
        per_element=bytes_per_element(network, probe, num_channels),
    )
    if not model.fits(size):
        raise DataError(
            f"An image of {' x '.join(map(str, size))} pixels needs "
            f"{gigabytes_up(model.needed(size))} GB for its feature maps, and "
            f"{model.ceiling / 1e9:.1f} GB are free here; shrink or cut the image."
        )


def gigabytes_up(needed: int) -> str:
    """Gigabytes in a text, rounded up, so that who asks for as many gets enough.

    Example:
        >>> gigabytes_up(1_010_000_000), gigabytes_up(1_100_000_000)
        ('1.1', '1.1')
    """
    return f"{-(-needed // 10**8) / 10:.1f}"


_UNITS: Final = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}


def parse_memory(text: str) -> int:
    """Bytes of a text such as `2G`, `1500M` or `2.5GB`; thousands, not 1024s.

    Raises:
        DataError: If it is none.

    Example:
        >>> parse_memory("2G"), parse_memory("1.5 GB")
        (2000000000, 1500000000)
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?)B?\s*", text, re.IGNORECASE)
    if match is None:
        raise DataError(f"A memory of {text!r}; expected a number and a unit, such as 2G or 800M.")
    return round(float(match[1]) * _UNITS[match[2].upper()])
