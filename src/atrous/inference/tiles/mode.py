"""How much of its surroundings a tile of a slide is given, and whether that makes it exact."""

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil
from typing import Final, Literal, TypeAlias

from torch import nn

from atrous.analysis.effective_field import effective_size
from atrous.analysis.halo import Halo, halo
from atrous.errors import AtrousError, DataError

ContextKind: TypeAlias = Literal["exact", "blended"]
ContextWish: TypeAlias = Literal["auto", "exact", "blended"]

ALIGNMENT: Final = 32
"""Multiple that tiles are cut at where no network's stride says one."""
LARGEST: Final = 4.0
"""Pixels that may be computed for each that is kept before `auto` gives up exactness."""
WRAPPED: Final = "network.network."
"""How names of layers begin inside the wrappers that `SlideNetwork.masks` adds."""
PROBE: Final = 512
"""Side of the input that the network is looked at with, pixels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What stands around a tile's core.

    Attributes:
        kind: `exact`: the halo is that of the network, and a tile's core is what the whole slide
            would give. `blended`: tiles overlap by less than that and are averaged with Gaussian
            weights.
        halo: Context on every side of a core, pixels.
        alignment: Multiple at which tiles are cut, pixels.
        reason: Why it is this kind, for people.
    """

    kind: ContextKind
    halo: int
    alignment: int
    reason: str


def choose_context(
    network: nn.Module,
    *,
    wish: ContextWish,
    core_for: Callable[[int, int], int],
    in_channels: int = 3,
) -> Context:
    """Exact tiles where the network has a finite halo that can be paid for, else blended ones.

    Args:
        network: Gives masks of its input's size; see `FullSize`.
        wish: `auto`, or which of the two it must be.
        core_for: Side of the core that fits into memory with a halo and an alignment; 0 if none.
        in_channels: Channels of its input.

    Raises:
        DataError: If it must be exact and cannot be.
    """
    if wish != "blended":
        need = halo(network, (PROBE, PROBE), in_channels=in_channels)
        found, obstacle = _exact(need, core_for=core_for, is_wanted=wish == "exact")
        if found is not None:
            return found
        if wish == "exact":
            raise DataError(f"Tiles cannot be exact: {obstacle}; take blended ones.")
    else:
        obstacle = "blended tiles were asked for"
    overlap = _overlap(network, in_channels=in_channels)
    return Context(kind="blended", halo=overlap, alignment=ALIGNMENT, reason=obstacle)


def _exact(
    need: Halo, *, core_for: Callable[[int, int], int], is_wanted: bool
) -> tuple[Context | None, str]:
    """The exact context, or why there is none."""
    lengths = [n for n in need.pixels if n is not None]
    steps = [n for n in need.alignment if n is not None]
    if not need.is_finite or not lengths or not steps:
        first, num_others = need.blockers[0], len(need.blockers) - 1
        layer = first.layer.removeprefix(WRAPPED)
        more = f" and {num_others} more" if num_others else ""
        return None, f"no halo is wide enough for {first.op} in {layer}{more}"
    pixels, alignment = max(lengths), max(steps)
    pixels = alignment * ceil(pixels / alignment)
    core = core_for(pixels, alignment)
    if core == 0:
        return None, f"its halo of {pixels} px does not fit into the memory"
    overhead = ((core + 2 * pixels) / core) ** 2
    if overhead > LARGEST and not is_wanted:
        return None, (
            f"its halo of {pixels} px would cost {overhead:.1f} times the work with cores of "
            f"{core} px"
        )
    reason = f"halo of {pixels} px by the receptive field"
    return Context(kind="exact", halo=pixels, alignment=alignment, reason=reason), ""


def _overlap(network: nn.Module, *, in_channels: int) -> int:
    """Half the effective field, which is where nearly all of the gradient comes from."""
    try:
        sizes = effective_size(network, (PROBE, PROBE), in_channels=in_channels)
    except AtrousError:  # a network that takes no gradient or no noise of this size
        return 2 * ALIGNMENT
    half = max(sizes) // 2
    return min(max(ALIGNMENT, ALIGNMENT * ceil(half / ALIGNMENT)), PROBE // 2)
