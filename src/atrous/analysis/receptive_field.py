"""The exact receptive field of any layer of any model.

Source: Araujo, Norris, Sim, "Computing Receptive Fields of Convolutional Neural Networks", Distill
2019, for the terms; the field itself is followed through the graph op by op, not by a formula.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from torch import nn

from atrous.analysis.fields.axes import Shape
from atrous.analysis.fields.dependence import BOUNDS, Misalignment, Note
from atrous.analysis.fields.field import Field, is_solid
from atrous.analysis.text import field_text, numbers_text
from atrous.analysis.tracing.arguments import Arguments, Given, as_arguments, need_axes
from atrous.analysis.tracing.fake import unwrap
from atrous.analysis.tracing.field_trace import (
    Sight,
    choose_fields,
    enlarged,
    grow,
    holds_at_any_size,
    is_irregular,
    is_uneven,
    look,
    look_first,
)
from atrous.analysis.tracing.mode import Mode, in_mode
from atrous.analysis.tracing.process import collector_at_rest
from atrous.analysis.tracing.trace import Stage, staged
from atrous.errors import ShapeError, UnknownNameError

Bound = Literal["exact", "at most", "at least", "a bound"]
"""How a size is meant; a bound of neither kind: the border cuts what may be more than is read."""

_LARGEST_SETS = 100_000_000  # words of 64 positions


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceptiveField:
    """What one output of a network sees, and the same for every layer on the way.

    Attributes:
        layer: Name of the output: `"output"`, a layer's dotted name, with `[key]` if it returns
            several.
        field: Its size, jump, start, centre, holes.
        is_exact: False if an op without a rule, one whose positions depend on the data, a mask, or
            another network at a larger size is on the way, or if the border cuts the field.
        notes: The ops that make a field global, inexact, or dependent on absolute position.
        misalignments: Where paths meet whose fields are centred on different positions.
        layers: Field of every layer that ran, in order of execution.
        size: Input size it was computed at, enlarged until borders left the middle alone.
        mode: `"eval"`, or `"train"` if the model was in that mode and asked for as it is.
    """

    layer: str
    field: Field
    is_exact: bool
    notes: tuple[Note, ...]
    misalignments: tuple[Misalignment, ...]
    layers: Mapping[str, Field]
    size: Shape
    mode: str

    def __str__(self) -> str:
        of = "" if self.layer == "output" else f" of {self.layer}"
        jump, start = numbers_text(self.field.jump), numbers_text(self.field.start)
        mode = "" if self.mode == "eval" else f", in mode {self.mode}"
        return f"{field_text(self.field)}{of} ({self.bound}{mode}), jump {jump}, start {start}"

    @property
    def bound(self) -> Bound:
        """Whether the size is what an output sees, the most that it may see, or the least.

        An op without a rule, one whose positions depend on the data, and a mask make it the most;
        a border that cuts the field, and another network at a larger size, make it the least.
        """
        if self.is_exact:
            return "exact"
        kinds = {note.kind for note in self.notes} & BOUNDS
        is_least = "cut" in self.field.extent
        if kinds <= {"size-dependent"}:
            return "at least"
        return "a bound" if is_least else "at most"

    @property
    def is_aligned(self) -> bool:
        """Whether all paths agree on the centre."""
        return not self.misalignments


@collector_at_rest
def receptive_field(
    model: nn.Module,
    size: Sequence[int] = (),
    *,
    output: str | None = None,
    in_channels: int | None = None,
    inputs: Given | None = None,
    source: int = 0,
    counts_holes: bool = True,
    mode: Mode = "eval",
) -> ReceptiveField:
    """Size, jump, start and holes of what one output sees of the input, for any graph.

    The model is run on tensors without numbers, with the set of input positions carried through
    every op; no formula for chains is used and no weight is touched. Where the border of an input
    of `size` cuts all fields, a larger one is taken.

    Args:
        model: Any module.
        size: `(H, W)` or 1 or 3 lengths, `(C, H, W)` or `(1, C, H, W)`; not needed with `inputs`.
        output: A layer's dotted name, or a key of what is returned. Default: the first of these.
        in_channels: Channels of the input; read off the first convolution if left out.
        inputs: What `forward` takes instead of an image of `size`: a tensor, a list of arguments,
            or a dictionary of them by name; only shapes are used.
        source: Which of the tensors in `inputs` the field lies in, `(B, C, *S)`.
        counts_holes: Also count the positions inside each field that are really read.
        mode: `"eval"` as the model will be used; `"as is"` in its own (batch statistics see all).

    Raises:
        ShapeError: If the model cannot take an input of this size, the input has no spatial axes,
            or what the model returns does not depend on it.
        UnknownNameError: If nothing is called `output`.
        AtrousError: If the forward pass depends on values, or fails.

    Example:
        >>> net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3, dilation=2))
        >>> seen = receptive_field(net, (32, 32))
        >>> seen.field.size, seen.field.jump
        ((7, 7), (1.0, 1.0))
    """
    model = unwrap(model)
    call = as_arguments(model, size, in_channels=in_channels, inputs=inputs)
    need_axes(call, source, "receptive field")
    with in_mode(model, mode), staged(model) as stage:
        first, last = sights(stage, call, source=source)
        name = find_map(first, output)
        fields = choose_fields(first, last)
        if counts_holes:
            fields = _with_holes(stage, call, source, fields, last)
    notes = notes_of(first, last, name)
    return ReceptiveField(
        layer=name,
        field=fields[name],
        is_exact=_is_exact(fields[name], notes),
        notes=tuple(sorted(notes, key=lambda n: n.step)),
        misalignments=tuple(last.run.misalignments),
        layers=fields,
        size=last.size,
        mode="train" if mode == "as is" and model.training else "eval",
    )


def notes_of(first: Sight, last: Sight, name: str) -> frozenset[Note]:
    """What is to be said of a map, and why it holds for the size asked for only, if it does."""
    notes = first.maps[name][0].notes
    if name in last.maps and last is not first:
        larger = last.maps[name][0].notes
        if holds_at_any_size(first, last, name):
            return larger
        reasons = {note for note in larger if note.kind == "size-dependent"}
        op = "a map of fixed size"
        if is_irregular(last, name) or is_uneven(first, last, name):
            op = "a field that differs from place to place"
        if first.steps[name] != last.steps[name]:
            op = "another number of ops at a larger size"
        return notes | (reasons or {Note("size-dependent", op, name, first.steps[name])})
    return notes


def _is_exact(field: Field, notes: frozenset[Note]) -> bool:
    """Whether every op on the way had a rule that proves the field."""
    if "cut" in field.extent:
        return False
    kinds = {note.kind for note in notes} & BOUNDS
    if set(field.extent) == {"whole"}:  # there is no more than that
        kinds -= {"size-dependent"}
    return not kinds


def sights(stage: Stage, inputs: Arguments, *, source: int = 0) -> tuple[Sight, Sight]:
    """A run at the size asked for, and one large enough that no border cuts the middle.

    Raises:
        AtrousError: If the model does not run at the size asked for.
    """
    first = look_first(stage, inputs, source=source)
    if first.error is not None:
        raise first.error
    if not first.maps:
        raise ShapeError(
            "No layer's output depends on the input; check `source` and that forward uses its "
            "argument."
        )
    return first, grow(stage, inputs, first, source=source)


def _with_holes(
    stage: Stage, inputs: Arguments, source: int, fields: dict[str, Field], last: Sight
) -> dict[str, Field]:
    """Count the positions that the central output of every layer reads.

    Only where intervals alone leave it open does it run again, at the same size, keeping every
    position; not where that would take gigabytes.
    """
    counted = dict(fields)
    opened = []
    for name, (dep, shape) in last.maps.items():
        if name not in fields or "cut" in fields[name].extent or len(shape) != len(last.size) + 2:
            continue
        if is_solid(dep, shape, last.run.axes):
            counted[name] = replace(fields[name], seen=fields[name].size)
        else:
            opened.append(name)
    words = sum(last.size) / 64
    if opened and last.run.largest / 3 * words < _LARGEST_SETS:
        factors = [n // m for n, m in zip(last.size, inputs.lengths(source), strict=True)]
        larger = enlarged(inputs, factors, source)
        detailed = look(stage, larger, source=source, intervals=last)
        for name in opened:
            if name in detailed.seen:
                seen = tuple(
                    None if n is None else min(n, m)
                    for n, m in zip(detailed.seen[name], fields[name].size, strict=True)
                )
                counted[name] = replace(fields[name], seen=seen)
    return counted


def find_map(sight: Sight, output: str | None) -> str:
    """Name of the map that the caller asked for."""
    if output is None:
        for name in sight.returned:
            if name in sight.maps:
                return name
        if sight.returned:
            raise ShapeError(
                "What the model returns does not depend on the input; name a layer with `output`."
            )
        raise ShapeError(
            "No tensor was found in what the model returns; name a layer with `output`, or return "
            "tensors, dictionaries, lists or dataclasses of them."
        )
    for name in (
        output,
        f"output[{output}]",
        f"{output}[0]",
        f"output[{output}][0]",
        f"output.{output}",
    ):
        if name in sight.maps:
            return name
    raise UnknownNameError("layer", output, sight.maps)
