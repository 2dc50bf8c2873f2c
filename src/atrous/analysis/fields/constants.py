"""Tensors that do not come from the input: where their values differ from place to place.

Only what is proved to be one value everywhere is uniform. Small constants are computed for real,
as far as no learned number is in them; of all others the shape tells along which dimensions they
may vary.
"""

from dataclasses import dataclass
from functools import partial
from math import prod
from typing import Any, Final
from weakref import ref

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor

from atrous.analysis.fields.call import Call, outputs, written_arguments
from atrous.analysis.fields.dependence import Run

_LARGEST = 1 << 20  # numbers that are computed for real at the most
_ALIASED = 1 << 16  # numbers up to which a filled tensor is written out, so that views can write
FILLED: Final = {
    **dict.fromkeys(["zeros", "zeros_like", "new_zeros"], 0),
    **dict.fromkeys(["ones", "ones_like", "new_ones"], 1),
    **dict.fromkeys(["full", "full_like", "new_full"], None),
}
"""Ops that fill a new tensor, and with what; None for an argument."""
UNWRITTEN: Final = frozenset(["empty", "empty_like", "empty_strided", "new_empty"])
_KEEPS_PLACE: Final = frozenset(["clone", "alias", "detach", "_to_copy", "lift_fresh", "neg"])


@dataclass(frozen=True, slots=True, eq=False)
class Constant:
    """What is known of a tensor that does not depend on the input.

    Attributes:
        varies: Dimensions along which values may differ, where `value` is not known.
        value: The numbers, on the CPU; None if they are learned, too many, or not known.
        is_own: Whether `value` is ours to write to.
        is_noise: Whether random numbers are in it.
        is_generic: Whether it is learned, so that no entry is zero by construction.
        support: Entries of a generic tensor that a mask has not put to zero; None for all.
        origin: The same for two runs if it came about in the same way.
    """

    varies: frozenset[int]
    value: Tensor | None = None
    is_own: bool = False
    is_noise: bool = False
    is_generic: bool = False
    support: Tensor | None = None
    origin: int = 0

    def varying(self) -> frozenset[int]:
        """Dimensions along which values differ, as far as that is known."""
        if self.value is None:
            return self.varies
        return frozenset(d for d in range(self.value.ndim) if not _is_even(self.value, d))


def _is_even(value: Tensor, dim: int) -> bool:
    if value.shape[dim] < 2 or value.stride(dim) == 0:
        return True
    return bool((value == value.narrow(dim, 0, 1)).all())


def _long(tensor: Tensor) -> frozenset[int]:
    return frozenset(d for d, n in enumerate(tensor.shape) if n > 1)


def constant_of(run: Run, tensor: Tensor) -> Constant | None:
    """What is known of a tensor; None for one of unknown origin."""
    attributes = tensor.__dict__
    if run.spoiled:
        spoiled = run.spoiled.get(tensor.untyped_storage()._cdata)
        if isinstance(spoiled, Constant):
            if spoiled.is_noise and isinstance(tensor, torch.nn.Parameter):
                return Constant(_long(tensor), is_generic=True, origin=spoiled.origin)  # just made
            fits = spoiled.support is not None and spoiled.support.shape == tensor.shape
            return Constant(
                _long(tensor),
                is_noise=spoiled.is_noise,
                is_generic=fits,
                support=spoiled.support if fits else None,
                origin=spoiled.origin,
            )
    known = attributes.get("_atrous_constant")
    if isinstance(known, Constant):
        return known
    real = attributes.get("_of_model")
    if isinstance(real, Tensor):  # the same in every run
        known = attributes.get("_of_model_constant") or _of_model(real)
        attributes["_of_model_constant"] = known
    elif not isinstance(tensor, FakeTensor):
        known = Constant(_long(tensor), value=_readable(tensor), origin=hash(tuple(tensor.shape)))
    elif tensor.constant is not None:
        return Constant(frozenset(), value=tensor.constant)
    elif tensor.untyped_storage()._cdata in run.weights:
        return Constant(_long(tensor))  # an alias of a weight, such as `weight.data`
    else:
        return None
    mark(tensor, known)
    return known


def _of_model(real: Tensor) -> Constant:
    origin = hash((id(real), tuple(real.shape)))
    if isinstance(real, torch.nn.Parameter):
        return Constant(_long(real), is_generic=True, origin=origin)
    return Constant(_long(real), value=_readable(real), origin=origin)


def _readable(real: Tensor) -> Tensor | None:
    """The numbers of a buffer or a constant that are few enough to look at."""
    if real.device.type == "meta" or real.numel() > _LARGEST or real.requires_grad:
        return None
    if real.layout is not torch.strided or real.is_quantized:
        return None
    return real.detach().cpu()


