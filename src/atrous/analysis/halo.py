"""How much context a tile needs so that its middle equals the whole image's result.

A run on fake tensors marks every value that was computed with a window beyond the border (padding,
a clamp, a wrap-around). In a tile those values are wrong, all others are right, as long as the
network treats equal content alike wherever it lies. So the halo is the width of the marked margin,
and a tile may begin only where the strides begin anew.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor, lcm

import numpy as np
import torch
from torch import Tensor, nn

from atrous.analysis.fields.axes import Array, align
from atrous.analysis.fields.dependence import Dependence, Note
from atrous.analysis.fields.field import main_dims, middle_rows, period_of
from atrous.analysis.fields.field_trace import Sight, look
from atrous.analysis.receptive_field import ReceptiveField, as_inputs, find_map, sights
from atrous.analysis.tracing.fake import unwrap
from atrous.analysis.tracing.trace import Stage, staged
from atrous.errors import AtrousError, ShapeError

_BLOCKING = ("global", "unknown", "shift-variant")


@dataclass(frozen=True, slots=True, kw_only=True)
class Halo:
    """Context that makes the middle of a tile exact.

    A tile cut at `origin` with length `n`, both multiples of `alignment`, gives on
    `[origin + pixels, origin + n - pixels)` what the whole image gives there; at a border of the
    image itself no halo is needed. The image's own lengths must be multiples of `alignment` too
    where the network's shapes depend on it.

    Attributes:
        pixels: Halo per axis and side in input pixels, a multiple of `alignment`; None if no halo
            will do.
        before: The same before rounding up, on the side of index 0.
        after: The same on the other side.
        alignment: What tile origins must be multiples of: the total stride; None if no halo will
            do.
        blockers: The ops that see the whole input, treat places differently, or are not known.
    """

    pixels: tuple[int | None, ...]
    before: tuple[int | None, ...]
    after: tuple[int | None, ...]
    alignment: tuple[int | None, ...]
    blockers: tuple[Note, ...]

    @property
    def is_finite(self) -> bool:
        """Whether tiles can be exact at all."""
        return None not in self.pixels


def halo(
    model: nn.Module,
    size: Sequence[int],
    *,
    output: str | None = None,
    in_channels: int | None = None,
    inputs: Sequence[Tensor] | None = None,
    seen: ReceptiveField | None = None,
) -> Halo:
    """Pixels of context per side that make a tile's middle exact, and where tiles may begin.

    Args:
        model: Any module; run in the mode (train or eval) it is in.
        size: A size the network takes; the halo does not depend on it.
        output: A layer's dotted name, or a key of what the model returns. Default: the first thing
            returned.
        in_channels: Channels of the input; read off the first convolution if left out.
        inputs: All inputs instead of `size` and `in_channels`; tiles are cut from the first.
        seen: The field of the same output of the same input, if it is known: where it tells that
            no halo will do, nothing is run.

    Raises:
        ShapeError: If the model cannot take an input of this size.
        UnknownNameError: If nothing is called `output`.

    Example:
        >>> conv = nn.Conv2d(3, 3, 3, padding=1)
        >>> need = halo(nn.Sequential(conv, nn.MaxPool2d(2), conv), (64, 64))
        >>> need.pixels, need.alignment  # 1 px, which spoils 2 by pooling, and their neighbour's 2
        ((4, 4), (2, 2))
    """
    model = unwrap(model)
    inputs = as_inputs(model, size, in_channels=in_channels, inputs=inputs)
    count = inputs[0].ndim - 2
    if seen is not None and (blockers := _blockers(seen.notes)):
        return _infinite(count, blockers)
    with staged(model) as stage:
        first, last = sights(stage, inputs)
        name = find_map(first, output)
        if name not in last.maps:
            last = first
        blockers = _blockers(last.maps[name][0].notes)
        if blockers:
            return _infinite(count, blockers)
        try:
            return _measure(stage, inputs, name, last)
        except _NotTileableError as found:
            return _infinite(count, (found.note,))
        except ShapeError:  # it ran at the size asked for, but takes no other
            return _infinite(count, (Note("shift-variant", "an input of fixed size", "", 0),))


class _NotTileableError(AtrousError):
    """Carries the reason why no halo will do."""

    def __init__(self, op: str, layer: str) -> None:
        super().__init__(f"{op} in {layer}")
        self.note = Note("shift-variant", op, layer, 0)


def _infinite(count: int, blockers: tuple[Note, ...]) -> Halo:
    none = (None,) * count
    return Halo(pixels=none, before=none, after=none, alignment=none, blockers=blockers)


def _blockers(notes: Iterable[Note]) -> tuple[Note, ...]:
    """Ops on the way to a map that make tiles impossible, the first to run first."""
    blocking = [note for note in notes if note.kind in _BLOCKING]
    return tuple(sorted(blocking, key=lambda note: note.step))


def _measure(stage: Stage, inputs: Sequence[Tensor], name: str, last: Sight) -> Halo:
    """Measure the marked margins at two sizes, which must agree."""
    steps = _alignment(stage, inputs, name, last)
    field = last.field(name)
    jumps = [max(d.guess[i][1] for d, _ in last.maps.values()) for i in range(len(steps))]
    lengths = [
        step * ceil((2 * size + 48 * jump) / step)
        for step, size, jump in zip(steps, field.size, jumps, strict=True)
    ]
    small = _look_at(stage, inputs, lengths)
    large = _look_at(stage, inputs, [n + step for n, step in zip(lengths, steps, strict=True)])
    before, after = [], []
    for i, step in enumerate(steps):
        margins = _margins(small, large, name, i, step)
        before.append(margins[0])
        after.append(margins[1])
    pixels = [
        step * ceil(max(b, a) / step) for b, a, step in zip(before, after, steps, strict=True)
    ]
    return Halo(
        pixels=tuple(pixels),
        before=tuple(before),
        after=tuple(after),
        alignment=tuple(steps),
        blockers=(),
    )


def _look_at(stage: Stage, inputs: Sequence[Tensor], lengths: Sequence[int]) -> Sight:
    """Run with the first input at these lengths and the others scaled along."""
    old = inputs[0].shape[2:]
    resized = []
    for tensor in inputs:
        size = tuple(tensor.shape[2:])
        if len(size) == len(lengths):
            size = tuple(n * new // m for n, new, m in zip(size, lengths, old, strict=True))
        resized.append(torch.empty((*tensor.shape[:2], *size), dtype=tensor.dtype, device="meta"))
    sight = look(stage, resized, keeps_graph=True)
    if sight.error is not None:
        raise sight.error
    return sight


def _alignment(stage: Stage, inputs: Sequence[Tensor], name: str, last: Sight) -> list[int]:
    """Least common multiple of the distances after which any map on the way repeats itself."""
    jumps = [max(d.guess[i][1] for d, _ in last.maps.values()) for i in range(len(last.size))]
    lengths = [
        n * max(1, ceil((last.field(name).size[i] + 160 * jumps[i]) / n))
        for i, n in enumerate(inputs[0].shape[2:])
    ]
    sight = _look_at(stage, inputs, lengths)
    steps = [1] * len(lengths)
    for dep in _ancestors(sight, sight.maps[name][0]):
        if dep.axes[0].ndim != len(steps) + 3:  # not a map
            continue
        shape = (1,) * (dep.axes[0].ndim - 1)
        dims = main_dims(dep, shape, sight.run.axes)
        for i, axis in enumerate(sight.run.axes):
            v, dim = dep.axes[i], dims[i]
            if dim is None or v.shape[dim] == 1:
                continue
            found = period_of(middle_rows(axis, v, dim, dims), dep.guess[i][1])
            if found is None or found[1] <= 0:
                op, layer = sight.graph[id(dep)][2:] if id(dep) in sight.graph else ("input", "")
                raise _NotTileableError(op, layer)
            steps[i] = lcm(steps[i], found[1])
    return steps


def _ancestors(sight: Sight, dep: Dependence) -> Iterator[Dependence]:
    """A map and every map it was computed from."""
    met: set[int] = set()
    stack = [dep]
    while stack:
        current = stack.pop()
        if id(current) not in met:
            met.add(id(current))
            yield current
            if id(current) in sight.graph:
                stack += sight.graph[id(current)][1]


def _rows(sight: Sight, name: str, i: int) -> tuple[Array, int]:
    """Fields along one axis of a map, and the map's length there."""
    dep, shape = sight.maps[name]
    dims = main_dims(dep, shape, sight.run.axes)
    dim = dims[i]
    if dim is None:
        raise _NotTileableError("an output that is no map of the image", name)
    return middle_rows(sight.run.axes[i], align(dep.axes[i], len(shape)), dim, dims), shape[dim]


