"""How a scan is run within a ceiling of memory: whole, in exact parts, or in blended ones."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from math import ceil, prod
from typing import Final, Literal, TypeAlias

from torch import nn

from atrous.analysis.halo import halo
from atrous.analysis.profile import profile
from atrous.errors import DataError
from atrous.inference.tiles.grid import plan_grid
from atrous.inference.tiles.memory import DEFAULT, MARGIN
from atrous.types import Size

VolumeContext: TypeAlias = Literal["auto", "whole", "exact", "blended"]

BASE: Final = 1_000_000_000
"""Bytes of the program itself, with what analysis needs of torch."""
LARGEST: Final = 3.0
"""Voxels that may be computed for each that is kept before `auto` gives up exactness."""
STEP: Final = 0.5
"""Of blended windows, in their length: as nnU-Net's."""
WINDOW: Final = (128, 128, 128)
"""Of blended windows, where the card names none."""

_PROBE: Final = (32, 32, 32)
_SMALLEST: Final = 16
"""Side of the smallest part, voxels: below it parts are all halo."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One piece of the work.

    Attributes:
        window: What the network is given.
        core: What it answers for; the window itself where parts are blended.
    """

    window: tuple[slice, ...]
    core: tuple[slice, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumePlan:
    """What is run, in this order.

    Attributes:
        kind: `whole`, `exact`: cores with the network's halo, which give what the whole gives; or
            `blended`: overlapping windows averaged with Gaussian weights.
        parts: Their cores cover the scan.
        reason: Why it is this kind, for people.
        needed: Bytes that a run takes by this plan, as far as is known beforehand.
    """

    kind: Literal["whole", "exact", "blended"]
    parts: tuple[Part, ...]
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
        ceiling: Bytes.

    Raises:
        DataError: If it does not fit, or must be exact and cannot be.
    """
    per_voxel = MARGIN * _bytes_per_voxel(network, in_channels)
    if is_mean:  # what is mirrored, and the sum of what was said so far
        per_voxel += 4 * (in_channels + num_classes)

    def needed(lengths: Size) -> int:
        # The scan as it was read and as it is fed; of parts, their sums and the sums' weights.
        maps = 2 * in_channels + (0 if lengths == size else num_classes + 1)
        return round(BASE + 4 * maps * prod(size) + per_voxel * prod(lengths))

    everything = tuple(slice(0, length) for length in size)
    if wish == "whole" or (wish == "auto" and needed(size) <= ceiling):
        _check(needed(size), ceiling, "the whole scan")
        part = Part(window=everything, core=everything)
        return VolumePlan(kind="whole", parts=(part,), reason="it fits", needed=needed(size))
    obstacle = "blended parts were asked for"
    if wish != "blended":
        found = _exact(network, size, needed, in_channels=in_channels, ceiling=ceiling)
        overhead = 0.0
        if isinstance(found, VolumePlan):
            overhead = sum(_voxels(part.window) for part in found.parts) / prod(size)
            if wish == "exact" or overhead <= LARGEST:
                return found
        obstacle = found if isinstance(found, str) else f"its halo costs {overhead:.1f} times more"
        if wish == "exact":
            raise DataError(f"Parts cannot be exact: {obstacle}; take blended ones.")
    lengths = _fitting(tuple(map(min, window or WINDOW, size)), needed, ceiling)
    spots = product(*(_starts(n, m) for n, m in zip(size, lengths, strict=True)))
    windows = [tuple(slice(a, a + n) for a, n in zip(s, lengths, strict=True)) for s in spots]
    return VolumePlan(
        kind="blended",
        parts=tuple(Part(window=window, core=window) for window in windows),
        reason=obstacle,
        needed=needed(lengths),
    )


def _fitting(lengths: Size, needed: Callable[[Size], int], ceiling: int) -> Size:
    """A window that fits, its longest axis halved until it does.

    Raises:
        DataError: If the smallest does not.
    """
    while needed(lengths) > ceiling and max(lengths) > _SMALLEST:
        longest = lengths.index(max(lengths))
        lengths = tuple(
            max(_SMALLEST, n // 2) if axis == longest else n for axis, n in enumerate(lengths)
        )
    _check(needed(lengths), ceiling, f"windows of {' x '.join(map(str, lengths))}")
    return lengths


def _exact(
    network: nn.Module,
    size: Size,
    needed: Callable[[Size], int],
    *,
    in_channels: int,
    ceiling: int,
) -> VolumePlan | str:
    """Exact parts, or why there are none."""
    need = halo(network, _PROBE, in_channels=in_channels)
    if not need.is_finite:
        first = need.blockers[0]
        return f"no halo is wide enough for {first.op} in {first.layer}"
    margin = tuple(n or 0 for n in need.pixels)
    alignment = tuple(n or 1 for n in need.alignment)
    if any(n % step for n, step in zip(size, alignment, strict=True)):
        return f"the scan's size {size} is no multiple of the network's stride {alignment}"
    core = size
    while True:
        grid = plan_grid(size, core=core, halo=margin, alignment=alignment)
        windows = [tile.window_size for tile in grid]
        if needed(max(windows, key=prod)) <= ceiling:
            break
        longest = max(core)
        if longest <= _SMALLEST:
            return f"its halo of {margin} does not fit into the memory"
        core = tuple(max(_SMALLEST, ceil(n / 2)) if n == longest else n for n in core)
    return VolumePlan(
        kind="exact",
        parts=tuple(Part(window=tile.window, core=tile.core) for tile in grid),
        reason=f"halo of {margin} voxels by the receptive field",
        needed=needed(max(windows, key=prod)),
    )


def _starts(length: int, window: int) -> list[int]:
    """Where windows begin along an axis, spread evenly, at most half a window apart.

    Source: nnU-Net, `compute_steps_for_sliding_window`.

    Example:
        >>> _starts(110, 64), _starts(64, 64)
        ([0, 23, 46], [0])
    """
    room = length - window
    count = ceil(room / (window * STEP)) + 1
    return [round(room * index / max(1, count - 1)) for index in range(count)]


def _voxels(window: tuple[slice, ...]) -> int:
    return prod(part.stop - part.start for part in window)


def _check(needed: int, ceiling: int, what: str) -> None:
    if needed > ceiling:
        raise DataError(
            f"Running {what} needs about {needed / 1e9:.1f} GB; expected at most "
            f"{ceiling / 1e9:.1f} GB; raise --memory, or let it be cut into parts."
        )


@lru_cache(maxsize=4)
def _bytes_per_voxel(network: nn.Module, in_channels: int) -> float:
    return profile(network, _PROBE, in_channels=in_channels).peak_activation_bytes / prod(_PROBE)
