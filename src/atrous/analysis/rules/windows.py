"""Fields through convolution, pooling, padding and interpolation."""

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any, TypeAlias

import numpy as np
from torch import Tensor

from atrous.analysis.fields import dependence
from atrous.analysis.fields.axes import Array, Axis, align, gather, reduce
from atrous.analysis.fields.call import Call
from atrous.analysis.fields.constants import constant_of
from atrous.analysis.fields.dependence import Dependence, Guess, Run, merge, touch_along
from atrous.analysis.fields.taps import (
    PadMode,
    Resampling,
    Taps,
    adaptive_taps,
    antialias_taps,
    pad_taps,
    resample_taps,
    transposed_taps,
    window_taps,
)

Pooled: TypeAlias = Dependence | tuple[Dependence, Dependence] | None
"""Of a pooled map alone, or of the map and of the indices of its maxima."""


def along(
    run: Run, dep: Dependence, taps: Sequence[Taps], guess: Guess | None = None
) -> Dependence:
    """Gather along the last dimensions, one `Taps` for each."""
    first = dep.axes[0].ndim - 1 - len(taps)
    is_solid = dep.is_solid and run.is_thorough

    def each(axis: Axis, v: Array) -> Array:
        nonlocal is_solid
        for i, tap in enumerate(taps):
            is_solid = is_solid and touch_along(axis, v, first + i, tap.step)
            v = gather(axis, v, first + i, tap)
        return v

    axes = dep.map(each, run).axes
    return Dependence(axes, dep.notes, dep.guess if guess is None else guess, is_solid)


def _listed(value: Any, count: int, default: int | None = None) -> list[int]:
    """An int list argument of torch: may be empty (take the default) or of length 1 (for all)."""
    values = list(value) if isinstance(value, list | tuple) else [value]
    if not values or values == [None]:
        values = [default]
    return values * count if len(values) == 1 else values


def _guess_window(
    guess: Guess, kernel: list[int], stride: list[int], dilation: list[int], *, is_transposed: bool
) -> Guess:
    """The textbook recursion: the field grows by `dilation (kernel - 1)` jumps."""
    if len(guess) != len(kernel):
        return guess
    grown = []
    for (size, jump), k, s, d in zip(guess, kernel, stride, dilation, strict=True):
        span = d * (k - 1)
        grown.append(
            (size + span / s * float(jump), jump / s)
            if is_transposed
            else (size + span * float(jump), jump * s)
        )
    return tuple(grown)


