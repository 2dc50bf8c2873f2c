"""Rules for ops that are not torch's own, as their authors state them."""

from collections.abc import Callable, Sequence
from typing import Final, Literal, get_args

from atrous.analysis.fields.call import Call
from atrous.analysis.fields.dependence import Dependence, collapse, merge, reduce_dims
from atrous.analysis.rules.pointwise import pointwise

FieldRule = Callable[[Call], Dependence | Sequence[Dependence | None] | None]
CostRule = Callable[[Call], int]
Kind = Literal["pointwise", "channels", "whole"]
"""`pointwise`: element meets element; `channels`: every output channel sees all channels of its own
position (dimension 1); `whole`: every output sees all of every input."""

FIELDS: Final[dict[str, FieldRule]] = {}
"""Field rules of registered ops, by name with namespace."""
COSTS: Final[dict[str, CostRule]] = {}
"""MACs of registered ops, by name with namespace."""


def always(count: int) -> CostRule:
    """The same MACs for every call."""
    return lambda _: count


def _channels(call: Call) -> list[Dependence | None]:
    parts: list[Dependence | None] = []
    for tensor in call.tensors():
        dep = call.of(tensor)
        if dep is not None and tensor.ndim > 1:
            dep = reduce_dims(call.run, dep, [1])
        parts.append(dep)
    return [merge(call.run, parts, len(shape)) for shape in call.out_shapes]


def _whole(call: Call) -> list[Dependence | None]:
    known = [d for d in map(call.of, call.tensors()) if d is not None]
    totals = [collapse(call.run, d) for d in known]
    return [merge(call.run, totals, len(shape)) for shape in call.out_shapes]


KINDS: Final[dict[str, FieldRule]] = {
    "pointwise": pointwise,
    "channels": _channels,
    "whole": _whole,
}
assert set(KINDS) == set(get_args(Kind))  # one table, one type
