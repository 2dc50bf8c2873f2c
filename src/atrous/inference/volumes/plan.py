"""How a scan is run within a ceiling of memory: whole, in exact parts, or in blended ones."""

from dataclasses import dataclass
from functools import partial
from math import ceil, prod
from typing import Final, Literal, TypeAlias

from torch import nn

from atrous.errors import DataError
from atrous.inference.tiles.grid import Tile, TileGrid, overlapping_windows, plan_grid
from atrous.inference.tiles.memory import (
    DEFAULT,
    MARGIN,
    MemoryModel,
    bytes_per_element,
    gigabytes_up,
)
from atrous.inference.tiles.mode import PROBES, Context, choose_exact
from atrous.networks.preprocessing.volume_spec import VolumeSpec
from atrous.networks.preprocessing.volumes import network_size
from atrous.types import Size

VolumeContext: TypeAlias = Literal["auto", "whole", "exact", "blended"]

BASE: Final = 1_000_000_000
"""Bytes of the program itself, with what analysis needs of torch."""
WINDOW: Final = (128, 128, 128)
"""Of blended windows, where the card names none."""

_ALLOCATOR: Final = 1.05
"""What the allocator keeps besides the arrays of a scan."""
_SMALLEST: Final = 16
"""Side of the smallest part, voxels: below it parts are all halo."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumePlan:
    """What is run, in this order.

    Attributes:
        kind: `whole`, `exact`: cores with the network's halo, which give what the whole gives; or
            `blended`: overlapping windows averaged with Gaussian weights.
        parts: Their cores cover the scan; of blended ones the core is the window itself.
        reason: Why it is this kind, for people.
        needed: Bytes that a run takes by this plan, as far as is known beforehand.
    """

    kind: Literal["whole", "exact", "blended"]
    parts: tuple[Tile, ...]
    reason: str
    needed: int


def plan_volume(
    network: nn.Module,
    size: Size,
    *,
    in_channels: int,
    num_classes: int,
    wish: VolumeContext = "auto",
    window: Size | None = None,
    is_mean: bool = False,
    scan_bytes: int | None = None,
    ceiling: int = DEFAULT,
) -> VolumePlan:
    """The best that fits: whole, else exact where that can be paid for, else blended.

    Args:
        network: Gives logits of its input's size.
        size: `(D, H, W)` of its input, padded to what it divides by.
        in_channels: Of its input.
        num_classes: Of the logits.
        wish: `auto`, or what it must be.
        window: Of blended parts; those that training saw are best.
        is_mean: Whether the network runs more than once on a window.
        scan_bytes: Of the scan as it was read; None if it is of the same size.
        ceiling: Bytes.

    Raises:
        DataError: If it does not fit, or must be exact and cannot be.
    """
    fed = 4 * in_channels * prod(size)
    sums = num_classes + 1  # of parts, and the sums' weights
    memory = MemoryModel(
        ceiling=ceiling,
        # The scan as it was read and as it is fed.
        fixed=BASE + (fed if scan_bytes is None else scan_bytes) + fed,
        per_element=MARGIN * bytes_per_element(network, PROBES[3], in_channels)
        # What is mirrored, and the sum of what was said so far.
        + (4 * (in_channels + num_classes) if is_mean else 0),
        whole=size,
        if_cut=4 * sums * prod(size),
    )
    if wish == "whole" or (wish == "auto" and memory.fits(size)):
        _require(memory, size, "the whole scan")
        parts = tuple(TileGrid(size=size, core=size, halo=(0,) * len(size)))
        return VolumePlan(kind="whole", parts=parts, reason="it fits", needed=memory.needed(size))

    core_for = partial(_exact_core, size, memory)
    found = choose_exact(network, wish=wish, core_for=core_for, in_channels=in_channels, size=size)
    if isinstance(found, Context):
        grid = found.grid(size)
        needed = memory.needed(grid.largest_window)
        return VolumePlan(kind="exact", parts=tuple(grid), reason=found.reason, needed=needed)
    lengths = _fitting(memory, tuple(map(min, window or WINDOW, size)))
    parts = overlapping_windows(size, lengths)
    return VolumePlan(kind="blended", parts=parts, reason=found, needed=memory.needed(lengths))


def check_scan_fits(
    size: Size,
    spacing: tuple[float, float, float],
    facts: VolumeSpec,
    *,
    num_classes: int,
    ceiling: int,
    with_probabilities: bool = False,
) -> None:
    """See that a scan can be read, prepared and brought back at all, before any of it is done.

    Args:
        size: `(D, H, W)` of the file.
        spacing: mm along D, H, W.
        facts: Of the network's card.
        num_classes: Of its logits.
        ceiling: Bytes.
        with_probabilities: Whether the probabilities of all classes come back too.

    Raises:
        DataError: If not even the smallest window would make it fit.
    """
    voxels, channels = prod(size), len(facts.channel_names)
    grid = prod(network_size(size, spacing, facts))
    # A crop may make the network's grid smaller than this, by how much the voxels alone tell.
    grid_bytes = 0 if facts.crop == "nonzero" else 4 * grid * (channels + num_classes)
    scan = 4 * channels * voxels
    file, inside, statistics = 8 * voxels, channels * voxels, 4 * voxels
    restored = 0 if grid == voxels else (4 + 4 + 1 + 1) * voxels  # best, this class's, better, mask
    if with_probabilities:
        restored += 4 * (num_classes + 2) * voxels
    most = scan + max(file, inside + scan + statistics, restored + grid_bytes)
    needed = BASE + round(_ALLOCATOR * most)
    if needed > ceiling:
        raise DataError(
            f"A scan of {' x '.join(map(str, size))} voxels, on the network's grid of "
            f"{' x '.join(map(str, network_size(size, spacing, facts)))}, needs about "
            f"{gigabytes_up(needed)} GB at least; expected at most {ceiling / 1e9:.1f} GB; raise "
            "--memory, or crop or resample the scan."
        )


def _fitting(memory: MemoryModel, lengths: Size) -> Size:
    """A window that fits, its longest axis halved until it does.

    Raises:
        DataError: If the smallest does not.
    """
    while not memory.fits(lengths) and max(lengths) > _SMALLEST:
        longest = lengths.index(max(lengths))
        lengths = tuple(
            max(_SMALLEST, n // 2) if axis == longest else n for axis, n in enumerate(lengths)
        )
    _require(memory, lengths, f"windows of {' x '.join(map(str, lengths))}")
    return lengths


def _exact_core(size: Size, memory: MemoryModel, halo: Size, alignment: Size) -> Size:
    """The core that fits with its halo, its longest axes halved until it does; empty if none."""
    core = size
    while not memory.fits(
        plan_grid(size, core=core, halo=halo, alignment=alignment).largest_window
    ):
        longest = max(core)
        if longest <= _SMALLEST:
            return ()
        core = tuple(max(_SMALLEST, ceil(n / 2)) if n == longest else n for n in core)
    return core


def _require(memory: MemoryModel, window: Size, what: str) -> None:
    if not memory.fits(window):
        raise DataError(
            f"Running {what} needs about {gigabytes_up(memory.needed(window))} GB; expected at "
            f"most {memory.ceiling / 1e9:.1f} GB; raise --memory, or let it be cut into parts."
        )
