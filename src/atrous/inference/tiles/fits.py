"""Will it fit? Asked before an image is run, because a full memory kills without a word."""

import psutil
import torch
from torch import nn

from atrous.analysis.profile import profile
from atrous.errors import DataError
from atrous.types import Size

SMALL_ENOUGH = 4_000_000
"""Pixels below which nothing is asked: about 0.7 GB for ESPNet."""


def check_memory(network: nn.Module, size: Size, *, num_channels: int) -> None:
    """Refuse an image whose feature maps would not fit into the free memory of this machine.

    The peak is that of the network's own graph at a quarter of the image's length per axis, times
    the pixels that are left out: it grows with their number.

    Args:
        network: The network that will be run on the CPU.
        size: Spatial size of its input.
        num_channels: Of its input.

    Raises:
        DataError: If it would not fit; the message says how much is needed and how much is free.
    """
    pixels = torch.Size(size).numel()
    if pixels <= SMALL_ENOUGH:
        return
    smaller = tuple(max(1, length // 4) for length in size)
    cost = profile(network, smaller, in_channels=num_channels)
    needed = cost.peak_activation_bytes * pixels / torch.Size(smaller).numel()
    free = psutil.virtual_memory().available
    if needed > free:
        raise DataError(
            f"An image of {' x '.join(map(str, size))} pixels needs {needed / 1e9:.1f} GB for its "
            f"feature maps, and {free / 1e9:.1f} GB are free here; shrink or cut the image."
        )
