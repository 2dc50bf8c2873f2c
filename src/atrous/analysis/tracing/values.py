"""Which values of a run are equal: keys of values by what they came from, and their summands."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, TypeAlias

from torch import Tensor, nn

from atrous.analysis.fields import dependence
from atrous.analysis.fields.call import Call, outputs
from atrous.analysis.fields.constants import Constant, constant_of
from atrous.analysis.fields.dependence import Run
from atrous.analysis.fields.meeting import is_random
from atrous.analysis.rules import op_name
from atrous.analysis.rules.views import order_of

Terms: TypeAlias = tuple[tuple[int, float], ...]

_MOST_SPREAD = 4  # summands that a linear op is followed through one by one
_READABLE = 4096  # numbers of a constant that are compared one by one
_RESHAPES: Final = frozenset(
    ["view", "_unsafe_view", "_reshape_alias", "_reshape_copy", "unsqueeze", "squeeze"]
)


@dataclass(frozen=True, slots=True)
class Value:
    """What is known of the numbers of a tensor that depends on the input.

    Attributes:
        key: The same for two tensors of a run whose numbers are equal.
        terms: Summands by key, each with its factor; a constant may come on top.
        roots: Keys of the maps that fixed numbers were multiplied with and summed since anything
            else was done to them; none where every element stands for itself.
        pure: Those of them that no learned number was multiplied with since.
    """

    key: int
    terms: Terms
    roots: frozenset[int] = frozenset()
    pure: frozenset[int] = frozenset()

    def spread(self) -> "Value":
        """The same value, as what the elements of a result are tied to."""
        return replace(self, roots=self.roots | {self.key}, pure=self.pure | {self.key})

    def learned(self) -> "Value":
        """The same value, with learned numbers on the way from what it is tied to."""
        return replace(self, pure=frozenset())

    def signs(self, factor: float = 1) -> set[bool]:
        return {coefficient * factor > 0 for _, coefficient in self.terms}


def keep(call: Call, values: Sequence[Value]) -> None:
    """Remember the values on what an op has returned."""
    for tensor, value in zip(outputs(call.out), values, strict=False):
        tensor._atrous_value = value  # type: ignore[attr-defined]  # our own mark


def lose(tensor: Tensor) -> None:
    """Forget the value of a tensor that was written to; its next use gives it a new one."""
    tensor.__dict__.pop("_atrous_value", None)


def value_of(run: Run, tensor: Tensor) -> Value:
    """The value of a tensor that has the input in it; a new one if none is known."""
    known = tensor.__dict__.get("_atrous_value")
    if isinstance(known, Value):
        return known
    fresh = _named(run, (object(),))
    tensor._atrous_value = fresh  # type: ignore[attr-defined]  # our own mark
    return fresh


def _named(run: Run, parts: tuple[Any, ...]) -> Value:
    key = run.keys.setdefault(parts, len(run.keys))
    return Value(key, ((key, 1.0),))


def part_of(run: Run, value: Value, position: int) -> Value:
    """One of several things that an op has returned."""
    terms = tuple(
        (run.keys.setdefault((key, position), len(run.keys)), factor) for key, factor in value.terms
    )
    key = (
        terms[0][0]
        if len(terms) == 1
        else run.keys.setdefault((value.key, position), len(run.keys))
    )
    return replace(value, key=key, terms=terms)


def scaled(run: Run, call: Call, value: Value, factor: float) -> Value:
    """A value times a number; what is added to it on top has no part in it."""
    terms = tuple((key, factor * old) for key, old in value.terms)
    key = run.keys.setdefault(_parts(run, call), len(run.keys))
    return replace(value, key=key, terms=terms)


def linear(run: Run, call: Call, tensor: Tensor, value: Value, tied: Value) -> Value:
    """What a linear op makes of every summand.

    Args:
        run: The run.
        call: The op.
        tensor: What it is linear in.
        value: The value of that.
        tied: What the elements of the result are tied to.
    """
    is_simple = value.terms == ((value.key, 1.0),)
    key = _made_of(run, call, tensor, value.key)
    if is_simple or len(value.terms) > _MOST_SPREAD:
        return replace(tied, key=key, terms=((key, 1.0),))
    terms = tuple((_made_of(run, call, tensor, term), factor) for term, factor in value.terms)
    return replace(tied, key=key, terms=terms)


def _made_of(run: Run, call: Call, tensor: Tensor, term: int) -> int:
    """Key of what the op makes of one summand; of views of views, that of the first if it is back.

    Shapes are told apart, so that differences of all pairs do not look like those of equals.
    """
    name = op_name(call.func)
    # A mean or sum over one element is that element.
    if name in _RESHAPES or (name in ("sum", "mean") and tensor.numel() == call.out.numel()):
        origin, shape = run.reshaped.get(term, (term, tuple(tensor.shape)))
        if call.out_shape == shape:
            return origin
        key = run.keys.setdefault(("view", origin, call.out_shape), len(run.keys))
        run.reshaped[key] = origin, shape
        return key
    if name in ("permute", "transpose", "t"):
        origin, old = run.permuted.get(term, (term, tuple(range(tensor.ndim))))
        order = tuple(old[d] for d in order_of(call))
        if order == tuple(range(tensor.ndim)):
            return origin
        key = run.keys.setdefault(("permute", origin, order), len(run.keys))
        run.permuted[key] = origin, order
        return key
    return run.keys.setdefault(_parts(run, call, {id(tensor): term}), len(run.keys))


def atom(run: Run, call: Call) -> Value:
    """What an op gives that is no sum of anything known."""
    return _named(run, _parts(run, call))


def _parts(run: Run, call: Call, keys: dict[int, int] | None = None) -> tuple[Any, ...]:
    """The op and everything that its result comes from."""
    if is_random(call, call.func._schema.name.removeprefix("aten::")):
        return (object(),)
    parts: list[Any] = [call.func]
    for value in (*call.args, *call.kwargs.values()):
        if isinstance(value, Tensor):
            parts.append(_key(run, value, keys))
        elif isinstance(value, list | tuple):
            parts.append(tuple(_key(run, v, keys) if isinstance(v, Tensor) else v for v in value))
        else:
            parts.append(value)
    return tuple(parts)


def _key(run: Run, tensor: Tensor, keys: dict[int, int] | None) -> Any:
    """What tells the values of a tensor apart from those of others."""
    if keys is not None and id(tensor) in keys:
        return keys[id(tensor)]
    if dependence.of(tensor) is not None:
        return value_of(run, tensor).key
    real = tensor.__dict__.get("_of_model")
    if real is not None and tensor.untyped_storage()._cdata not in run.spoiled:
        return ("weight", id(real))
    if isinstance(tensor, nn.Parameter):  # of a layer that was made on the way
        return tensor.__dict__.setdefault("_atrous_serial", object())
    constant = constant_of(run, tensor)
    if constant is None or constant.is_noise:
        return object()
    return _constant_key(constant)


def _constant_key(constant: Constant) -> Any:
    value = constant.value
    if value is not None and value.numel() <= _READABLE and not value.is_complex():
        return ("constant", tuple(value.shape), tuple(value.flatten().tolist()))
    return ("constant", constant.origin) if constant.origin else object()
