"""One run that follows fields, and the larger runs that free them from the border."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

import torch

from atrous.analysis.fields import dependence
from atrous.analysis.fields.axes import Shape, align, interval_axis, position_axis
from atrous.analysis.fields.call import Call
from atrous.analysis.fields.constants import given
from atrous.analysis.fields.dependence import Dependence, Expected, Run
from atrous.analysis.fields.field import Extent, Field, count_seen, main_dim, read_field, widest
from atrous.analysis.fields.outputs import named_tensors
from atrous.analysis.fields.starts import (
    begins_here,
    grows_with_image,
    sees_more_elsewhere,
    wraps,
)
from atrous.analysis.tracing.arguments import Arguments
from atrous.analysis.tracing.propagate import FieldListener, Graph
from atrous.analysis.tracing.trace import Stage
from atrous.errors import AtrousError

_LARGEST = 1 << 15
_MAX_RUNS = 3
_LARGEST_ARRAY = 100_000_000  # entries; a few such arrays are alive at a time


@dataclass(slots=True, eq=False)
class Sight:
    """Everything one run found out about fields.

    Attributes:
        run: The run.
        graph: What every dependence was made from, if that was asked for.
        maps: Dependence and shape of every layer that sees some of the input.
        steps: Ops that had the input in them when a map was returned.
        returned: Names of all tensors that the model returned.
        error: Why the run ended early.
        fields: Fields that have been read, by dependence and shape.
        verdicts: Whether a map here speaks for the size asked for, by both dependences and shapes.
        seen: Positions that an output of a layer reads.
        size: Spatial lengths of the input.
    """

    run: Run
    graph: Graph
    maps: dict[str, tuple[Dependence, Shape]] = field(default_factory=dict)
    steps: dict[str, int] = field(default_factory=dict)
    returned: list[str] = field(default_factory=list)
    error: AtrousError | None = None
    fields: dict[tuple[int, Shape], Field] = field(default_factory=dict)
    verdicts: dict[tuple[int, Shape, int, Shape], bool] = field(default_factory=dict)
    seen: dict[str, tuple[int | None, ...]] = field(default_factory=dict)
    size: Shape = ()

    def __post_init__(self) -> None:
        self.size = tuple(axis.length for axis in self.run.axes)

    def field(self, name: str) -> Field:
        """The field of a named map; activations share that of what they act on."""
        dep, shape = self.maps[name]
        key = id(dep), shape
        if key not in self.fields:
            self.fields[key] = read_field(
                dep, shape, self.run.axes, is_fractional=self.run.is_fractional
            )
        return self.fields[key]


@dataclass(slots=True, eq=False)
class SightListener:
    """Writes down the dependence of what every layer returns.

    Given a run of intervals, it keeps every position instead, and writes down only how many of them
    an output of a layer sees.
    """

    fields: FieldListener
    sight: Sight
    intervals: Sight | None = None

    def op(self, call: Call, layer: str) -> None:
        self.fields.op(call, layer)

    def enter(self, layer: str) -> None:
        """Nothing to do: a layer is known by what it returns."""

    def leave(self, layer: str, output: Any) -> None:
        maps = self.sight.maps
        for name, tensor in named_tensors(layer or "output", output):
            dep = dependence.of(tensor)
            if not layer:
                self.sight.returned.append(name)
            if dep is None or dependence.is_nothing(self.sight.run, dep):
                continue
            if self.intervals is None:
                maps.pop(name, None)  # a layer used twice stands where it was used last
                maps[name] = dep, tuple(tensor.shape)
                self.sight.steps[name] = len(self.sight.run.trail)
            elif name in self.intervals.maps:
                plain, shape = self.intervals.maps[name]
                self.sight.seen[name] = count_seen(dep, plain, shape, self.sight.run.axes)


def look(
    stage: Stage,
    inputs: Arguments,
    *,
    source: int = 0,
    intervals: Sight | None = None,
    expected: Expected | None = None,
    keeps_graph: bool = False,
    tells_values: bool = False,
) -> Sight:
    """Run once and follow the field; a run that fails keeps what it saw until then."""
    listener = sight_listener(
        stage, inputs.lengths(source), intervals=intervals, keeps_graph=keeps_graph
    )
    sight = listener.sight
    sight.run.expected = expected
    sight.run.tells_values = tells_values
    fakes = start(stage, inputs, sight.run, source)
    try:
        stage.run(fakes.args, [listener], fakes.kwargs)
    except AtrousError as error:
        sight.error = error
    return sight


def look_first(
    stage: Stage, inputs: Arguments, *, source: int = 0, done: Sight | None = None
) -> Sight:
    """A run at the size asked for; once more, telling values apart, if numbers may cancel.

    Args:
        stage: The model.
        inputs: Its inputs.
        source: Which of them the fields lie in.
        done: A first run that has been made.
    """
    sight = look(stage, inputs, source=source) if done is None else done
    if sight.run.may_cancel and sight.error is None:
        sight = look(stage, inputs, source=source, tells_values=True)
    return sight


def start(stage: Stage, inputs: Arguments, run: Run, source: int) -> Arguments:
    """Inputs without numbers, each knowing what it is to the source."""
    fakes = stage.fake(inputs.tensors)
    lengths = inputs.lengths(source)
    for position, fake in enumerate(fakes):
        if position == source:
            dependence.attach(fake, dependence.source(run, fake.ndim))
        elif lengths and _is_same_grid(inputs.lengths(position), lengths):
            dependence.attach(fake, dependence.beside(run, tuple(fake.shape)))
        else:
            given(fake, position)
    return inputs.replaced(fakes)


def same_grid(inputs: Arguments) -> list[int]:
    """Positions of the inputs, beside the first, that lie on its grid."""
    lengths = inputs.lengths()
    return [
        position
        for position in range(1, len(inputs.tensors))
        if lengths and _is_same_grid(inputs.lengths(position), lengths)
    ]


def _is_same_grid(lengths: Sequence[int], others: Sequence[int]) -> bool:
    """Whether two inputs are cut alike: of the same size, or of whole multiples of it."""
    return len(lengths) == len(others) and all(
        max(a, b) % max(min(a, b), 1) == 0 and min(a, b) > 1
        for a, b in zip(lengths, others, strict=True)
    )


def sight_listener(
    stage: Stage,
    lengths: Sequence[int],
    *,
    intervals: Sight | None = None,
    keeps_graph: bool = False,
) -> SightListener:
    """A listener for an input whose spatial lengths are `lengths`."""
    make = interval_axis if intervals is None else position_axis
    run = Run(tuple(make(n) for n in lengths), is_thorough=intervals is None)
    run.weights = frozenset(fake.untyped_storage()._cdata for _, fake in stage.weights.values())
    fields = FieldListener(run, keeps_graph=keeps_graph)
    return SightListener(fields, Sight(run, fields.graph), intervals)


def enlarged(inputs: Arguments, factors: Sequence[int], source: int = 0) -> Arguments:
    """The same inputs, every spatial length multiplied of those on the source's grid."""
    lengths = inputs.lengths(source)
    return inputs.replaced(
        [
            torch.empty(
                (*t.shape[:2], *(n * f for n, f in zip(t.shape[2:], factors, strict=True))),
                dtype=t.dtype,
                device="meta",
            )
            if _is_same_grid(inputs.lengths(position), lengths)
            else t
            for position, t in enumerate(inputs.tensors)
        ]
    )


