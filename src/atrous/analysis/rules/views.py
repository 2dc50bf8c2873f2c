"""Fields through ops that only move, repeat, cut or join elements."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from atrous.analysis.fields import dependence
from atrous.analysis.fields.axes import (
    Array,
    Axis,
    Shape,
    align,
    concatenate,
    reshape,
    squeeze_equal,
)
from atrous.analysis.fields.borders import apart_from_middle, runs_along, set_apart
from atrous.analysis.fields.call import Call
from atrous.analysis.fields.dependence import (
    Dependence,
    join_guesses,
    join_notes,
)


def same(call: Call) -> Dependence | None:
    """An op that keeps every element in its place."""
    return dependence.of(call.first)


def masked(call: Call) -> Dependence | None:
    """`tril` and `triu`: zeros over a corner, which lies where the last two dimensions say."""
    dep = dependence.of(call.first)
    if dep is None:
        return None
    dep = dep.noting(call.run.note("masked"))
    if any(runs_along(call.run, dep, d) for d in (call.first.ndim - 2, call.first.ndim - 1)):
        dep = dep.noting(call.run.note("shift-variant"))
    return dep


def view(call: Call) -> Dependence | None:
    """`view`, `reshape`, `squeeze`, `unsqueeze`: same elements in the same order."""
    dep, old, new = dependence.of(call.first), tuple(call.first.shape), call.out_shape
    if dep is None or old == new:
        return dep
    if _volume(old) != _volume(new):
        return _other_width(call, dep, old[-1], new[-1])
    if 0 in old:  # nothing is in it that could depend on anything
        return dependence.collapse(call.run, dep).map(lambda _, v: align(v, len(new)), call.run)
    return dep.map(lambda _, v: reshape(v, old, new), call.run)


def _other_width(call: Call, dep: Dependence, before: int, after: int) -> Dependence:
    """A view as numbers of another width, which splits or joins those of the last dimension."""

    def each(axis: Axis, v: Array) -> Array:
        if v.shape[-2] == 1:
            return v
        if after % before == 0:
            return np.repeat(v, after // before, -2)
        groups = v.reshape(*v.shape[:-2], after, before // after, v.shape[-1])
        return axis.union.reduce(groups, axis=-2)

    return replace(dep.map(each, call.run), is_solid=False)


def view_as_real(call: Call) -> Dependence | None:
    """Real and imaginary parts in a new last dimension."""
    dep = dependence.of(call.first)
    return None if dep is None else dep.map(lambda _, v: np.expand_dims(v, -2), call.run)


def view_as_complex(call: Call) -> Dependence | None:
    """Real and imaginary parts of the last dimension joined."""
    dep = dependence.of(call.first)
    if dep is None:
        return None
    joined = dependence.reduce_dims(call.run, dep, [call.first.ndim - 1])
    return joined.map(lambda _, v: v[..., 0, :], call.run)


def unsqueezed(call: Call) -> Dependence | None:
    """`unsqueeze_`: one more dimension; the tensor has its new shape already."""
    dep, dim = dependence.of(call.first), call["dim"]
    at = dim % call.first.ndim
    return None if dep is None else dep.map(lambda _, v: np.expand_dims(v, at), call.run)


def order_of(call: Call) -> list[int]:
    """Which dimension of the input becomes each dimension of the output of a permuting op."""
    ndim = call.first.ndim
    order = list(range(ndim))
    if call.has("dims"):
        return [d % ndim for d in call["dims"]]
    a, b = (call["dim0"], call["dim1"]) if call.has("dim0") else (0, -1)
    if ndim:
        order[a % ndim], order[b % ndim] = order[b % ndim], order[a % ndim]
    return order


def permute(call: Call) -> Dependence | None:
    """`permute`, `transpose` and `t`."""
    dep, order = dependence.of(call.first), order_of(call)
    if dep is None:
        return None
    return dep.map(lambda _, v: v.transpose(*order, v.ndim - 1), call.run)


def expand(call: Call) -> Dependence | None:
    """Broadcast: dimensions of length 1 already say "the same for every index"."""
    dep, ndim = dependence.of(call.first), len(call.out_shape)
    return None if dep is None else dep.map(lambda _, v: align(v, ndim), call.run)


def _cut(v: Array, dim: int, part: slice) -> Array:
    """A range of one dimension, shrunk again where the range turns out to be uniform."""
    if v.shape[dim] == 1:
        return v
    return squeeze_equal(v[(slice(None),) * dim + (part,)], dim)


def slice_of(call: Call) -> tuple[int, slice]:
    """Dimension and range of a `slice` or `select`."""
    dim = (call["dim"] or 0) % call.first.ndim
    length = call.first.shape[dim]
    if call.has("index"):
        at = int(call["index"]) % length
        return dim, slice(at, at + 1)
    start, stop, step = slice(call["start"], call["end"], call["step"]).indices(length)
    return dim, slice(start, max(stop, start), step)


def cut(call: Call) -> Dependence | None:
    """`slice`, and `select`, which also drops the dimension."""
    dep = dependence.of(call.first)
    if dep is None:
        return None
    dim, part = slice_of(call)
    step = part.step or 1
    guess = tuple(
        (size, jump * step) if v.shape[dim] > 1 else (size, jump)
        for v, (size, jump) in zip(dep.axes, dep.guess, strict=True)
    )
    result = dep.map(lambda _, v: _cut(v, dim, part), call.run)
    if call.has("index"):
        result = result.map(lambda _, v: v[(slice(None),) * dim + (0,)], call.run)
    return Dependence(result.axes, dep.notes, guess, dep.is_solid)


def parts_of(call: Call) -> tuple[int, list[slice]]:
    """Dimension and ranges of the pieces of `split`, `chunk` and `unbind`."""
    dim = (call["dim"] or 0) % call.first.ndim
    if "unbind" in call.func._schema.name:
        return dim, [slice(i, i + 1) for i in range(call.first.shape[dim])]
    ends = np.cumsum([shape[dim] for shape in call.out_shapes]).tolist()
    return dim, [slice(a, b) for a, b in zip([0, *ends[:-1]], ends, strict=True)]


def split(call: Call) -> Sequence[Dependence | None]:
    """`split`, `split_with_sizes`, `chunk`, `unbind`: one piece each."""
    dep = dependence.of(call.first)
    dim, parts = parts_of(call)
    if dep is None:
        return [None] * len(parts)
    pieces = [replace(dep, axes=tuple(_cut(v, dim, part) for v in dep.axes)) for part in parts]
    if "unbind" not in call.func._schema.name:
        return pieces
    return [d.map(lambda _, v: v[(slice(None),) * dim + (0,)], call.run) for d in pieces]


def join(call: Call) -> Dependence | None:
    """`cat` and `stack`."""
    tensors = list(call.first)
    is_stack = "stack" in call.func._schema.name
    ndim = len(call.out_shape)
    if not is_stack:  # torch ignores legacy empty tensors here
        tensors = [t for t in tensors if t.ndim == ndim]
    dim = (call["dim"] or 0) % ndim
    deps = [dependence.of(t) for t in tensors]
    known = [d for d in deps if d is not None]
    if not known:
        return None
    if call.run.is_thorough and not is_stack and dim < ndim - len(call.run.axes):
        dependence.check_centres(call.run, known, ndim)
    lengths = [1 if is_stack else t.shape[dim] for t in tensors]
    if not is_stack and any(note.kind == "size-dependent" for d in known for note in d.notes):
        middle = _middle_part(lengths)
        deps = [
            d
            if d is None or i == middle or not runs_along(call.run, d, dim)
            else d.fixed_forgotten()
            for i, d in enumerate(deps)
        ]
        known = [d for d in deps if d is not None]
    arrays = []
    for i, axis in enumerate(call.run.axes):
        columns = [None if d is None else d.axes[i] for d in deps]
        if is_stack:
            columns = [None if v is None else np.expand_dims(v, dim) for v in columns]
        arrays.append(concatenate(axis, columns, lengths, dim))
    is_solid = all(d.is_solid for d in known)
    result = Dependence(tuple(arrays), join_notes(known), join_guesses(known), is_solid)
    if is_stack:
        return result
    if all(d is not None and all(v.shape[dim] == 1 for v in d.axes) for d in deps):
        return result  # such as joining channels
    return set_apart(call.run, result, dim, _joined_apart(lengths))


def _middle_part(lengths: Sequence[int]) -> int:
    """Which part of a join holds its middle."""
    ends = np.cumsum(lengths)
    return min(int(np.searchsorted(ends, ends[-1] // 2, side="right")), len(lengths) - 1)


def _joined_apart(lengths: Sequence[int]) -> NDArray[np.bool_]:
    """All rows of a join but those of the part that holds the middle."""
    middle = _middle_part(lengths)
    end = sum(lengths[: middle + 1])
    return apart_from_middle(sum(lengths), slice(end - lengths[middle], end))


def as_strided(call: Call) -> Dependence | None:
    """A new stride for the same shape, as memory formats need; anything else is not followed."""
    dep, size = dependence.of(call.first), tuple(call["size"])
    if dep is None:
        return None
    if all(v.ndim == len(size) + 1 for v in dep.axes) and all(
        n in (1, m) for v in dep.axes for n, m in zip(v.shape, size, strict=False)
    ):
        is_same = call.func._schema.name == "aten::as_strided_" or (
            tuple(call.first.shape) == size
            and all(
                a == b
                for n, a, b in zip(size, call.first.stride(), call["stride"], strict=True)
                if n > 1
            )
        )
        if is_same:
            return dep
    total = dependence.collapse(call.run, dep)
    return total.map(lambda _, v: align(v, len(size)), call.run).noting(
        call.run.note("data-dependent")
    )


def _volume(shape: Shape) -> int:
    return int(np.prod(shape, dtype=np.int64))