def _margins(small: Sight, large: Sight, name: str, i: int, step: int) -> tuple[int, int]:
    """Marked pixels on either side, if the two sizes show the same picture."""
    (rows, length), (wider, longer) = _rows(small, name, i), _rows(large, name, i)
    if longer <= length or len(rows) < length or len(wider) < longer:
        raise _NotTileableError("an output of fixed size", name)
    jump = Fraction(step, longer - length)
    margins = _margin(rows, small.size[i], jump)
    if margins is None or margins != _margin(wider, large.size[i], jump):
        raise _NotTileableError(
            "borders that depend on the size", _first_difference(small, large, i)
        )
    clear = np.flatnonzero(rows[:, 2] == 1)
    if not np.array_equal(rows[clear], wider[clear]):
        raise _NotTileableError(
            "positions that depend on the size", _first_difference(small, large, i)
        )
    return margins


def _margin(rows: Array, length: int, jump: Fraction) -> tuple[int, int] | None:
    """Marked pixels before and after the clear middle of one run."""
    clear = np.flatnonzero(rows[:, 2] == 1)
    if not len(clear) or clear[-1] - clear[0] + 1 != len(clear):
        return None
    # Outputs of unpadded networks do not reach the border: the missing part is split evenly.
    missing = floor((length - len(rows) * jump) / 2)
    first, last = int(clear[0]), int(clear[-1]) + 1
    return max(0, ceil(missing + first * jump)), max(0, ceil(length - missing - last * jump))


def _first_difference(small: Sight, large: Sight, i: int) -> str:
    """The first layer whose fields are not the same at two sizes."""
    for name in small.maps:
        if name in large.maps:
            rows, wider = _rows(small, name, i)[0], _rows(large, name, i)[0]
            clear = np.flatnonzero(rows[:, 2] == 1)
            if len(wider) < len(rows) or not np.array_equal(rows[clear], wider[clear]):
                return name
    return "output"