def grow(stage: Stage, inputs: Arguments, first: Sight, *, source: int = 0) -> Sight:
    """Run at larger sizes until the fields in the middle are whole, or it stops helping.

    There is one larger run at least: it shows whether the fields depend on the size.
    """
    last, factors = first, [1] * len(first.size)
    for _ in range(_MAX_RUNS):
        affordable = int((_LARGEST_ARRAY / max(last.run.largest, 1)) ** 0.5)
        wanted = [
            min(new, old * affordable)
            for new, old in zip(_wanted(first, last, factors), factors, strict=True)
        ]
        if affordable < 2 or wanted == factors:
            break
        factors = wanted
        larger = look(
            stage,
            enlarged(inputs, factors, source),
            source=source,
            expected=Expected(first.run.trail, tuple(factors)),
            tells_values=first.run.tells_values,
        )
        if larger.maps or larger.error is None:
            last = larger
        if larger.error is not None:
            # It is not shown; the frames of its cause would keep the run's tensors alive.
            larger.error = larger.error.with_traceback(None)
            larger.error.__cause__ = larger.error.__context__ = None
            break
    return last


def _wanted(first: Sight, last: Sight, factors: list[int]) -> list[int]:
    """Multiples of the first size at which the fields should be whole in the middle."""
    need = list(last.size)
    largest_jump = [Fraction(1)] * len(need)
    for dep, _ in last.maps.values():
        for i, (_, jump) in enumerate(dep.guess):
            largest_jump[i] = max(largest_jump[i], jump)
    met: set[Any] = set()
    for name, (dep, shape) in last.maps.items():
        alike = id(dep), shape, first.maps[name][1] if name in first.maps else None
        if alike in met:  # activations share the map of what they act on
            continue
        met.add(alike)
        seen = last.field(name)
        for i, extent in enumerate(seen.extent):
            is_fixed = last is not first and _fixed_length(first, last, name, i) is not None
            if extent == "whole" and last is first:  # is it still so on a larger input?
                need[i] = max(need[i], 2 * last.size[i])
            if extent == "whole" or is_fixed or len(shape) != len(need) + 2:
                continue
            if extent == "cut" or seen.jump[i] is None:
                asked = int(dep.guess[i][0] + 4 * largest_jump[i])
                need[i] = max(need[i], asked if asked > last.size[i] else 2 * last.size[i])
    if last is first:
        need = [max(n, 2 * m) for n, m in zip(need, first.size, strict=True)]
    return [
        max(f, min(-(-n // start), max(_LARGEST // start, 1)))
        for n, start, f in zip(need, first.size, factors, strict=True)
    ]


def _fixed_length(first: Sight, last: Sight, name: str, i: int) -> int | None:
    """Length of a map that stays the same however large the input, as adaptive pooling's does."""
    if name not in first.maps or last.size[i] <= first.size[i]:
        return None
    (_, old), (dep, new) = first.maps[name], last.maps[name]
    if len(old) != len(new):
        return None
    axis = last.run.axes[i]
    dim = main_dim(axis, align(dep.axes[i], len(new)), len(last.size), i)
    return old[dim] if dim is not None and old[dim] == new[dim] else None


def choose_fields(first: Sight, last: Sight) -> dict[str, Field]:
    """Field of every layer: from the larger run, unless that is another network or another map."""
    fields: dict[str, Field] = {}
    joined: dict[tuple[int, Shape, int], Field] = {}  # activations share the map they act on
    for name in first.maps:
        seen = _at_this_size(first, name)
        if holds_at_any_size(first, last, name):
            larger = last.field(name)
            key = id(first.maps[name][0]), first.maps[name][1], id(larger)
            if key not in joined:
                most = widest(*first.maps[name], first.run.axes)
                joined[key] = _joined(first.size, seen, _placed(first, name, larger), most)
            fields[name] = joined[key]
        elif last is first or (last.error is not None and name not in last.maps):
            fields[name] = seen  # it takes no other size
        else:  # what the border leaves at this size is all that can be said
            extent = tuple("cut" if e == "finite" else e for e in seen.extent)
            dep, shape = first.maps[name]
            most = widest(dep, shape, first.run.axes)
            is_even = [e == "finite" and j for e, j in zip(seen.extent, seen.jump, strict=True)]
            # Places far from the middle may see more; those on a seam see both ends, which is less.
            near = widest(dep, shape, first.run.axes, within_half=wraps(dep))
            size = tuple(
                max(n, k) if even else m
                for n, k, m, even in zip(seen.size, near, most, is_even, strict=True)
            )
            fields[name] = replace(seen, extent=extent, size=size)
    return fields


def is_irregular(sight: Sight, name: str) -> bool:
    """Whether the fields of a map do not repeat at a distance, so that others may be larger."""
    shape, seen = sight.maps[name][1], sight.field(name)
    if len(shape) != len(sight.size) + 2 or max(shape[2:]) < 2:
        return False
    return any(
        extent == "finite" and not jump and size > 0
        for extent, jump, size in zip(seen.extent, seen.jump, seen.size, strict=True)
    )


def is_uneven(first: Sight, last: Sight, name: str) -> bool:
    """Whether the middle of the larger run does not speak for every place, or for every size."""
    larger, (dep, shape) = last.field(name), first.maps[name]
    if len(shape) != len(first.size) + 2 or len(last.maps[name][1]) != len(shape):
        return False
    return sees_more_elsewhere(*last.maps[name], last.run.axes, larger) or grows_with_image(
        dep, shape, first.run.axes, larger
    )


def _at_this_size(first: Sight, name: str) -> Field:
    """The field in the run of the size asked for; one output for all of it sees all there is."""
    seen, shape = first.field(name), first.maps[name][1]
    is_map = len(shape) == len(first.size) + 2 and max(shape[2:]) > 1
    if is_map or "cut" not in seen.extent:
        return seen
    extent: tuple[Extent, ...] = tuple(
        "whole" if e == "cut" and n >= length else e
        for e, n, length in zip(seen.extent, seen.size, first.size, strict=True)
    )
    return replace(seen, extent=extent)


def _placed(first: Sight, name: str, larger: Field) -> Field:
    """A field of the larger run, begun where it does in the run of the size asked for."""
    seen, (dep, shape) = first.field(name), first.maps[name]
    if (seen.jump, seen.start) == (larger.jump, larger.start):
        return larger
    start, centre = list(larger.start), list(larger.centre)
    for i in range(len(first.size)):
        is_known = seen.jump[i] == larger.jump[i]
        if is_known and seen.start[i] == larger.start[i]:
            continue
        if not begins_here(dep, shape, first.run.axes, i, larger):
            start[i] = seen.start[i] if is_known else None
            centre[i] = seen.centre[i] if is_known else None
    return replace(larger, start=tuple(start), centre=tuple(centre))


def _joined(lengths: Shape, seen: Field, larger: Field, most: Shape) -> Field:
    """The field of the larger run; where even there the border cuts it, that of the asked size."""
    axes = range(len(lengths))
    is_cut = [larger.extent[i] == "cut" for i in axes]
    size = tuple(
        lengths[i] if larger.extent[i] == "whole" else most[i] if is_cut[i] else larger.size[i]
        for i in axes
    )
    extent: tuple[Extent, ...] = tuple(
        ("whole" if seen.extent[i] == "whole" else "cut") if is_cut[i] else larger.extent[i]
        for i in axes
    )
    return replace(larger, size=size, extent=extent)


def holds_at_any_size(first: Sight, last: Sight, name: str) -> bool:
    """Whether the field of a map in the larger run is that of the size asked for."""
    if last is first or name not in last.maps or first.steps[name] != last.steps[name]:
        return False
    (old_dep, old), (dep, new) = first.maps[name], last.maps[name]
    key = id(old_dep), old, id(dep), new
    if key not in last.verdicts:  # activations share the map of what they act on
        last.verdicts[key] = _speaks_for(first, last, name)
    return last.verdicts[key]


def _speaks_for(first: Sight, last: Sight, name: str) -> bool:
    (_, old), (dep, new) = first.maps[name], last.maps[name]
    if is_irregular(last, name) or is_uneven(first, last, name):
        return False
    if any(note.kind == "size-dependent" for note in dep.notes):
        return False
    if len(old) < 3 and len(old) == len(new) and old[:1] != new[:1]:
        return False  # the image has become part of the batch
    return len(old) == len(new) and all(
        _fixed_length(first, last, name, i) in (None, 1) for i in range(len(first.size))
    )