def _mix_channels(run: Run, dep: Dependence, groups: int, outputs: int) -> Dependence:
    """Every output channel sees all input channels of its group (dimension 1)."""
    if all(v.shape[1] == 1 for v in dep.axes):
        return dep
    is_solid = dep.is_solid and run.is_thorough

    def each(axis: Axis, v: Array) -> Array:
        nonlocal is_solid
        if v.shape[1] == 1:
            return v
        is_solid = is_solid and touch_along(axis, v, 1, 1)
        if groups == 1:
            return reduce(axis, v, [1])
        split = v.reshape(v.shape[0], groups, v.shape[1] // groups, *v.shape[2:])
        return np.repeat(axis.union.reduce(split, axis=2), outputs // groups, axis=1)

    return Dependence(dep.map(each, run).axes, dep.notes, dep.guess, is_solid)


def convolution(call: Call) -> Dependence | None:
    """Any `aten.convolution`, transposed or not."""
    dep, run = call.dep("input"), call.run
    weight = call["weight"]
    spatial = weight.ndim - 2
    before, after = call.shape("input")[2:], call.out_shape[2:]
    kernel = list(weight.shape[2:])
    stride = _listed(call["stride"], spatial)
    padding = _listed(call["padding"], spatial)
    dilation = _listed(call["dilation"], spatial)
    is_transposed = bool(call["transposed"])
    result = None
    if dep is not None:
        dep = _mix_channels(run, dep, call["groups"], call.out_shape[1])
        make = transposed_taps if is_transposed else window_taps
        used = _used_taps(run, weight)
        if used is None:
            dep = dep.noting(run.note("masked"))
            used = [None] * spatial
        elif used != [None] * spatial:
            dep = replace(dep, is_solid=False)
        taps = [
            make(n, m, kernel=k, stride=s, padding=p, dilation=d, used=u)
            for n, m, k, s, p, d, u in zip(
                before, after, kernel, stride, padding, dilation, used, strict=True
            )
        ]
        guess = _guess_window(dep.guess, kernel, stride, dilation, is_transposed=is_transposed)
        result = along(run, dep, taps, guess)
    if dependence.of(weight) is None and call.dep("bias") is None:
        return result
    return merge(run, [result, *_dynamic(call, spatial)], len(call.out_shape))


def _used_taps(run: Run, weight: Tensor) -> list[tuple[int, ...] | None] | None:
    """Per axis, the rows of a kernel that are not all zero; None where that is not known.

    Learned weights have no zeros by construction; a mask that they are multiplied by may, and so
    may a fixed kernel.
    """
    spatial = weight.ndim - 2
    if dependence.of(weight) is not None:
        return [None] * spatial
    constant = constant_of(run, weight)
    if constant is None:
        return None
    support = constant.support if constant.value is None else constant.value != 0
    if support is None:
        return [None] * spatial if constant.is_generic else None
    used: list[tuple[int, ...] | None] = []
    for d in range(2, weight.ndim):
        rows = support.expand(weight.shape).movedim(d, 0).reshape(weight.shape[d], -1).any(1)
        used.append(None if bool(rows.all()) else tuple(rows.nonzero().flatten().tolist()))
    return used


def _dynamic(call: Call, spatial: int) -> list[Dependence | None]:
    """Weights and biases that are themselves computed from the input."""
    parts: list[Dependence | None] = []
    for name in ("weight", "bias"):
        dep = call.dep(name)
        if dep is None:
            parts.append(None)
        elif call["transposed"] and name == "weight":
            parts.append(dependence.collapse(call.run, dep))
        else:
            rest = range(1, dep.axes[0].ndim - 1)
            channels = dependence.reduce_dims(call.run, dep, rest)
            parts.append(
                channels.map(
                    lambda _, v: v.reshape(v.shape[0], *(1,) * spatial, v.shape[-1]), call.run
                )
            )
    return parts


def pool(call: Call) -> Pooled:
    """Average and maximum pooling of any kernel, stride, padding, dilation and rounding."""
    dep = dependence.of(call.first)
    if dep is None:
        return None
    spatial = _spatial(call)
    kernel = _listed(call["kernel_size"], spatial)
    stride = _listed(call["stride"], spatial)
    if stride == [None] * spatial:
        stride = kernel
    padding = _listed(call["padding"], spatial)
    dilation = _listed(call["dilation"], spatial) if call.has("dilation") else [1] * spatial
    before, after = tuple(call.first.shape)[-spatial:], call.out_shape[-spatial:]
    settings = list(zip(kernel, stride, padding, dilation, strict=True))
    taps = [
        window_taps(n, m, kernel=k, stride=s, padding=p, dilation=d)
        for n, m, (k, s, p, d) in zip(before, after, settings, strict=True)
    ]
    guess = _guess_window(dep.guess, kernel, stride, dilation, is_transposed=False)
    found = along(call.run, dep, taps, guess)
    if isinstance(call.out, tuple):
        # Unpooling puts every value back somewhere in its window: it needs the window's settings.
        call.out[1]._atrous_windows = settings, found
        return found, _numbered(call, found)
    return found


def _numbered(call: Call, dep: Dependence) -> Dependence:
    """Indices of maxima: they count from the corner of the map, so a tile's are others."""
    return dep.noting(call.run.note("shift-variant"))


def _spatial(call: Call) -> int:
    name: str = call.func._schema.name
    return 3 if "3d" in name else 1 if "1d" in name else 2


def adaptive_pool(call: Call) -> Pooled:
    """Adaptive average and maximum pooling: as many windows as outputs, of nearly equal length."""
    dep = dependence.of(call.first)
    if dep is None:
        return None
    spatial = _spatial(call)
    before, after = tuple(call.first.shape)[-spatial:], call.out_shape[-spatial:]
    first = call.first.ndim - spatial
    taps, guess = [], list(dep.guess)
    for i, (n, m) in enumerate(zip(before, after, strict=True)):
        if m == 1:
            dep = dependence.reduce_dims(call.run, dep, [first + i])
        else:
            scale = Fraction(n, m)
            call.run.is_fractional |= scale.numerator != 1 and scale.denominator != 1
            if n % m and not _repeats(scale, n):
                dep = dep.noting(call.run.note("shift-variant"))
            if len(guess) == spatial:
                size, jump = guess[i]
                guess[i] = (size + float(jump) * (n // m), jump * scale)
        taps.append(adaptive_taps(n, m))
    found = along(call.run, dep, taps, tuple(guess))
    return (found, _numbered(call, found)) if isinstance(call.out, tuple) else found


def unpool(call: Call) -> Dependence | None:
    """Maximum unpooling: a value may land anywhere in the window it came from."""
    dep, indices = call.dep("self"), call["indices"]
    # Put back into a map of the same size, they name the same places in a tile as in the whole.
    settings, places = getattr(indices, "_atrous_windows", (None, dependence.of(indices)))
    parts = [d for d in (dep, places) if d is not None]
    both = merge(call.run, parts, call.first.ndim)
    if both is None:
        return None
    both = both.noting(call.run.note("data-dependent"))
    if settings is None:
        return dependence.collapse(call.run, both)
    spatial = len(settings)
    before, after = tuple(call.first.shape)[-spatial:], call.out_shape[-spatial:]
    taps = [
        transposed_taps(n, m, kernel=k, stride=s, padding=p, dilation=d)
        for n, m, (k, s, p, d) in zip(before, after, settings, strict=True)
    ]
    kernel, stride, _, dilation = (list(column) for column in zip(*settings, strict=True))
    return along(
        call.run,
        both,
        taps,
        _guess_window(both.guess, kernel, stride, dilation, is_transposed=True),
    )


PAD_MODES: dict[str, PadMode] = {
    "constant": "constant",
    "reflection": "reflect",
    "replication": "replicate",
}


def pad(call: Call) -> Dependence | None:
    """Constant, reflected and repeated borders, and crops by negative padding."""
    dep = dependence.of(call.first)
    if dep is None:
        return None
    amounts = call["pad"] if call.has("pad") else call["padding"]
    mode = PAD_MODES[call.func._schema.name.removeprefix("aten::").partition("_")[0]]
    pairs = list(zip(amounts[::2], amounts[1::2], strict=True))[::-1]
    before = tuple(call.first.shape)[-len(pairs) :] if pairs else ()
    first = call.first.ndim - len(pairs)
    taps = []
    for dim, (n, (low, high)) in enumerate(zip(before, pairs, strict=True), first):
        # Zeros beside the channels are no border: what they are joined to sees no less for them.
        is_border = any(align(v, call.first.ndim).shape[dim] > 1 for v in dep.axes)
        taps.append(pad_taps(n, low, high, mode, is_border=is_border))
    return along(call.run, dep, taps)


def resample(call: Call) -> Dependence | None:
    """Nearest, linear and cubic interpolation in one to three dimensions."""
    dep = dependence.of(call.first)
    if dep is None:
        return None
    spatial = call.first.ndim - 2
    before, after = tuple(call.first.shape)[2:], call.out_shape[2:]
    align_corners = bool(call["align_corners"]) if call.has("align_corners") else False
    name = call.func._schema.name
    taps, guess = [], []
    is_even = True
    for i, (n, m) in enumerate(zip(before, after, strict=True)):
        scale = _scale(call, i, spatial, n, m)
        taps.append(_resample_taps(name, n, m, scale, align_corners))
        is_even &= n == m or (not align_corners and _repeats(scale, n))
        call.run.is_fractional |= scale.numerator != 1 and scale.denominator != 1
        size, jump = dep.guess[i] if spatial == len(dep.guess) else (1.0, Fraction(1))
        guess.append((size + float(jump), jump * scale))
    if not is_even:
        dep = dep.noting(call.run.note("shift-variant"))
    return along(call.run, dep, taps, tuple(guess) if spatial == len(dep.guess) else None)


def _repeats(scale: Fraction, length: int) -> bool:
    """Whether the phases of a resampling recur often enough to be a grid."""
    p, q = scale.numerator, scale.denominator
    return p == 1 or q == 1 or 4 * p <= length


def _resample_taps(name: str, n: int, m: int, scale: Fraction, align_corners: bool) -> Taps:
    kind: Resampling = (
        "nearest-exact"
        if "nearest_exact" in name
        else "nearest"
        if "nearest" in name
        else "cubic"
        if "cubic" in name
        else "linear"
    )
    if name.endswith("_aa") and (kind == "linear" or kind == "cubic"):
        if align_corners and m > 1:
            scale = Fraction(n - 1, m - 1)
        return antialias_taps(n, m, kind=kind, scale=scale)
    return resample_taps(n, m, kind=kind, scale=scale, align_corners=align_corners)


def _scale(call: Call, axis: int, spatial: int, n: int, m: int) -> Fraction:
    """Input samples per output sample: from the caller's factor, else from the lengths."""
    names = {1: ("scales",), 2: ("scales_h", "scales_w"), 3: ("scales_d", "scales_h", "scales_w")}
    factor = call[names[spatial][axis]]
    if factor is None or factor <= 0:
        return Fraction(n, m)
    return 1 / Fraction(factor).limit_denominator(1 << 12)
