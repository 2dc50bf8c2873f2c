"""Where a constant meets what comes from the input: does the result depend on position?"""

from collections.abc import Callable
from functools import partial
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from atrous.analysis.fields import dependence
from atrous.analysis.fields.borders import runs_along, set_apart
from atrous.analysis.fields.call import Call
from atrous.analysis.fields.constants import Constant, constant_of
from atrous.analysis.fields.dependence import Dependence, Run

WEIGHTS: Final[dict[str, frozenset[str]]] = {
    "convolution": frozenset(["weight", "bias"]),
    "deform_conv2d": frozenset(["weight", "bias"]),
    "native_layer_norm": frozenset(["weight", "bias"]),
    "_fused_rms_norm": frozenset(["weight"]),
    "native_group_norm": frozenset(["weight", "bias"]),
    "embedding": frozenset(["weight"]),
    "_trilinear": frozenset(["i2"]),
    **dict.fromkeys(
        [
            *["native_batch_norm", "cudnn_batch_norm", "miopen_batch_norm"],
            *["_native_batch_norm_legit", "_native_batch_norm_legit_no_training"],
            *["_batch_norm_with_update", "_batch_norm_no_update"],
        ],
        frozenset(["weight", "bias", "running_mean", "running_var", "save_mean", "save_invstd"]),
    ),
}
"""Arguments that are applied alike at every place of a map."""

_NO_PLACES: Final = frozenset(
    ["mkldnn_rnn_layer", "_native_multi_head_attention", "_transformer_encoder_layer_fwd"]
)
_PRODUCTS: Final = frozenset(["mul", "div"])
_CHOICES: Final = frozenset(["condition", "mask"])
_MATRICES: Final = frozenset(["mm", "bmm", "addmm", "baddbmm", "mv", "addmv", "dot", "addbmm"])
_MINUS_INFINITY = -1e4
_SCALARS: Final = (bool, int, float)

Result = list[Dependence | None]


def meet(run: Run, call: Call, name: str, result: Result) -> Result:
    """Note what constants do to the results of an op that also has the input in it.

    Args:
        run: The run.
        call: The op.
        name: Its name.
        result: What its rule says: a dependence, or one for each output.
    """
    base = name.removesuffix("_")
    _remember_scalars(run, call, base)
    if _multiplies_by_zero(call, base):
        result = _each(result, lambda dep: dep.noting(run.note("masked")))
    if is_random(call, base):
        return _each(result, lambda dep: dep.noting(run.note("shift-variant")))
    exempt = WEIGHTS.get(base, frozenset())
    for key, tensor in call.named_tensors():
        if dependence.of(tensor) is not None or base in _NO_PLACES:
            continue
        if base == "copy" and key == "self":  # what is overwritten
            continue
        constant = constant_of(run, tensor)
        if constant is None:
            continue
        run.meetings.append((run.step, name, _fingerprint(constant)))
        if key in exempt:
            continue
        result = _each(result, partial(_meet_one, run, call, base, key, tensor, constant))
    return result


def _each(result: Result, change: Callable[[Dependence], Dependence]) -> Result:
    return [None if dep is None else change(dep) for dep in result]


def _remember_scalars(run: Run, call: Call, base: str) -> None:
    """Keep numbers that element-wise ops were given, to compare them between two sizes."""
    if call.is_pointwise:
        numbers = [a for a in call.args if type(a) in _SCALARS]
        if numbers:
            run.meetings.append((run.step, base, tuple(numbers)))


_ZEROS: Final[dict[str, tuple[str, ...]]] = {
    **dict.fromkeys(["mul", "pow"], ("other", "exponent")),
    **dict.fromkeys(["add", "sub", "rsub"], ("alpha",)),
    **dict.fromkeys(["addcmul", "addcdiv"], ("value",)),
    **dict.fromkeys(["addmm", "addbmm", "baddbmm", "addmv", "addr"], ("alpha", "beta")),
}
"""Numbers of ops that leave an argument without effect where they are zero."""


def _multiplies_by_zero(call: Call, base: str) -> bool:
    """Whether a plain zero keeps an argument from having any effect, as in `x + 0 * y`."""
    if base == "lerp":
        return call.has("weight") and type(call["weight"]) in _SCALARS and call["weight"] in (0, 1)
    names = [name for name in _ZEROS.get(base, ()) if call.has(name)]
    if "beta" in names and call.dep("self") is None:
        names.remove("beta")  # it takes the place of a tensor that nothing was written to
    return any(type(call[name]) in _SCALARS and call[name] == 0 for name in names)


def is_random(call: Call, base: str) -> bool:
    """Whether an op draws random numbers."""
    base = base.removesuffix("_")
    if torch.Tag.nondeterministic_seeded not in call.func.tags:
        return False
    if "attention" in base:
        return bool(call.has("dropout_p") and call["dropout_p"])
    if base == "rrelu_with_noise":
        return bool(call["training"])
    return not (base == "native_dropout" and (call["train"] is False or call["p"] == 0))


