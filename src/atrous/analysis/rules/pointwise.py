"""Fields through ops where element meets element, and through ops that have no rule."""

from typing import Final

import torch

from atrous.analysis.fields import dependence
from atrous.analysis.fields.call import Call
from atrous.analysis.fields.dependence import Dependence, collapse, merge

CONSTANT: Final = frozenset(
    [
        *["zeros_like", "ones_like", "empty_like", "full_like", "rand_like", "randn_like"],
        *["randint_like", "new_empty", "new_empty_strided", "new_full", "new_ones"],
        *["new_zeros", "zero_", "zero", "uniform_", "normal_"],
        *["random_", "exponential_", "empty", "empty_strided", "zeros", "ones", "full"],
        *["eye", "arange", "linspace", "scalar_tensor", "rand", "randn", "randint"],
        *["randperm"],
    ]
)
"""Ops whose result does not depend on the values of any tensor."""

POINTWISE: Final = frozenset(
    [
        *["_prelu_kernel", "rrelu_with_noise", "hardswish", "log_sigmoid_forward"],
        *["special_ndtr", "native_dropout", "_fused_dropout", "bernoulli", "poisson"],
        *["masked_fill", "where", "add", "sub", "mul", "div", "floor_divide", "fmod"],
        *["remainder", "ldexp", "fix", "frexp", "eq", "ne", "lt", "le", "gt", "ge"],
        *["copysign", "heaviside", "arctan2", "complex", "polar", "real", "imag", "conj"],
    ]
)
"""Pointwise ops that some torch versions leave untagged."""


def pointwise(call: Call) -> Dependence | None:
    """Element meets element."""
    parts = [dependence.of(t) for t in call.tensors()]
    return merge(call.run, parts, len(call.out_shape))


def constant(_: Call) -> None:
    """An op that looks at the shape of its arguments only, or overwrites them."""


def random_slopes(call: Call) -> Dependence | None:
    """`rrelu` in training: how many random numbers are drawn depends on every element."""
    merged = pointwise(call)
    if merged is None or not call["training"]:
        return merged
    total = merge(call.run, [collapse(call.run, merged)], len(call.out_shape))
    return None if total is None else total.noting(call.run.note("data-dependent"))


def by_item(call: Call) -> list[Dependence | None]:
    """`_foreach_…`: element by element, the first of every list with the first of the others."""
    lists = [value for value in (*call.args, *call.kwargs.values()) if isinstance(value, list)]
    single = [value for value in call.args if isinstance(value, torch.Tensor)]
    results = []
    for position, tensor in enumerate(call.args[0]):
        met = [items[position] for items in lists if position < len(items)]
        parts = [dependence.of(t) for t in (*met, *single) if isinstance(t, torch.Tensor)]
        results.append(merge(call.run, parts, tensor.ndim))
    return results


def filled(call: Call) -> Dependence | None:
    """`fill_`: every element is the one value, which may come from the input."""
    value = call["value"]
    dep = dependence.of(value) if isinstance(value, torch.Tensor) else None
    return merge(call.run, [dep], call.first.ndim)


def copied(call: Call) -> Dependence | None:
    """`copy_`: the target takes over what the source depends on."""
    return merge(call.run, [call.dep("src")], call.first.ndim)


def unknown(call: Call) -> list[Dependence | None]:
    """No rule: taken to look at everything, which is a bound."""
    known = [d for d in map(dependence.of, call.tensors()) if d is not None]
    totals = [collapse(call.run, d) for d in known]
    merged = [merge(call.run, totals, len(shape)) for shape in call.out_shapes]
    note = call.run.note("unknown")
    return [None if dep is None else dep.noting(note) for dep in merged]
