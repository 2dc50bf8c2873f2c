"""Fields through ops where element meets element, and through ops that have no rule."""

from collections.abc import Sequence
from typing import Final

import torch

from atrous.analysis.fields import dependence
from atrous.analysis.fields.dependence import Dependence, collapse, merge
from atrous.analysis.tracing.call import Call

CONSTANT: Final = frozenset(
    [
        *["zeros_like", "ones_like", "empty_like", "full_like", "rand_like", "randn_like"],
        *["randint_like", "new_empty", "new_empty_strided", "new_full", "new_ones"],
        *["new_zeros", "fill_", "zero_", "fill", "zero", "uniform_", "normal_", "bernoulli_"],
        *["random_", "exponential_", "empty", "empty_strided", "zeros", "ones", "full"],
        *["eye", "arange", "linspace", "scalar_tensor", "rand", "randn", "randint"],
        *["randperm"],
    ]
)
"""Ops whose result does not depend on the values of any tensor."""

UNIFORM: Final = CONSTANT - {"eye", "arange", "linspace", "randperm"}
"""Those of them that give one value everywhere, or noise."""

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
    """Element meets element; everything else that meets must not vary over the map."""
    tensors = call.tensors()
    ndim = len(call.out_shape)
    parts = [dependence.of(t) for t in tensors]
    merged = merge(call.run, parts, ndim)
    if merged is not None and None in parts:
        for tensor, part in zip(tensors, parts, strict=True):
            if part is None and _varies(tensor.shape, merged, ndim) and not is_uniform(tensor):
                return merged.noting(call.run.note("shift-variant"))
    return merged


def _varies(shape: Sequence[int], dep: Dependence, ndim: int) -> bool:
    """Whether a constant has several entries along a dimension that carries the input."""
    offset = ndim - len(shape)
    return any(
        n > 1 and v.shape[offset + d] > 1 and offset + d != 1
        for d, n in enumerate(shape)
        for v in dep.axes
    )


def is_uniform(tensor: torch.Tensor) -> bool:
    """Whether a tensor is known to hold one value everywhere, or noise."""
    return getattr(tensor, "_atrous_uniform", False)


def constant(_: Call) -> None:
    """An op that looks at the shape of its arguments only, or overwrites them."""


def copied(call: Call) -> Dependence | None:
    """`copy_`: the target takes over what the source depends on."""
    return merge(call.run, [call.dep("src")], call.first.ndim)


def unknown(call: Call) -> Dependence | None:
    """No rule: taken to look at its own position if shapes allow, else at everything."""
    known = [d for d in map(dependence.of, call.tensors()) if d is not None]
    if not known or not call.out_shapes:
        return None
    shapes = [tuple(t.shape) for t in call.tensors() if dependence.of(t) is not None]
    ndim = len(call.out_shape)
    fits = all(
        len(s) <= ndim
        and all(a in (1, b) for a, b in zip(s[::-1], call.out_shape[::-1], strict=False))
        for s in shapes
    )
    parts = known if fits else [collapse(call.run, d) for d in known]
    merged = merge(call.run, parts, ndim)
    return None if merged is None else merged.noting(call.run.note("unknown"))
