"""How far what a border changes reaches into a map, measured at two sizes that must agree."""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from math import ceil, floor, lcm

import numpy as np
import torch

from atrous.analysis.fields.axes import FAR, Array, align
from atrous.analysis.fields.dependence import Dependence, Note
from atrous.analysis.fields.field import main_dims, middle_rows, period_of, rows_of
from atrous.analysis.tracing.arguments import Arguments
from atrous.analysis.tracing.field_trace import Sight, look
from atrous.analysis.tracing.trace import Stage
from atrous.errors import AtrousError

_BANDS = frozenset(
    [
        *["slice", "select", "split", "split_with_sizes", "unbind", "narrow", "as_strided", "copy"],
        *["copy_", "cat", "stack", "slice_scatter", "select_scatter", "index_put", "index_put_"],
        *["where", "masked_fill", "masked_fill_", "fill_", "zero_", "index", "index_select"],
    ]
)
"""Ops that may treat one part of a map otherwise than another."""


class NotTileableError(AtrousError):
    """Carries the reason why no halo will do."""

    def __init__(self, op: str, layer: str) -> None:
        super().__init__(f"{op} in {layer}")
        self.note = Note("shift-variant", op, layer, 0)


def compare_ops(small: Sight, large: Sight, name: str) -> None:
    """See that two sizes ran the same ops, on maps of the same rank.

    Raises:
        NotTileableError: If not.
    """
    # A size that is no multiple of the strides may be padded to one and cropped again.
    before, after = (
        [step for step in sight.run.trail if step[0] not in ("constant_pad_nd", "slice")]
        for sight in (small, large)
    )
    for old, new in zip(before, after, strict=False):
        if old[:3] != new[:3] or len(old[3]) != len(new[3]):
            raise NotTileableError(f"{new[0]}, another op at another size,", new[1])
    if len(before) != len(after):
        raise NotTileableError("a number of ops that depends on the size", name)


def compare(small: Sight, large: Sight, name: str) -> None:
    """See that two sizes ran the same ops with the same numbers.

    Raises:
        NotTileableError: If not.
    """
    compare_ops(small, large, name)
    for before, after in zip(small.run.meetings, large.run.meetings, strict=False):
        if before != after:
            raise NotTileableError(f"{after[1]} with a number that depends on the size", name)
    if len(small.run.meetings) != len(large.run.meetings):
        raise NotTileableError("a number of ops that depends on the size", name)


def resized(inputs: Arguments, lengths: Sequence[int], source: int) -> Arguments:
    """The same call with one input at these lengths and those on its grid scaled along."""
    old = inputs.lengths(source)
    tensors = []
    for position, tensor in enumerate(inputs.tensors):
        size = tuple(tensor.shape[2:])
        if len(inputs.lengths(position)) == len(lengths):
            size = tuple(n * new // m for n, new, m in zip(size, lengths, old, strict=True))
        tensors.append(torch.empty((*tensor.shape[:2], *size), dtype=tensor.dtype, device="meta"))
    return inputs.replaced(tensors)


def look_at(stage: Stage, inputs: Arguments, lengths: Sequence[int], source: int) -> Sight:
    """Run with one input at these lengths and those on its grid scaled along."""
    sight = look(stage, resized(inputs, lengths, source), source=source, keeps_graph=True)
    if sight.error is not None:
        raise sight.error
    return sight


def alignment_of(stage: Stage, inputs: Arguments, name: str, last: Sight, source: int) -> list[int]:
    """Least common multiple of the distances after which any map on the way repeats itself."""
    jumps = [max(d.guess[i][1] for d, _ in last.maps.values()) for i in range(len(last.size))]
    lengths = [
        n * max(1, ceil((last.field(name).size[i] + 160 * jumps[i]) / n))
        for i, n in enumerate(inputs.lengths(source))
    ]
    sight = look_at(stage, inputs, lengths, source)
    steps = [_ratio(inputs, source, i) for i in range(len(lengths))]
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
                raise NotTileableError(op, layer)
            steps[i] = lcm(steps[i], found[1])
    return steps


def _ratio(inputs: Arguments, source: int, axis: int) -> int:
    """Positions of an input for one of the coarsest other input that is cut alike."""
    length, count = inputs.lengths(source)[axis], len(inputs.lengths(source))
    others = [n for p in range(len(inputs.tensors)) if len(n := inputs.lengths(p)) == count]
    return lcm(*(length // n[axis] for n in others if n[axis] > 1 and length % n[axis] == 0))


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
        raise NotTileableError("an output that is no map of the image", name)
    axis, v = sight.run.axes[i], align(dep.axes[i], len(shape))
    rows = middle_rows(axis, v, dim, dims)
    if any(d is not None and d != dim and v.shape[d] > 1 for d in dims):
        # What is done to a band at a border of another axis has a margin along this one too. Places
        # that see nothing, because of the other axis, have none.
        seeing = np.where(v[..., :1] >= FAR, axis.empty, v)
        everywhere = axis.union(rows, rows_of(axis, seeing, dim))
        # The other axis's border marks whole rows of maps that are sparse.
        if _clear(everywhere) is not None or any(s[0] in _BANDS for s in sight.run.trail):
            rows = everywhere
    return rows, shape[dim]


def margins(small: Sight, large: Sight, name: str, i: int) -> tuple[int, int]:
    """Marked pixels on either side, if the two sizes show the same picture."""
    (rows, length), (wider, longer) = _rows(small, name, i), _rows(large, name, i)
    if longer <= length or len(rows) < length or len(wider) < longer:
        raise NotTileableError("an output of fixed size", name)
    jump = Fraction(large.size[i] - small.size[i], longer - length)
    found = _margin(rows, small.size[i], jump)
    if found is None or found != _margin(wider, large.size[i], jump):
        raise NotTileableError(
            "borders that depend on the size", _first_difference(small, large, i)
        )
    inside = _clear(rows)
    if inside is None or not np.array_equal(rows[inside], wider[inside]):
        raise NotTileableError(
            "positions that depend on the size", _first_difference(small, large, i)
        )
    return found


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
