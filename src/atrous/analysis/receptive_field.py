"""The exact receptive field of any layer of any model.

Source: Araujo, Norris, Sim, "Computing Receptive Fields of Convolutional Neural Networks", Distill
2019, for the terms; the field itself is followed through the graph op by op, not by a formula.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from atrous.analysis.fields.axes import Shape
from atrous.analysis.fields.dependence import Misalignment, Note
from atrous.analysis.fields.field import Field, is_solid
from atrous.analysis.fields.field_trace import Sight, choose_fields, enlarged, grow, look
from atrous.analysis.tracing.fake import image_shape, input_dtype, unwrap
from atrous.analysis.tracing.trace import Stage, staged
from atrous.errors import ShapeError, UnknownNameError

_LARGEST_SETS = 100_000_000  # words of 64 positions


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceptiveField:
    """What one output of a network sees, and the same for every layer on the way.

    Attributes:
        layer: Name of the output: `"output"`, a layer's dotted name, with `[key]` if it returns
            several.
        field: Its size, jump, start, centre, holes.
        is_exact: False if an op without a rule, or one whose positions depend on the data, is on
            the way.
        notes: The ops that make a field global, inexact, or dependent on absolute position.
        misalignments: Where paths meet whose fields are centred on different positions.
        layers: Field of every layer that ran, in order of execution.
        size: Input size it was computed at, enlarged until borders left the middle alone.
    """

    layer: str
    field: Field
    is_exact: bool
    notes: tuple[Note, ...]
    misalignments: tuple[Misalignment, ...]
    layers: Mapping[str, Field]
    size: Shape

    @property
    def is_aligned(self) -> bool:
        """Whether all paths agree on the centre."""
        return not self.misalignments


def receptive_field(
    model: nn.Module,
    size: Sequence[int],
    *,
    output: str | None = None,
    in_channels: int | None = None,
    inputs: Sequence[Tensor] | None = None,
    source: int = 0,
    counts_holes: bool = True,
) -> ReceptiveField:
    """Size, jump, start and holes of what one output sees of the input, for any graph.

    The model is run on tensors without numbers, with the set of input positions carried through
    every op; no formula for chains is used and no weight is touched. Where the border of an input
    of `size` cuts all fields, a larger one is taken.

    Args:
        model: Any module; run in the mode (train or eval) it is in.
        size: Spatial lengths of the input, `(H, W)` or 1 or 3 of them.
        output: A layer's dotted name, or a key of what the model returns. Default: the first thing
            returned.
        in_channels: Channels of the input; read off the first convolution if left out.
        inputs: All inputs, `(B, C, *S)`, instead of `size` and `in_channels`; only shapes are used.
        source: Which of `inputs` the field lies in.
        counts_holes: Also count the positions inside each field that are really read.

    Raises:
        ShapeError: If the model cannot take an input of this size.
        UnknownNameError: If nothing is called `output`.
        AtrousError: If the forward pass depends on values, or fails.

    Example:
        >>> net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3, dilation=2))
        >>> seen = receptive_field(net, (32, 32))
        >>> seen.field.size, seen.field.jump
        ((7, 7), (1.0, 1.0))
    """
    model = unwrap(model)
    inputs = as_inputs(model, size, in_channels=in_channels, inputs=inputs)
    with staged(model) as stage:
        first, last = sights(stage, inputs, source=source)
        name = find_map(first, output)
        fields = choose_fields(first, last)
        if counts_holes:
            fields = _with_holes(stage, inputs, source, fields, last)
    notes = (last if name in last.maps else first).maps[name][0].notes
    return ReceptiveField(
        layer=name,
        field=fields[name],
        is_exact=not any(note.kind in ("unknown", "data-dependent") for note in notes),
        notes=tuple(sorted(notes, key=lambda n: n.step)),
        misalignments=tuple(last.run.misalignments),
        layers=fields,
        size=last.size,
    )


def as_inputs(
    model: nn.Module,
    size: Sequence[int],
    *,
    in_channels: int | None,
    inputs: Sequence[Tensor] | None,
    batch_size: int = 1,
) -> tuple[Tensor, ...]:
    """Tensors without numbers for `size`, or for the inputs the caller gave."""
    if inputs is not None:
        return tuple(inputs)
    shape = image_shape(model, size, in_channels=in_channels, batch_size=batch_size)
    return (torch.empty(shape, dtype=input_dtype(model), device="meta"),)


def sights(stage: Stage, inputs: Sequence[Tensor], *, source: int = 0) -> tuple[Sight, Sight]:
    """A run at the size asked for, and one large enough that no border cuts the middle.

    Raises:
        AtrousError: If the model does not run at the size asked for.
    """
    first = look(stage, inputs, source=source)
    if first.error is not None:
        raise first.error
    if not first.maps:
        raise ShapeError(
            "No layer's output depends on the input; check `source` and that forward uses its "
            "argument."
        )
    return first, grow(stage, inputs, first, source=source)


def _with_holes(
    stage: Stage, inputs: Sequence[Tensor], source: int, fields: dict[str, Field], last: Sight
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
        factors = [n // m for n, m in zip(last.size, inputs[source].shape[2:], strict=True)]
        detailed = look(stage, enlarged(inputs, factors), source=source, intervals=last)
        for name in opened:
            counted[name] = replace(fields[name], seen=detailed.seen[name])
    return counted


def find_map(sight: Sight, output: str | None) -> str:
    """Name of the map that the caller asked for."""
    if output is None:
        return next(
            (n for n in sight.maps if n.partition("[")[0] == "output"), next(reversed(sight.maps))
        )
    for name in (output, f"output[{output}]", f"{output}[0]", f"output[{output}][0]"):
        if name in sight.maps:
            return name
    raise UnknownNameError("layer", output, sight.maps)