def _meet_one(
    run: Run, call: Call, base: str, key: str, tensor: Tensor, constant: Constant, dep: Dependence
) -> Dependence:
    """What one constant does to one output."""
    ndim = dep.axes[0].ndim - 1
    varying = constant.varying()
    if _blocks(base, key, constant) and _is_reached(call, base, key, tensor, varying, dep):
        dep = dep.noting(run.note("masked"))
    if constant.is_noise:
        return dep.noting(run.note("shift-variant"))
    if not varying:
        return dep
    if call.is_pointwise or base in ("where", "masked_fill", "copy"):
        places = [(d, d + ndim - tensor.ndim) for d in varying]
    elif base == "cat":
        dim = (call["dim"] or 0) % ndim
        places = [(d, d) for d in varying if d != dim]
    elif base == "stack":
        dim = (call["dim"] or 0) % ndim
        places = [(d, d + (d >= dim)) for d in varying]
    elif base in _MATRICES:
        places = _in_product(call, tensor, varying, ndim)
    elif "scaled_dot_product" in base:
        places = [(d, d + ndim - tensor.ndim) for d in varying if d < tensor.ndim - 1]
    elif base in ("index", "gather", "index_select", "embedding"):
        return dep
    else:
        is_moving = any(runs_along(run, dep, d) for d in range(ndim))
        return dep.noting(run.note("shift-variant")) if is_moving else dep
    for d, place in places:
        if 0 <= place < ndim and runs_along(run, dep, place):
            dep = _along(run, dep, constant, d, place)
    return dep


def _along(run: Run, dep: Dependence, constant: Constant, d: int, place: int) -> Dependence:
    """A constant that differs from place to place: a frame that a halo covers, or no halo."""
    frame = None if constant.value is None else _frame(constant.value, d)
    if frame is None or len(frame) != max(v.shape[place] for v in dep.axes):
        return dep.noting(run.note("shift-variant"))
    return set_apart(run, dep, place, frame)


def _frame(value: Tensor, d: int) -> NDArray[np.bool_] | None:
    """Rows that differ from the middle one, if they lie at both ends only."""
    middle = value.narrow(d, value.shape[d] // 2, 1)
    differs = (value != middle).movedim(d, 0).reshape(value.shape[d], -1).any(1)
    is_apart: NDArray[np.bool_] = differs.numpy()
    inside = np.flatnonzero(~is_apart)
    if inside[-1] - inside[0] + 1 != len(inside) or 2 * len(inside) < len(is_apart):
        return None
    return is_apart


def _in_product(
    call: Call, tensor: Tensor, varying: frozenset[int], ndim: int
) -> list[tuple[int, int]]:
    """Batches of a matrix product, and what is added to it; its rows and columns are weights."""
    tensors = call.tensors()
    if all(dependence.of(factor) is None for factor in tensors[-2:]):
        return [(d, place) for d in varying for place in range(ndim)]  # a constant in all
    if len(tensors) == 3 and tensor is tensors[0]:
        return [(d, d + ndim - tensor.ndim) for d in varying]
    return [(0, 0)] if tensor.ndim == 3 and 0 in varying else []


def _is_added(base: str, key: str) -> bool:
    """Whether an argument of a matrix product is what is added to it."""
    return key == "self" and "add" in base


def _is_reached(
    call: Call, base: str, key: str, tensor: Tensor, varying: frozenset[int], dep: Dependence
) -> bool:
    """Whether zeros of a constant meet elements that see different positions of the input."""
    constant = constant_of(call.run, tensor)
    if constant is not None and constant.value is not None and not constant.value.any():
        return True
    if base in _MATRICES:
        others = [d for t in call.tensors() if t is not tensor and (d := dependence.of(t))]
        is_left = tensor is call.tensors()[-2]
        summed = -3 if is_left else -2  # the last dimension but that of positions
        return any(v.ndim < 3 or v.shape[summed] > 1 for d in others for v in d.axes)
    ndim = dep.axes[0].ndim - 1
    if not varying:
        return key in _CHOICES
    return any(v.shape[d + ndim - tensor.ndim] > 1 for d in varying for v in dep.axes)


def _blocks(base: str, key: str, constant: Constant) -> bool:
    """Whether a constant may keep an element of the input from having any effect."""
    if key in _CHOICES:
        return True
    if base in _PRODUCTS or (base in _MATRICES and not _is_added(base, key)):
        if constant.value is not None:
            return bool((constant.value == 0).any()) and base != "div"
        if constant.support is not None:
            return True
        return not constant.is_generic
    if base in ("add", "sub") or _is_added(base, key) or key in ("attn_mask", "attn_bias"):
        if constant.value is None:
            return not constant.is_generic and bool(constant.varies)
        if constant.value.dtype == torch.bool:
            return not bool(constant.value.all())
        if constant.value.is_floating_point():
            return bool((constant.value <= _MINUS_INFINITY).any())
    return False


def _fingerprint(constant: Constant) -> Any:
    """The same at two sizes if the constant is the same in the middle of both."""
    value = constant.value
    if value is None or value.is_complex():
        return constant.origin
    for d in range(value.ndim):
        if value.shape[d] > 1:
            value = value.narrow(d, value.shape[d] // 2, 1)
    return value.reshape(-1).tolist()
