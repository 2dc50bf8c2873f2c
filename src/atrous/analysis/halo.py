"""How much context a tile needs so that its middle equals the whole image's result.

A run on fake tensors marks every value that was computed with a window beyond the border (padding,
a clamp, a wrap-around). In a tile those values are wrong, all others are right, as long as the
network treats equal content alike wherever it lies. So the halo is the width of the marked margin,
and a tile may begin only where the strides begin anew.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import ceil, floor, lcm

import numpy as np
import torch
from torch import nn

from atrous.analysis.fields.axes import FAR, Array, align
from atrous.analysis.fields.dependence import Dependence, Note
from atrous.analysis.fields.field import main_dims, middle_rows, period_of
from atrous.analysis.receptive_field import ReceptiveField, find_map, sights
from atrous.analysis.tracing.arguments import Arguments, Given, as_arguments, need_axes
from atrous.analysis.tracing.fake import unwrap
from atrous.analysis.tracing.field_trace import Sight, look
from atrous.analysis.tracing.mode import Mode, in_mode
from atrous.analysis.tracing.trace import Stage, staged
from atrous.errors import AtrousError, ShapeError

_BLOCKING = ("global", "unknown", "shift-variant", "wraps")


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
        wrapped: Where opposite borders are joined (circular padding) and nothing else is in the
            way: the halo that will do if every tile, those at the border too, takes it from the
            image continued around. None otherwise.
    """

    pixels: tuple[int | None, ...]
    before: tuple[int | None, ...]
    after: tuple[int | None, ...]
    alignment: tuple[int | None, ...]
    blockers: tuple[Note, ...]
    wrapped: tuple[int, ...] | None = None

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
    inputs: Given | None = None,
    seen: ReceptiveField | None = None,
    mode: Mode = "eval",
) -> Halo:
    """Pixels of context per side that make a tile's middle exact, and where tiles may begin.

    Args:
        model: Any module.
        size: A size the network takes; the halo does not depend on it.
        output: A layer's dotted name, or a key of what the model returns. Default: the first thing
            returned.
        in_channels: Channels of the input; read off the first convolution if left out.
        inputs: What `forward` takes instead of an image of `size`: a tensor, a list of arguments,
            or a dictionary of them by name; tiles are cut from the first tensor, and alike from
            all that lie on its grid.
        seen: The field of the same output of the same input, if it is known: where it tells that
            no halo will do, nothing is run.
        mode: `"eval"` as the model will be used; `"as is"` in the mode it is in.

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
    call = as_arguments(model, size, in_channels=in_channels, inputs=inputs)
    count = len(need_axes(call, 0, "halo"))
    if seen is not None and (blockers := _blockers(seen.notes)) and not _only_wraps(blockers):
        return _infinite(count, blockers)
    with in_mode(model, mode), staged(model) as stage:
        first, last = sights(stage, call)
        name = find_map(first, output)
        if name not in last.maps:
            last = first
        blockers = _blockers(last.maps[name][0].notes)
        if blockers and not _only_wraps(blockers):
            return _infinite(count, blockers)
        try:
            found = _measure(stage, call, name, first, last)
            if not blockers:
                return found
            pixels = tuple(n for n in found.pixels if n is not None)
            return replace(_infinite(count, blockers), wrapped=pixels, alignment=found.alignment)
        except _NotTileableError as error:
            return _infinite(count, (*blockers, error.note))
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


def _only_wraps(blockers: tuple[Note, ...]) -> bool:
    return all(note.kind == "wraps" for note in blockers)


def _blockers(notes: Iterable[Note]) -> tuple[Note, ...]:
    """Ops on the way to a map that make tiles impossible, the first to run first."""
    blocking = [note for note in notes if note.kind in _BLOCKING]
    return tuple(sorted(blocking, key=lambda note: note.step))


def _measure(stage: Stage, inputs: Arguments, name: str, first: Sight, last: Sight) -> Halo:
    """Measure the marked margins at two sizes, which must agree."""
    steps = _alignment(stage, inputs, name, last)
    field = last.field(name)
    jumps = [max(d.guess[i][1] for d, _ in last.maps.values()) for i in range(len(steps))]
    lengths = [
        step * ceil((2 * size + 48 * jump) / step)
        for step, size, jump in zip(steps, field.size, jumps, strict=True)
    ]
    small = _look_at(stage, inputs, lengths)
    _compare_ops(first, small, name)
    # A good third longer, so that a margin that grows with the image is seen to grow.
    large = _look_at(
        stage,
        inputs,
        [n + step * -(-n // (3 * step)) for n, step in zip(lengths, steps, strict=True)],
    )
    _compare(small, large, name)
    before, after = [], []
    for i in range(len(steps)):
        margins = _margins(small, large, name, i)
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


def _compare_ops(small: Sight, large: Sight, name: str) -> None:
    """See that two sizes ran the same ops, on maps of the same rank.

    Raises:
        _NotTileableError: If not.
    """
    # A size that is no multiple of the strides may be padded to one and cropped again.
    before, after = (
        [step for step in sight.run.trail if step[0] not in ("constant_pad_nd", "slice")]
        for sight in (small, large)
    )
    for old, new in zip(before, after, strict=False):
        if old[:3] != new[:3] or len(old[3]) != len(new[3]):
            raise _NotTileableError(f"{new[0]}, another op at another size,", new[1])
    if len(before) != len(after):
        raise _NotTileableError("a number of ops that depends on the size", name)


def _compare(small: Sight, large: Sight, name: str) -> None:
    """See that two sizes ran the same ops with the same numbers.

    Raises:
        _NotTileableError: If not.
    """
    _compare_ops(small, large, name)
    for before, after in zip(small.run.meetings, large.run.meetings, strict=False):
        if before != after:
            raise _NotTileableError(f"{after[1]} with a number that depends on the size", name)
    if len(small.run.meetings) != len(large.run.meetings):
        raise _NotTileableError("a number of ops that depends on the size", name)


def _look_at(stage: Stage, inputs: Arguments, lengths: Sequence[int]) -> Sight:
    """Run with the first input at these lengths and those on its grid scaled along."""
    old = inputs.lengths()
    resized = []
    for position, tensor in enumerate(inputs.tensors):
        size = tuple(tensor.shape[2:])
        if len(inputs.lengths(position)) == len(lengths):
            size = tuple(n * new // m for n, new, m in zip(size, lengths, old, strict=True))
        resized.append(torch.empty((*tensor.shape[:2], *size), dtype=tensor.dtype, device="meta"))
    sight = look(stage, inputs.replaced(resized), keeps_graph=True)
    if sight.error is not None:
        raise sight.error
    return sight


def _alignment(stage: Stage, inputs: Arguments, name: str, last: Sight) -> list[int]:
    """Least common multiple of the distances after which any map on the way repeats itself."""
    jumps = [max(d.guess[i][1] for d, _ in last.maps.values()) for i in range(len(last.size))]
    lengths = [
        n * max(1, ceil((last.field(name).size[i] + 160 * jumps[i]) / n))
        for i, n in enumerate(inputs.lengths())
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
            if dim is None or v.shape[dim] == 1 or bool((v[..., 0] >= FAR).all()):
                continue
            found = period_of(
                middle_rows(axis, v, dim, dims),
                dep.guess[i][1],
                is_fractional=sight.run.is_fractional,
            )
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


def _margins(small: Sight, large: Sight, name: str, i: int) -> tuple[int, int]:
    """Marked pixels on either side, if the two sizes show the same picture."""
    (rows, length), (wider, longer) = _rows(small, name, i), _rows(large, name, i)
    if longer <= length or len(rows) < length or len(wider) < longer:
        raise _NotTileableError("an output of fixed size", name)
    jump = Fraction(large.size[i] - small.size[i], longer - length)
    margins = _margin(rows, small.size[i], jump)
    if margins is None or margins != _margin(wider, large.size[i], jump):
        raise _NotTileableError(
            "borders that depend on the size", _first_difference(small, large, i)
        )
    inside = _clear(rows)
    if inside is None or not np.array_equal(rows[inside], wider[inside]):
        raise _NotTileableError(
            "positions that depend on the size", _first_difference(small, large, i)
        )
    return margins


def _clear(rows: Array) -> slice | None:
    """The middle that no border touches; None if that is less than a quarter of all."""
    marked = np.flatnonzero(rows[:, 2] == 0)
    middle = len(rows) // 2
    first = int(marked[marked < middle].max(initial=-1)) + 1
    last = int(marked[marked >= middle].min(initial=len(rows)))
    return slice(first, last) if 4 * (last - first) >= len(rows) else None


def _margin(rows: Array, length: int, jump: Fraction) -> tuple[int, int] | None:
    """Marked pixels before and after the clear middle of one run."""
    inside = _clear(rows)
    if inside is None:
        return None
    # Outputs of unpadded networks do not reach the border: the missing part is split evenly.
    missing = floor((length - len(rows) * jump) / 2)
    before = ceil(missing + inside.start * jump)
    return max(0, before), max(0, ceil(length - missing - inside.stop * jump))


def _first_difference(small: Sight, large: Sight, i: int) -> str:
    """The first layer whose fields are not the same at two sizes."""
    for name in small.maps:
        if name in large.maps:
            rows, wider = _rows(small, name, i)[0], _rows(large, name, i)[0]
            inside = _clear(rows)
            if inside is None or not np.array_equal(rows[inside], wider[inside]):
                return name
    return "output"
