"""Choose between exact tiles, whose halo is the network's, and blended ones; and say why."""

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil, inf, lcm, prod
from types import MappingProxyType
from typing import Final, Literal, TypeAlias

from torch import nn

from atrous.analysis.effective_field import effective_size
from atrous.analysis.halo import Halo, halo
from atrous.errors import AtrousError, DataError
from atrous.inference.tiles.full_size import WRAPPED
from atrous.inference.tiles.grid import TileGrid, plan_grid
from atrous.types import Size

ContextWish: TypeAlias = Literal["auto", "exact", "blended"]

ALIGNMENT: Final = 32
"""Multiple that tiles are cut at where no network's stride says one."""
LARGEST: Final = MappingProxyType({2: 4.0, 3: 3.0})
"""Pixels or voxels computed for each that is kept before `auto` gives up exactness, by axes."""
PROBES: Final = MappingProxyType({2: (512, 512), 3: (32, 32, 32)})
"""Size of the input that a network is looked at with, by its number of axes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """How anything is cut, whatever its size.

    Attributes:
        kind: `exact`: the halo is that of the network, and a tile's core is what the whole would
            give. `blended`: tiles overlap by less than that and are averaged with Gaussian weights.
        core: Lengths of a core; empty where none fits into memory.
        halo: Context on either side of a core, per axis.
        alignment: Multiple at which tiles are cut, per axis.
        reason: Why it is this kind, for people.
    """

    kind: Literal["exact", "blended"]
    core: Size
    halo: Size
    alignment: Size
    reason: str

    def grid(self, size: Size) -> TileGrid:
        """The tiles of an image or volume."""
        return plan_grid(size, core=self.core, halo=self.halo, alignment=self.alignment)


def choose_exact(
    network: nn.Module,
    *,
    wish: ContextWish,
    core_for: Callable[[Size, Size], Size],
    in_channels: int,
    size: Size | None = None,
) -> Context | str:
    """Exact tiles where the network has a finite halo that can be paid for, else why not.

    Args:
        network: Gives masks of its input's size; see `FullSize`.
        wish: `auto`, or which of the two it must be.
        core_for: Lengths of the core that fits into memory with a halo and an alignment; empty if
            none does.
        in_channels: Channels of the network's input.
        size: Of what is cut; None for images much larger than a tile, cut alike on both axes.

    Raises:
        DataError: If it must be exact and cannot be.
    """
    if wish == "blended":
        return "blended tiles were asked for"
    num_axes = 2 if size is None else len(size)
    need = halo(network, PROBES[num_axes], in_channels=in_channels)
    limit = inf if wish == "exact" else LARGEST[num_axes]
    found = _exact(need, core_for=core_for, limit=limit, size=size)
    if isinstance(found, str) and wish == "exact":
        raise DataError(f"Tiles cannot be exact: {found}; take blended ones.")
    return found


def _exact(
    need: Halo, *, core_for: Callable[[Size, Size], Size], limit: float, size: Size | None
) -> Context | str:
    if not need.is_finite:
        first, num_others = need.blockers[0], len(need.blockers) - 1
        more = f" and {num_others} more" if num_others else ""
        return f"no halo is wide enough for {first.op} in {first.layer.removeprefix(WRAPPED)}{more}"
    margin = tuple(n or 0 for n in need.pixels)
    steps = tuple(n or 1 for n in need.alignment)
    if size is None:
        step = lcm(*steps)
        steps = (step,) * len(steps)
        margin = (step * ceil(max(margin) / step),) * len(steps)
    elif any(n % step for n, step in zip(size, steps, strict=True)):
        return f"the size {size} is no multiple of the network's stride {steps}"
    text = _text(margin)
    core = core_for(margin, steps)
    if not core:
        return f"its halo of {text} does not fit into the memory"
    reason = f"halo of {text} by the receptive field"
    context = Context(kind="exact", core=core, halo=margin, alignment=steps, reason=reason)
    overhead = prod((n + 2 * pixels) / n for n, pixels in zip(core, margin, strict=True))
    if size is not None:
        overhead = context.grid(size).overhead
    if overhead > limit:
        return (
            f"its halo of {text} would cost {overhead:.1f} times the work with cores of "
            f"{_text(core)}"
        )
    return context


def choose_context(
    network: nn.Module,
    *,
    wish: ContextWish,
    core_for: Callable[[Size, Size], Size],
) -> Context:
    """Square tiles for slides: exact where that can be paid for, else blended.

    Args:
        network: Gives masks of its input's size, RGB; see `FullSize`.
        wish: `auto`, or which of the two it must be.
        core_for: As `choose_exact` takes it.

    Raises:
        DataError: If it must be exact and cannot be.
    """
    found = choose_exact(network, wish=wish, core_for=core_for, in_channels=3)
    if isinstance(found, Context):
        return found
    halo, alignment = (_overlap(network),) * 2, (ALIGNMENT,) * 2
    core = core_for(halo, alignment)
    return Context(kind="blended", core=core, halo=halo, alignment=alignment, reason=found)


def _overlap(network: nn.Module) -> int:
    """Half the effective field, which is where nearly all of the gradient comes from."""
    try:
        sizes = effective_size(network, PROBES[2], in_channels=3)
    except AtrousError:  # a network that takes no gradient or no noise of this size
        return 2 * ALIGNMENT
    half = max(sizes) // 2
    return min(max(ALIGNMENT, ALIGNMENT * ceil(half / ALIGNMENT)), PROBES[2][0] // 2)


def _text(lengths: Size) -> str:
    """Lengths for people, a single number where they are equal."""
    numbers = lengths[:1] if len(set(lengths)) == 1 else lengths
    return f"{' x '.join(map(str, numbers))} {'voxels' if len(lengths) == 3 else 'px'}"
