"""How much context a tile needs so that its middle equals the whole image's result.

A run on fake tensors marks every value that was computed with a window beyond the border (padding,
a clamp, a wrap-around). In a tile those values are wrong, all others are right, as long as the
network treats equal content alike wherever it lies. So the halo is the width of the marked margin,
and a tile may begin only where the strides begin anew.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import ceil, lcm

from torch import nn

from atrous.analysis.fields.axes import MapTooLargeError
from atrous.analysis.fields.dependence import Note
from atrous.analysis.margins import (
    NotTileableError,
    alignment_of,
    compare,
    compare_ops,
    look_at,
    margins,
)
from atrous.analysis.receptive_field import ReceptiveField, find_map, sights
from atrous.analysis.tile_lengths import widened
from atrous.analysis.tracing.arguments import Arguments, Given, as_arguments, need_axes
from atrous.analysis.tracing.fake import unwrap
from atrous.analysis.tracing.field_trace import Sight, same_grid
from atrous.analysis.tracing.mode import Mode, in_mode
from atrous.analysis.tracing.process import collector_at_rest
from atrous.analysis.tracing.trace import Stage, staged
from atrous.errors import ShapeError

_BLOCKING = ("global", "unknown", "shift-variant", "wraps")


@dataclass(frozen=True, slots=True, kw_only=True)
class Halo:
    """Context that makes the middle of a tile exact.

    A tile cut at `origin` with length `n`, both multiples of `alignment`, gives on
    `[origin + pixels, origin + n - pixels)` what the whole image gives there; at a border of the
    image itself no halo is needed. The image's own lengths must be multiples of `alignment` too
    where the network's shapes depend on it.

    Attributes:
        pixels: Halo per axis and side in input pixels, a multiple of `alignment`; wide enough that
            no tile is so small that another branch of the network runs. None if no halo will do.
        before: What the border spoils on the side of index 0, not rounded up.
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


@collector_at_rest
def halo(
    model: nn.Module,
    size: Sequence[int] = (),
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
        size: A size the network takes; the halo does not depend on it. Not needed with `inputs`.
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
        found = _halo_of(stage, call, output, source=0)
        for source in same_grid(call):
            if found.is_finite or found.wrapped is not None:
                found = _both(found, _halo_of_other(stage, call, output, source))
    return found


def _halo_of(stage: Stage, call: Arguments, output: str | None, *, source: int) -> Halo:
    """The halo that one of the inputs needs, in its own pixels."""
    first, last = sights(stage, call, source=source)
    name = find_map(first, output)
    count = len(first.size)
    if name not in last.maps:
        last = first
    blockers = _blockers(last.maps[name][0].notes)
    if blockers and not _only_wraps(blockers):
        return _infinite(count, blockers)
    try:
        found = _measure(stage, call, name, first, last, source)
        if not blockers:
            return found
        pixels = tuple(n for n in found.pixels if n is not None)
        return replace(_infinite(count, blockers), wrapped=pixels, alignment=found.alignment)
    except NotTileableError as error:
        return _infinite(count, (*blockers, error.note))
    except MapTooLargeError:  # places that differ one by one, at a size that shows the borders
        return _infinite(count, (*blockers, Note("unknown", "a map too large to follow", "", 0)))
    except ShapeError:  # it ran at the size asked for, but takes no other
        return _infinite(count, (Note("shift-variant", "an input of fixed size", "", 0),))


def _halo_of_other(stage: Stage, call: Arguments, output: str | None, source: int) -> Halo | None:
    """The halo of a further input that is cut alike, in pixels of the first; None if it has no say.

    It sees nothing of the first input, so what is done to it alone shows only in a run of its own.
    """
    try:
        found = _halo_of(stage, call, output, source=source)
    except ShapeError:  # nothing that is returned depends on it
        return None
    scales = [Fraction(n, m) for n, m in zip(call.lengths(), call.lengths(source), strict=True)]

    def scaled(values: Sequence[int | None]) -> tuple[int | None, ...]:
        return tuple(
            None if n is None else ceil(n * scale) for n, scale in zip(values, scales, strict=True)
        )

    # Origins must be whole pixels of both inputs, and multiples of both alignments.
    alignment = tuple(
        None if n is None else lcm((n * scale).numerator, scale.numerator)
        for n, scale in zip(found.alignment, scales, strict=True)
    )
    return replace(
        found,
        pixels=scaled(found.pixels),
        before=scaled(found.before),
        after=scaled(found.after),
        alignment=alignment,
        wrapped=None
        if found.wrapped is None
        else tuple(ceil(n * scale) for n, scale in zip(found.wrapped, scales, strict=True)),
    )


def _both(one: Halo, other: Halo | None) -> Halo:
    """What tiles of two inputs need that are cut alike: the wider halo, at origins that suit both.

    Where opposite borders are joined in one of them, there is no halo for tiles that are not
    continued around, and none is stated for those that are.
    """
    if other is None:
        return one
    if not (one.is_finite and other.is_finite):
        return _infinite(len(one.pixels), (*one.blockers, *other.blockers))
    steps = [lcm(a or 1, b or 1) for a, b in zip(one.alignment, other.alignment, strict=True)]

    def wider(a: Sequence[int | None], b: Sequence[int | None]) -> tuple[int, ...]:
        return tuple(max(n or 0, m or 0) for n, m in zip(a, b, strict=True))

    pixels = wider(one.pixels, other.pixels)
    return Halo(
        pixels=tuple(step * ceil(n / step) for n, step in zip(pixels, steps, strict=True)),
        before=wider(one.before, other.before),
        after=wider(one.after, other.after),
        alignment=tuple(steps),
        blockers=(),
    )


def _infinite(count: int, blockers: tuple[Note, ...]) -> Halo:
    none = (None,) * count
    return Halo(pixels=none, before=none, after=none, alignment=none, blockers=blockers)


def _only_wraps(blockers: tuple[Note, ...]) -> bool:
    return all(note.kind == "wraps" for note in blockers)


def _blockers(notes: Iterable[Note]) -> tuple[Note, ...]:
    """Ops on the way to a map that make tiles impossible, the first to run first."""
    blocking = [note for note in notes if note.kind in _BLOCKING]
    return tuple(sorted(blocking, key=lambda note: note.step))


def _measure(
    stage: Stage, inputs: Arguments, name: str, first: Sight, last: Sight, source: int
) -> Halo:
    """Measure the marked margins at two sizes, which must agree."""
    steps = alignment_of(stage, inputs, name, last, source)
    field = last.field(name)
    jumps = [max(d.guess[i][1] for d, _ in last.maps.values()) for i in range(len(steps))]
    lengths = [
        step * ceil((2 * size + 48 * jump) / step)
        for step, size, jump in zip(steps, field.size, jumps, strict=True)
    ]
    small = look_at(stage, inputs, lengths, source)
    compare_ops(first, small, name)
    # A good third longer, so that a margin that grows with the image is seen to grow.
    large = look_at(
        stage,
        inputs,
        [n + step * -(-n // (3 * step)) for n, step in zip(lengths, steps, strict=True)],
        source,
    )
    compare(small, large, name)
    before, after = [], []
    for i in range(len(steps)):
        widths = margins(small, large, name, i)
        before.append(widths[0])
        after.append(widths[1])
    pixels = [
        step * ceil(max(b, a) / step) for b, a, step in zip(before, after, steps, strict=True)
    ]
    pixels = widened(stage, inputs, source, pixels=pixels, steps=steps, measured=lengths)
    return Halo(
        pixels=tuple(pixels),
        before=tuple(before),
        after=tuple(after),
        alignment=tuple(steps),
        blockers=(),
    )
