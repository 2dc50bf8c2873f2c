"""Fields through ops that reverse, turn, shift or repeat a map."""

from dataclasses import replace
from functools import partial

import numpy as np

from atrous.analysis.fields import dependence
from atrous.analysis.fields.axes import Array, Axis, align, squeeze_equal
from atrous.analysis.fields.borders import apart_from_middle, runs_along, set_apart
from atrous.analysis.fields.call import Call
from atrous.analysis.fields.dependence import Dependence


def flip(call: Call) -> Dependence | None:
    """Reversed order along some dimensions."""
    dep = dependence.of(call.first)
    if dep is None:
        return None
    dims = [d % call.first.ndim for d in call["dims"]]
    if any(runs_along(call.run, dep, d) for d in dims):
        dep = dep.noting(call.run.note("shift-variant"))
    return dep.map(lambda _, v: np.flip(v, tuple(d for d in dims if v.shape[d] > 1)), call.run)


def roll(call: Call) -> Dependence | None:
    """Circular shift; what wraps around has left the map."""
    dep = dependence.of(call.first)
    if dep is None:
        return None
    shape = tuple(call.first.shape)
    shifts, dims = list(call["shifts"]), [d % len(shape) for d in call["dims"]]
    if not dims:  # torch rolls the flattened tensor
        return _roll_flat(call, dep, shifts[0])
    for shift, dim in zip(shifts, dims, strict=True):
        dep = dep.map(partial(_rolled, shift=shift, dim=dim), call.run)
        n = shape[dim]
        if shift % n if n else 0:
            is_apart = np.zeros(n, bool)
            is_apart[: shift % n] = True
            dep = set_apart(call.run, dep, dim, ~is_apart if is_apart[n // 2] else is_apart)
    return dep


def _rolled(_: Axis, v: Array, *, shift: int, dim: int) -> Array:
    return np.roll(v, shift, dim) if v.shape[dim] > 1 else v


def _roll_flat(call: Call, dep: Dependence, shift: int) -> Dependence:
    """A circular shift of the flattened tensor: what leaves a row goes on in the next one."""
    shape = tuple(call.first.shape)
    count = call.first.numel()
    shift = shift % count if count else 0
    if not shift:
        return dep
    before = np.unravel_index((np.arange(count) - shift) % count, shape)
    moved = np.unravel_index(shift, shape)
    # Elements of which some index has passed the end of its dimension come from another row.
    carried = np.zeros(count, bool)
    for at, source, by in zip(
        np.unravel_index(np.arange(count), shape), before, moved, strict=True
    ):
        carried |= at != source + by

    def each(axis: Axis, v: Array) -> Array:
        full = np.broadcast_to(v, (*shape, v.shape[-1])).reshape(count, -1)
        full = np.roll(full, shift, 0)
        full[carried] = axis.union(full[carried], axis.outside)
        full = full.reshape(*shape, -1)
        for d in range(len(shape)):
            full = squeeze_equal(full, d)
        return full

    dep = replace(dep, is_solid=False).map(each, call.run)
    return dep.noting(call.run.note("shift-variant"))


def rotate(call: Call) -> Dependence | None:
    """`rot90`: a quarter turn is a reversal of one dimension and a transposition."""
    dep, turns = dependence.of(call.first), call["k"] % 4
    if dep is None or not turns:
        return dep
    a, b = (d % call.first.ndim for d in call["dims"])
    reversed_dims = {1: (b,), 2: (a, b), 3: (a,)}[turns]
    if any(runs_along(call.run, dep, d) for d in (a, b)):
        dep = dep.noting(call.run.note("shift-variant"))

    def each(_: Axis, v: Array) -> Array:
        v = np.flip(v, reversed_dims)
        return v if turns == 2 else v.swapaxes(a, b)

    return dep.map(each, call.run)


def repeat(call: Call) -> Dependence | None:
    """Tiles of the whole tensor; of those, the one in the middle is the map, the others wrap."""
    dep = dependence.of(call.first)
    if dep is None:
        return None
    times = list(call["repeats"])
    ndim = len(times)
    shape = (1,) * (ndim - call.first.ndim) + tuple(call.first.shape)

    def each(_: Axis, v: Array) -> Array:
        v = align(v, ndim)
        return np.tile(
            v, [t if n > 1 else 1 for t, n in zip(times, v.shape[:-1], strict=True)] + [1]
        )

    dep = dep.map(each, call.run)
    for dim, (count, n) in enumerate(zip(times, shape, strict=True)):
        if count > 1:
            first = count // 2 * n
            is_apart = apart_from_middle(count * n, slice(first, first + n))
            dep = set_apart(call.run, dep, dim, is_apart)
    return dep
