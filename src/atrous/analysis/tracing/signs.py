"""Values of one sign, of which a rectifier leaves nothing: `relu(logsigmoid(x))` is always 0."""

from typing import Final

from torch import Tensor

from atrous.analysis.fields.call import Call, outputs
from atrous.analysis.fields.dependence import Dependence, Run

_POSITIVE: Final = frozenset(
    ["abs", "exp", "hardsigmoid", "relu", "sigmoid", "softplus", "sqrt", "_softmax"]
)
_NEGATIVE: Final = frozenset(["log_sigmoid_forward", "_log_softmax"])
_KEEPS: Final = frozenset(
    [
        *["clone", "detach", "view", "_unsafe_view", "permute", "transpose", "slice", "select"],
        *["max_pool2d_with_indices", "max_pool3d_with_indices", "avg_pool2d", "avg_pool3d"],
        *["native_dropout", "mean", "sum", "_to_copy"],
    ]
)
"""Ops that turn no sign."""
_RECTIFIERS: Final = frozenset(["clamp", "clamp_min", "hardtanh", "relu", "threshold"])


def rectify(
    run: Run, call: Call, name: str, result: list[Dependence | None]
) -> list[Dependence | None]:
    """The fields of an op, as bounds where it may leave nothing of values that are never positive.

    Signs are kept on tensors: 1 of what is never negative, -1 of what is never positive. A tensor
    that is written to afterwards may keep a sign that it has lost; that only makes more a bound.
    """
    plain = name.removesuffix("_")
    tensors = call.tensors()
    before = _sign(tensors[0]) if tensors else 0
    after = before if plain in _KEEPS else 0
    if plain == "neg":
        after = -before
    after = 1 if plain in _POSITIVE else -1 if plain in _NEGATIVE else after
    for tensor in outputs(call.out):
        tensor._atrous_sign = after  # type: ignore[attr-defined]  # our own mark
    if before >= 0 or plain not in _RECTIFIERS:
        return result
    note = run.note("cancels")
    return [None if dep is None else dep.noting(note) for dep in result]


def _sign(tensor: Tensor) -> int:
    sign: int = tensor.__dict__.get("_atrous_sign", 0)
    return sign
