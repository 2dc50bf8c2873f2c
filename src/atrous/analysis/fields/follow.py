"""Is a larger run of a model the same network? Its ops are compared with those of the first run."""

from fractions import Fraction
from typing import Any, Final

from atrous.analysis.fields.borders import carrier
from atrous.analysis.fields.call import Call
from atrous.analysis.fields.dependence import Dependence, Run, Step

_SETTINGS: Final = frozenset(
    [
        *["convolution", "avg_pool2d", "avg_pool3d", "max_pool2d_with_indices", "unfold"],
        *["max_pool3d_with_indices", "reflection_pad1d", "reflection_pad2d", "reflection_pad3d"],
        *["replication_pad1d", "replication_pad2d", "replication_pad3d", "im2col", "roll"],
        *["pixel_shuffle", "pixel_unshuffle", "channel_shuffle"],
    ]
)
"""Ops whose numbers (kernel, stride, shift) must not depend on the size of the image."""


_FACTORS: Final = ("scales", "scales_d", "scales_h", "scales_w")


def follow(
    run: Run, call: Call, name: str, result: list[Dependence | None]
) -> list[Dependence | None]:
    """Write down a step, and mark what comes out where it is not the step of the smaller run."""
    shape = call.out_shapes[0] if call.out_shapes else ()
    numbers = settings_of(call, name)
    by_length = ("upsample" in name or "adaptive" in name) and not numbers
    before = tuple(call.first.shape) if by_length else ()
    run.trail.append((name, run.layer, numbers, shape, before))
    if run.expected is None:
        return result
    at = len(run.trail) - 1
    same = (
        not run.has_strayed
        and at < len(run.expected.trail)
        and run.expected.trail[at][:3] == run.trail[at][:3]
        and len(run.expected.trail[at][3]) == len(shape)
    )
    if same and not _is_fixed(run, result):
        return result
    run.has_strayed = not same
    if run.stray_note is None or same:
        run.stray_note = run.note("size-dependent")
    note = run.stray_note
    return [None if dep is None else dep.noting(note) for dep in result]


def settings_of(call: Call, name: str) -> tuple[Any, ...]:
    """Numbers of an op that must not depend on the size of the image."""
    if name in _SETTINGS:
        return _numbers(call)
    return tuple(call[key] for key in _FACTORS if call.has(key) and call[key])


def _numbers(call: Call) -> tuple[Any, ...]:
    values = (*call.args, *(call.kwargs[key] for key in sorted(call.kwargs)))
    return tuple(
        tuple(value) if isinstance(value, list | tuple) else value
        for value in values
        if isinstance(value, int | float | list | tuple)
        and not (isinstance(value, list | tuple) and any(hasattr(v, "shape") for v in value))
    )


def _scales(step: Step) -> list[Fraction]:
    """Of a resampling op, positions that went in per position that came out; 0 for a single one."""
    return [
        Fraction(n, m) if m > 1 else Fraction(0)
        for n, m in zip(step[4][2:], step[3][2:], strict=False)
    ]


def _is_fixed(run: Run, result: list[Dependence | None]) -> bool:
    """Whether a map of the image keeps its length although the image has grown."""
    assert run.expected is not None  # the caller has looked
    at = len(run.trail) - 1
    old, new = run.expected.trail[at][3], run.trail[at][3]
    if run.trail[at][4] and _scales(run.expected.trail[at]) != _scales(run.trail[at]):
        return True  # its steps are others, relative to the image
    count = len(run.axes)
    dep = result[0] if result else None
    if len(new) != count + 2 or dep is None:
        return False
    for i, factor in enumerate(run.expected.factors):
        if factor > 1 and 1 < old[2 + i] == new[2 + i]:
            v = dep.axes[i]
            if v.shape[2 + i] > 1 and carrier(run.axes[i], v, count, i) == 2 + i:
                return True
    return False