def given(tensor: Tensor, position: int) -> None:
    """Another input of the model, of which no number is known."""
    mark(tensor, Constant(_long(tensor), origin=hash((position, tuple(tensor.shape)))))


def mark(tensor: Tensor, constant: Constant) -> None:
    """Remember what is known on the tensor itself."""
    tensor._atrous_constant = constant  # type: ignore[attr-defined]  # our own mark


def record(run: Run, call: Call, name: str, *, is_random: bool) -> None:
    """Follow an op none of whose tensors depends on the input."""
    known = [constant_of(run, t) or Constant(_long(t)) for t in call.tensors()]
    written = written_tensors(call)
    produced = [t for t in outputs(call.out) if not any(t is w for w in written)]
    origin = hash((name, _shapes(call), tuple(c.origin for c in known)))
    is_noise = is_random or any(c.is_noise for c in known)
    if name in FILLED and produced:
        fill = FILLED[name]
        mark(produced[0], _filled(produced[0], call["fill_value"] if fill is None else fill))
        return
    if name in UNWRITTEN and produced:
        mark(produced[0], Constant(frozenset(), origin=origin))
        return
    fill = _refilled(call, name)
    if fill is not None and not _has_views(call.first):
        run.spoiled.pop(call.first.untyped_storage()._cdata, None)
        mark(call.first, _filled(call.first, fill))
        return
    values = None if is_noise else _compute(run, call, known, written)
    if values is not None:
        is_new = not call.func.is_view or all(c.is_own for c in known)
        for tensor, value in zip(outputs(call.out), values, strict=False):
            if not any(tensor is w for w in written):
                is_own = is_new and 0 not in value.stride()
                mark(tensor, Constant(_long(tensor), value=value, is_own=is_own, origin=origin))
        return
    generic, support = _genericity(call, name, known)
    for tensor in produced:
        dims = _structure(call, name, known, tensor)
        mark(
            tensor,
            Constant(dims, is_noise=is_noise, is_generic=generic, support=support, origin=origin),
        )
    for tensor in written:
        spoil(
            run,
            tensor,
            Constant(_long(tensor), is_noise=is_noise, support=support, origin=origin),
        )


def _refilled(call: Call, name: str) -> Any:
    """The number that every element of a tensor is set to; None if it is not set."""
    if name == "zero_":
        return 0
    value = call["value"] if name == "fill_" else None
    return value if isinstance(value, int | float | bool) else None


def _has_views(tensor: Tensor) -> bool:
    return hasattr(tensor, "_atrous_view") or hasattr(tensor, "_atrous_views")


def mark_result(call: Call, name: str, tensor: Tensor) -> None:
    """What an op has made that looks at the shape of its arguments only, or overwrites them."""
    base = name.removesuffix("_")
    fill = FILLED.get(base, 0 if base == "zero" else None)
    if base in ("full", "full_like", "new_full"):
        fill = call["fill_value"]
    elif base == "fill":
        fill = call["value"]
    if isinstance(fill, int | float | bool) and not call.func.is_view:
        mark(tensor, _filled(tensor, fill))
        return
    is_noise = torch.Tag.nondeterministic_seeded in call.func.tags
    varies = frozenset[int]() if base in UNWRITTEN else _long(tensor)
    mark(tensor, Constant(varies, is_noise=is_noise, origin=hash((name, tuple(tensor.shape)))))


def spoil(run: Run, tensor: Tensor, constant: Constant) -> None:
    """Nothing is known any more of what shares the memory of a tensor, as long as it lives."""
    storage = tensor.untyped_storage()
    key = storage._cdata
    run.spoiled[key] = constant
    if key not in run.ends:
        run.ends[key] = ref(storage, partial(_forget_memory, run, key))


def _forget_memory(run: Run, key: int, _: object) -> None:
    run.spoiled.pop(key, None)
    run.ends.pop(key, None)


def _filled(tensor: Tensor, fill: Any) -> Constant:
    shape = tensor.shape
    if not isinstance(fill, int | float | bool):
        return Constant(frozenset())
    if tensor.numel() <= _ALIASED:
        return Constant(frozenset(), value=torch.full(shape, fill, dtype=tensor.dtype), is_own=True)
    one = torch.full((1,) * len(shape), fill, dtype=tensor.dtype)
    return Constant(frozenset(), value=one.expand(shape))


