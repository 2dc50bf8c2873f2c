"""Numbers that cancel: what is left of two values of one origin may read less than either of them.

A union of fields is exact for weights and inputs in general: then no sum is zero by chance. It may
be zero by construction. Every value that depends on the input has a key, the same for values that
are equal; a sum has its summands; and what fixed numbers (averages, running sums, transforms) make
of a map is tied to it, so that differences of its elements may lose what they have in common.
Where a result may cancel, its field is the most that is read.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import prod
from typing import Any, Final, TypeAlias

import numpy as np
from torch import Tensor, nn

from atrous.analysis.fields import dependence
from atrous.analysis.fields.axes import align
from atrous.analysis.fields.call import Call, outputs
from atrous.analysis.fields.constants import constant_of
from atrous.analysis.fields.dependence import Dependence, Run
from atrous.analysis.tracing.values import Value, atom, linear, part_of, scaled, value_of

Result: TypeAlias = list[Dependence | None]

_MOST_TERMS = 16


_SAME: Final = frozenset(["clone", "alias", "detach", "lift_fresh", "_to_copy", "copy"])
_REDUCTIONS: Final = frozenset(["sum", "mean"])
_MOVES: Final = frozenset(
    [
        *["flip", "roll", "repeat", "constant_pad_nd", "pixel_shuffle", "pixel_unshuffle", "stack"],
        *["channel_shuffle", "native_channel_shuffle", "_unsafe_view", "_reshape_copy", "im2col"],
        *["index_select", "index", "gather", "reflection_pad1d", "reflection_pad2d", "rot90"],
        *["reflection_pad3d", "replication_pad1d", "replication_pad2d", "replication_pad3d", "cat"],
        *["upsample_nearest1d", "upsample_nearest2d", "upsample_nearest3d"],
        *["_upsample_nearest_exact1d", "_upsample_nearest_exact2d", "_upsample_nearest_exact3d"],
    ]
)
"""Ops, beside views, that lay elements out anew."""
_FIXED: Final = frozenset(
    [
        *["avg_pool2d", "avg_pool3d", "_adaptive_avg_pool2d", "_adaptive_avg_pool3d", "cumsum"],
        *["upsample_linear1d", "upsample_bilinear2d", "upsample_trilinear3d", "col2im"],
        *["upsample_bicubic2d", "_upsample_bilinear2d_aa", "_upsample_bicubic2d_aa"],
        *["_fft_r2c", "_fft_c2c", "_fft_c2r"],
    ]
)
"""Ops that sum elements with numbers that nobody has learned."""
_WEIGHTED: Final = frozenset(["convolution", "mm", "bmm", "addmm", "baddbmm", "mv", "addmv"])
"""Linear ops of one argument where the other is a constant, learned or not."""
_SCALED: Final = frozenset(["mul", "div"])
_NORMS: Final = frozenset(
    ["_native_batch_norm_legit_no_training", "_batch_norm_no_update", "native_batch_norm"]
)
_SUMS: Final[dict[str, float]] = {"add": 1, "sub": -1, "rsub": -1}
_UNITY: Final = frozenset(
    [
        *["div", "eq", "ne", "lt", "le", "gt", "ge", "fmod", "remainder", "logical_xor"],
        *["bitwise_xor", "floor_divide"],
    ]
)
"""Ops that give one number everywhere where both arguments are equal."""

_EITHER: Final = frozenset(["maximum", "minimum", "fmax", "fmin", "lerp", "where"])
"""Ops that give one of two values, or what is between them."""


def _of_one_dim(call: Call) -> int:
    shape = call.first.shape
    return shape[call["dim"] % len(shape)] if shape else 1


def _of_reduction(call: Call) -> int:
    shape = call.first.shape
    dims = call["dim"] if call.has("dim") else None
    if dims is None or dims == []:
        return prod(shape)
    dims = dims if isinstance(dims, list | tuple) else [dims]
    return prod(shape[d] for d in dims) if shape else 1


def _of_group(call: Call) -> int:
    return int(call["C"] // call["group"] * call["HxW"])


_ALONE: Final[dict[str, Callable[[Call], int]]] = {
    **dict.fromkeys(["_softmax", "_log_softmax", "_safe_softmax"], _of_one_dim),
    **dict.fromkeys(["var", "std", "var_mean", "std_mean", "argmax", "argmin"], _of_reduction),
    "native_layer_norm": lambda call: prod(call["normalized_shape"]),
    "native_group_norm": _of_group,
}
"""Ops that give a constant where only one element is compared with itself; how many there are."""
_SUSPECT: Final = frozenset(
    [*_UNITY, *_WEIGHTED, *_SCALED, *_SUMS, *_ALONE, "neg", "where", "_fft_c2r", "_fft_c2c"]
)
"""Ops to look at."""


def cancel(run: Run, call: Call, name: str, result: Result) -> tuple[Result, Sequence[Value]]:
    """Mark results that may read less than the union, and tell what their values are.

    A run that does not tell values apart only notices whether there is an op for which it should.

    Args:
        run: The run.
        call: An op that has the input in it.
        name: Its name.
        result: What is known of every output.
    """
    base = name.removesuffix("_")
    if not run.tells_values:
        run.may_cancel = run.may_cancel or (base in _SUSPECT and _is_suspect(run, call, base))
        return result, ()
    fed = [t for t in call.tensors() if dependence.of(t) is not None]
    if base == "copy":
        fed = [t for t in fed if t is not call.first]  # it is overwritten
    values = [value_of(run, t) for t in fed]
    if len(values) == 2 and base in _SUMS and isinstance(call["alpha"], int | float):
        value, loses = _sum(run, base, call["alpha"], fed, *values)
    elif len(values) == 2 and base in _UNITY:
        value, loses = atom(run, call), values[0].key == values[1].key
    elif base in _ALONE:
        value, loses = atom(run, call), _ALONE[base](call) == 1
    elif base in _EITHER and len(values) > 1 and values[-2].key == values[-1].key:
        value, loses = values[-1], base == "where"  # whatever decides, it is the same
    else:
        value, loses = _one(run, call, base, fed, values)
    if loses:
        note = run.note("cancels")
        result = [None if dep is None else dep.noting(note) for dep in result]
    produced = outputs(call.out)
    if len(produced) == 1:
        return result, [value]
    return result, [part_of(run, value, i) for i in range(len(produced))]


def _is_suspect(run: Run, call: Call, base: str) -> bool:
    """Whether numbers may cancel here, or after what this op has negated."""
    if base in _ALONE:
        return _ALONE[base](call) == 1
    if base in ("neg", "rsub", "_fft_c2r", "_fft_c2c"):
        return True
    if base == "convolution" and not run.spoiled:
        real = call["weight"].__dict__.get("_of_model")
        if isinstance(real, nn.Parameter):
            return False
    fed = [t for t in call.tensors() if dependence.of(t) is not None]
    if base in _WEIGHTED:
        others = [t for t in call.tensors() if t.ndim > 1 and dependence.of(t) is None]
        known = [constant_of(run, t) for t in others[-1:]]
        return any(c is not None and not c.is_generic for c in known)
    if base == "where":
        return len(fed) > 1
    if base in _UNITY and (len(fed) > 1 or base != "div"):
        return len(fed) > 1
    other = call["other"]
    if base in _SCALED:
        return type(other) in (int, float) and other < 0
    alpha = call["alpha"]
    is_negative = isinstance(alpha, int | float) and alpha < 0
    return is_negative or (base == "sub" and any(t is other for t in fed))


def _one(
    run: Run, call: Call, base: str, fed: list[Tensor], values: list[Value]
) -> tuple[Value, bool]:
    """Ops that are linear in a single tensor, or in a list of them; all others give new values."""
    if not values:
        return atom(run, call), False
    only = values[0]
    is_move = call.func.is_view or base in _MOVES
    if len(values) > 1:
        if base not in ("cat", "stack"):
            return atom(run, call), False
        roots = frozenset[int]().union(*(value.roots for value in values))
        pure = frozenset[int]().union(*(value.pure for value in values))
        return replace(atom(run, call), roots=roots, pure=pure), False
    if base in _SAME and call.out.shape == fed[0].shape and call.out.dtype.is_floating_point:
        return only, False
    if base in _SUMS or base == "neg":
        is_scaled = isinstance(call["alpha"], int | float) if call.has("alpha") else True
        is_second = (
            base == "neg"
            or (base != "rsub" and call.args[0] is not fed[0])
            or (base == "rsub" and call.args[0] is fed[0])
        )
        sign = -1.0 if base != "add" and is_second else 1.0
        if is_scaled:
            return scaled(run, call, only, sign), False
    if base in _SCALED:
        other = call["other"]
        if call.has("rounding_mode"):
            return atom(run, call), False
        if type(other) in (int, float) and other != 0:
            return scaled(run, call, only, other if base == "mul" else 1 / other), False
        if isinstance(call.args[1], Tensor) and (base == "mul" or call.args[1] is not fed[0]):
            factor = constant_of(run, next(t for t in call.tensors() if t is not fed[0]))
            is_learned = factor is not None and factor.is_generic
            return linear(run, call, fed[0], only, only.learned() if is_learned else only), False
    if base in _REDUCTIONS:
        is_tied = _of_reduction(call) > 1 and _spreads(call, fed[0])
        return linear(run, call, fed[0], only, only.spread() if is_tied else only), False
    if is_move:
        return linear(run, call, fed[0], only, only), False
    if base in _NORMS and not (call.has("training") and call["training"]):
        return linear(run, call, fed[0], only, only.learned()), False
    if base in _FIXED:
        inverts = base == "_fft_c2r" or (base == "_fft_c2c" and not call["forward"])
        return linear(run, call, fed[0], only, only.spread()), inverts and bool(only.roots)
    if base in _WEIGHTED:
        return _weighted(run, call, fed[0], only)
    return atom(run, call), False


def _weighted(run: Run, call: Call, tensor: Tensor, value: Value) -> tuple[Value, bool]:
    """A convolution or a product with a matrix: fixed numbers of both signs may cancel."""
    others = [t for t in call.tensors() if t is not tensor]
    known = [constant_of(run, t) for t in others[-1:] if t.ndim > 1]
    fixed = [c.value for c in known if c is not None and c.value is not None]
    if not fixed:
        return linear(run, call, tensor, value, value.learned()), False
    numbers = fixed[0].real if fixed[0].is_complex() else fixed[0]
    is_mixed = bool((numbers < 0).any()) and bool((numbers > 0).any())
    loses = is_mixed and bool(value.roots) and _meet_in_sums(run, call, tensor)
    return linear(run, call, tensor, value, value.spread()), loses


def _spreads(call: Call, tensor: Tensor) -> bool:
    """Whether a sum runs over dimensions along which the fields move."""
    dep = dependence.of(tensor)
    dims = call["dim"] if call.has("dim") else None
    if dep is None or not dims:
        return True
    dims = dims if isinstance(dims, list | tuple) else [dims]
    return any(v.shape[d % tensor.ndim] > 1 for v in dep.axes for d in dims)


def _sum(
    run: Run, base: str, alpha: float, fed: list[Tensor], one: Value, other: Value
) -> tuple[Value, bool]:
    """A sum or difference: summands met before may vanish, what is tied to one map may cancel."""
    first, second = (-alpha, 1.0) if base == "rsub" else (1.0, _SUMS[base] * alpha)
    factors: dict[int, float] = {key: first * factor for key, factor in one.terms}
    loses = False
    for key, factor in other.terms:
        if key in factors:
            total = factors[key] + second * factor
            if abs(total) <= 1e-9 * abs(second * factor):
                loses = True
                del factors[key]
                continue
            factors[key] = total
        else:
            factors[key] = second * factor
    is_difference = len(one.signs(first) | other.signs(second)) > 1
    if is_difference and not loses and one.roots & other.roots:
        # Where one of them reaches farther on both sides, its ends stay; not all that is between
        # them does, if the same fixed numbers stand in both.
        loses = bool(one.pure & other.pure) or _share_ends(run, *map(dependence.of, fed))
    terms = tuple(sorted(factors.items()))
    key = run.keys.setdefault(("sum", terms), len(run.keys))
    if not terms or len(terms) > _MOST_TERMS:
        terms = ((key, 1.0),)
    return Value(key, terms, one.roots | other.roots, one.pure | other.pure), loses


def _share_ends(run: Run, one: Dependence | None, other: Dependence | None) -> bool:
    """Whether some elements that no border has changed see parts that begin or end alike."""
    if one is None or other is None:
        return False
    overlap: Any = True
    ends: Any = False
    clear: Any = True
    ndim = max(d.axes[0].ndim for d in (one, other)) - 1
    for axis, v, w in zip(run.axes, one.axes, other.axes, strict=True):
        if not axis.is_interval:
            return False  # the run of intervals has told
        v, w = align(v, ndim), align(w, ndim)
        overlap = overlap & (v[..., 0] <= -w[..., 1]) & (w[..., 0] <= -v[..., 1])
        ends = ends | (v[..., 0] == w[..., 0]) | (v[..., 1] == w[..., 1])
        clear = clear & (v[..., 2] == 1) & (w[..., 2] == 1)
    return bool(np.any(overlap & ends & clear))


def _meet_in_sums(run: Run, call: Call, tensor: Tensor) -> bool:
    """Whether elements that one output sums see parts that begin or end alike."""
    dep = dependence.of(tensor)
    if dep is None:
        return False
    if call.has("weight"):
        kernel = call.shape("weight")
        dims = [d for d in range(1, len(kernel)) if kernel[d] > 1]
    else:
        is_left = tensor is call.tensors()[-2]
        dims = [tensor.ndim - 1 if is_left else max(tensor.ndim - 2, 0)]
    for d in dims:
        before, ahead = (slice(None),) * d, slice(1, None)
        pairs = [
            [v if v.shape[d] == 1 else v[(*before, part)] for v in dep.axes]
            for part in (slice(None, -1), ahead)
        ]
        one, other = (replace(dep, axes=tuple(axes)) for axes in pairs)
        if _share_ends(run, one, other):
            return True
    return False
