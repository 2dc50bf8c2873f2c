"""Fields through look-ups: positions that a constant names, and positions that the data choose."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from atrous.analysis.fields import dependence
from atrous.analysis.fields.axes import Array, Axis, align, squeeze_equal
from atrous.analysis.fields.borders import set_apart
from atrous.analysis.fields.call import Call
from atrous.analysis.fields.constants import constant_of
from atrous.analysis.fields.dependence import Dependence, collapse, merge, reduce_dims


def picked(call: Call) -> Dependence | None:
    """Sampling at positions that a tensor holds: any element may be read."""
    known = [d for d in map(dependence.of, call.tensors()) if d is not None]
    if not known:
        return None
    parts = [collapse(call.run, d) for d in known]
    both = merge(call.run, parts, len(call.out_shape))
    return None if both is None else both.noting(call.run.note("data-dependent"))


def embedding(call: Call) -> Dependence | None:
    """A row of a table for every index."""
    dep = call.dep("indices")
    if call.dep("weight") is not None:
        return picked(call)
    return None if dep is None else dep.map(lambda _, v: np.expand_dims(v, -2), call.run)


def gather(call: Call) -> Dependence | None:
    """`gather` and `take_along_dim`: any element along one dimension."""
    dep = dependence.of(call.first)
    if dep is None:
        return picked(call)
    dim = call["dim"] % max(call.first.ndim, 1)
    if any(v.shape[dim] > 1 for v in dep.axes if v.ndim > 1):
        dep = reduce_dims(call.run, dep.noting(call.run.note("data-dependent")), [dim])
    index = call.dep("index")
    chosen = None if index is None else index.noting(call.run.note("data-dependent"))
    # An index of other lengths reads the first rows of the other dimensions only.
    same = tuple(call.first.shape)
    if any(n != m for d, (n, m) in enumerate(zip(same, call.out_shape, strict=True)) if d != dim):
        dep = collapse(call.run, dep)
    return merge(call.run, [dep, chosen], len(call.out_shape))


def index(call: Call) -> Dependence | None:
    """`index_select`, and `index` along one dimension; along several, anything may be read."""
    dep = dependence.of(call.first)
    if dep is None:
        return picked(call)
    if call.has("dim"):
        return _along(call, dep, call["dim"] % call.first.ndim, call["index"])
    indices: Sequence[Any] = list(call["indices"])
    at = [d for d, tensor in enumerate(indices) if tensor is not None]
    if len(at) != 1:
        return picked(call)
    return _along(call, dep, at[0], indices[at[0]])


def _along(call: Call, dep: Dependence, dim: int, tensor: Tensor) -> Dependence | None:
    run, ndim = call.run, len(call.out_shape)
    extra = tensor.ndim - 1
    numbers = _numbers(call, tensor)
    if all(v.shape[dim] == 1 for v in dep.axes):
        result = dep
    elif numbers is not None and extra == 0:
        numbers = numbers % call.first.shape[dim]
        result = dep.map(lambda _, v: _taken(v, dim, numbers), run)
        result = replace(result, is_solid=False)
        return set_apart(run, result, dim, _breaks(numbers))
    else:
        result = reduce_dims(run, dep.noting(run.note("data-dependent")), [dim])

    def widen(_: Axis, v: Array) -> Array:
        if extra > 0:
            return np.expand_dims(v, tuple(range(dim, dim + extra)))
        return v if extra == 0 else v[(slice(None),) * dim + (0,)]

    result = result.map(widen, run)
    chosen = dependence.of(tensor)
    if chosen is not None:
        total = collapse(run, chosen).noting(run.note("data-dependent"))
        return merge(run, [result, total], ndim)
    return result.map(lambda _, v: align(v, ndim), run)


def _numbers(call: Call, tensor: Tensor) -> NDArray[np.int64] | None:
    """The positions that a constant names; None if they are not known."""
    if dependence.of(tensor) is not None:
        return None
    constant = constant_of(call.run, tensor)
    if constant is None or constant.value is None or constant.value.dtype.is_floating_point:
        return None
    numbers: NDArray[np.int64] = constant.value.long().numpy()
    return numbers


def _taken(v: Array, dim: int, numbers: NDArray[np.int64]) -> Array:
    return v if v.shape[dim] == 1 else squeeze_equal(v.take(numbers, axis=dim), dim)


def _breaks(numbers: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Rows beyond the stretch around the middle that goes in even steps."""
    is_apart = np.zeros(len(numbers), bool)
    steps = np.diff(numbers)
    if len(steps) < 2:
        return is_apart
    usual = int(np.median(steps))
    uneven = np.flatnonzero(np.abs(steps - usual) > max(1, abs(usual)))
    middle = len(numbers) // 2
    before, after = uneven[uneven < middle], uneven[uneven >= middle]
    if len(before):
        is_apart[: before[-1] + 1] = True
    if len(after):
        is_apart[after[0] + 1 :] = True
    return is_apart
