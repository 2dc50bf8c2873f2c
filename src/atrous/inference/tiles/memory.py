"""A ceiling of memory, as people write it."""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from torch import nn

from atrous.analysis.profile import profile
from atrous.errors import DataError

BASE: Final = 700_000_000
"""Bytes of the program itself with its libraries, its weights and a slide that is open."""
MARGIN: Final = 1.35
"""What the kernels' own working memory and the allocator add to the feature maps."""
QUEUED: Final = 4
"""Windows of 8 bits that are read ahead, being read, or wait to be written."""
LARGEST_CORE: Final = 1024
SMALLEST_CORE: Final = 64
"""Sides of a core, pixels. Larger ones save no more work than a few per cent, and lose time
before the first result; smaller ones are all halo."""
_PROBE: Final = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryModel:
    """What a run takes by the side of its windows.

    Attributes:
        ceiling: Bytes that it must keep under.
        bytes_per_pixel: Of a window, in the network.
        kept_per_pixel: Of a window, for each of those that wait.
    """

    ceiling: int
    bytes_per_pixel: float
    kept_per_pixel: float

    def needed(self, window: int) -> int:
        """Bytes of a run by windows of so many pixels a side."""
        running, waiting = MARGIN * self.bytes_per_pixel, QUEUED * self.kept_per_pixel
        return round(BASE + window**2 * (running + waiting))

    def core_for(self, halo: int, alignment: int) -> int:
        """Side of the largest core that fits with its halo; 0 if none does."""
        core = LARGEST_CORE // alignment * alignment
        while core >= max(SMALLEST_CORE, alignment):
            if self.needed(core + 2 * halo) <= self.ceiling:
                return core
            core -= alignment
        return 0


def memory_model(
    network: nn.Module, *, ceiling: int, num_classes: int, in_channels: int = 3, keeps: bool = False
) -> MemoryModel:
    """Measured on the network's own graph.

    Args:
        network: Gives masks of its input's size.
        ceiling: Bytes.
        num_classes: Of the masks.
        in_channels: Of its input.
        keeps: Whether probabilities are kept too.
    """
    peak = _peak(network, in_channels)
    # The likeliest class is a 64-bit index before it is 8 bits; probabilities are one map more.
    running = peak / _PROBE**2 + 4 * in_channels + 9 + (4 * num_classes if keeps else 0)
    waiting = in_channels + 1 + (num_classes if keeps else 0)
    return MemoryModel(ceiling=ceiling, bytes_per_pixel=running, kept_per_pixel=waiting)


@lru_cache(maxsize=8)
def _peak(network: nn.Module, in_channels: int) -> int:
    return profile(network, (_PROBE, _PROBE), in_channels=in_channels).peak_activation_bytes


DEFAULT: Final = 4_000_000_000
"""Bytes."""

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