def _compute(
    run: Run, call: Call, known: list[Constant], written: list[Tensor]
) -> list[Tensor] | None:
    """The op done for real on what its tensors hold; None if that is not known or too much."""
    for tensor in written:
        constant = constant_of(run, tensor)
        if constant is None or not constant.is_own:
            return None
    if any(c.value is None for c in known):
        return None
    is_large = sum(prod(t.shape) for t in outputs(call.out)) > _LARGEST
    if is_large and (not call.is_pointwise or written or any(c.varying() for c in known)):
        return None

    def real(argument: Any) -> Any:
        if isinstance(argument, Tensor):
            constant = constant_of(run, argument)
            if is_large and constant is not None and constant.value is not None:
                return constant.value[(slice(1),) * argument.ndim]  # one value everywhere
            return argument if constant is None else constant.value
        if isinstance(argument, list | tuple):
            return type(argument)(real(item) for item in argument)
        return torch.device("cpu") if isinstance(argument, torch.device) else argument

    kwargs = {key: real(value) for key, value in call.kwargs.items() if key != "pin_memory"}
    try:
        out = call.func(*(real(argument) for argument in call.args), **kwargs)
    except (RuntimeError, TypeError, ValueError, IndexError, NotImplementedError):
        return None  # then only its shape is known, which proves less but nothing wrong
    results = outputs(out)
    if len(results) != len(outputs(call.out)):
        return None
    if is_large:
        return [r.expand(t.shape) for r, t in zip(results, outputs(call.out), strict=True)]
    return results


def _genericity(call: Call, name: str, known: list[Constant]) -> tuple[bool, Tensor | None]:
    """Whether the result of an op on learned numbers is free of zeros, and if not, where."""
    if name.removesuffix("_") == "mul":
        if len(known) == 2:
            return _masked(known)
        return bool(call["other"]) and known[0].is_generic, known[0].support
    if name.removesuffix("_") in _GENERIC:
        kept = [c for c in known if c.is_generic]
        return bool(kept) and all(c.support is None for c in kept), None
    return False, None


_GENERIC: Final = _KEEPS_PLACE | {
    *["view", "_unsafe_view", "reshape", "permute", "transpose", "t", "expand", "unsqueeze"],
    *["squeeze", "slice", "select", "split", "split_with_sizes", "unbind", "flip", "repeat"],
    *["add", "sub", "div", "rsub", "sqrt", "rsqrt", "exp", "softplus", "sigmoid", "softmax"],
    *["_softmax", "mean", "sum", "var_mean", "std_mean", "var", "std", "linalg_vector_norm"],
    *["native_batch_norm", "_weight_norm_interface", "norm", "mm", "bmm", "addmm", "mv", "pow"],
    *["clamp_min", "reciprocal", "tanh", "index", "index_select", "dot", "vdot", "square"],
    *["upsample_bicubic2d", "upsample_bilinear2d", "_upsample_bicubic2d_aa", "embedding"],
}


def _masked(known: list[Constant]) -> tuple[bool, Tensor | None]:
    """A product: zero where a factor of known numbers is."""
    support: Tensor | None = None
    for factor in known:
        if factor.is_generic:
            part = factor.support
        elif factor.value is not None:
            part = factor.value != 0
            part = None if bool(part.all()) else part
        else:
            return False, None
        if part is not None:
            support = part if support is None else support & part
    return any(c.is_generic for c in known), support


def _structure(call: Call, name: str, known: list[Constant], out: Tensor) -> frozenset[int]:
    """Dimensions along which a result may vary."""
    long = _long(out)
    tensors = call.tensors()
    is_shift = name in _KEEPS_PLACE or name == "expand" or call.is_pointwise
    if not tensors or not known:
        return long
    varying = [c.varying() for c in known]
    if is_shift:
        return long & {
            d + out.ndim - t.ndim for t, dims in zip(tensors, varying, strict=True) for d in dims
        }
    if call.func.is_view and not any(varying):
        return frozenset()
    return long


def written_tensors(call: Call) -> list[Tensor]:
    """Tensors that an op writes to."""
    found = []
    for name in written_arguments(call.func):
        value = call[name]
        items = value if isinstance(value, list | tuple) else [value]
        found += [item for item in items if isinstance(item, Tensor)]
    return found


def _shapes(call: Call) -> tuple[Any, ...]:
    """Everything but values that an op was given."""
    parts: list[Any] = []
    for value in (*call.args, *call.kwargs.values()):
        if isinstance(value, Tensor):
            parts.append(tuple(value.shape))
        elif isinstance(value, int | float | bool | str):
            parts.append(value)
        elif isinstance(value, list | tuple):
            parts.append(tuple(v for v in value if isinstance(v, int | float)))
    return tuple(parts)
