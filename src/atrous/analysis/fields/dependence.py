"""What a tensor knows about the input it came from, and the bookkeeping of one analysis run."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from torch import Tensor

from atrous.analysis.fields.axes import (
    FAR,
    Array,
    Axis,
    Shape,
    align,
    check_affordable,
    reduce,
)

NoteKind = Literal[
    "global",
    "data-dependent",
    "unknown",
    "shift-variant",
    "masked",
    "cancels",
    "wraps",
    "size-dependent",
]
BOUNDS: Final = frozenset(["data-dependent", "unknown", "masked", "cancels", "size-dependent"])
"""Kinds of notes that make a field a bound."""


Step = tuple[str, str, tuple[Any, ...], Shape, Shape]
"""Op, layer, its numbers where they must not depend on the size, and the shape that came out; of
an op that resamples, also the shape that went in."""

Guess = tuple[tuple[float, Fraction], ...]
"""Field size and jump per axis by the textbook recursion."""


@dataclass(frozen=True, slots=True)
class Note:
    """Something about an op that the field alone does not show.

    `step` counts the ops of the run, and `line` is where it is in the user's code, such as
    `model.py:12`; empty if that was not found. Kinds: `global` sees the whole input along an axis;
    `data-dependent` reads positions that the values choose, so the field holds all it may read;
    `unknown` is an op without a rule, taken to see everything; `shift-variant` treats equal
    content at different places differently; `masked` multiplies by or chooses with a constant that
    may be zero, so less may be seen; `cancels` subtracts what may be the same on both sides, so
    less may be seen; `wraps` joins opposite borders; `size-dependent` is another
    op, or one of another reach, at a larger size, so the field is that of the size asked for only.
    """

    kind: NoteKind
    op: str
    layer: str
    step: int
    line: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Misalignment:
    """Two paths that meet in an op with fields centred some pixels apart."""

    op: str
    layer: str
    axis: int
    offset: float


@dataclass(frozen=True, slots=True, eq=False)
class Dependence:
    """Sets of input positions that every element of a tensor depends on, one array per input axis.

    `guess` holds (field size, jump) per axis by the textbook recursion; it only proposes a size to
    run at. `is_solid` promises that no set has holes, so that its interval says everything; False
    promises nothing.
    """

    axes: tuple[Array, ...]
    notes: frozenset[Note]
    guess: Guess
    is_solid: bool = True

    def map(self, change: Callable[[Axis, Array], Array], run: "Run") -> "Dependence":
        """Apply the same change to the array of every input axis."""
        axes = tuple(change(axis, v) for axis, v in zip(run.axes, self.axes, strict=True))
        return replace(self, axes=axes)

    def fixed_forgotten(self) -> "Dependence":
        """The same, without the notes that it does not grow with the image: for border rows."""
        kept = frozenset(note for note in self.notes if note.kind != "size-dependent")
        return self if len(kept) == len(self.notes) else replace(self, notes=kept)

    def noting(self, *notes: Note) -> "Dependence":
        return replace(self, notes=self.notes.union(notes))


@dataclass(slots=True, eq=False)
class Run:
    """State of one run: the input axes, the op being handled, and what was noticed on the way.

    A thorough run also looks for holes and for paths that meet off centre. `largest` is the length
    of the largest array that was needed: what a run at a larger size will cost.

    Attributes:
        is_fractional: Whether an op resampled by a factor that is neither whole nor a whole
            number's inverse.
        weights: Memory of the model's own tensors, by its address.
        spoiled: Memory of constants that were written to, and what is known of it now.
        ends: Of spoiled memory, which may be used again for another tensor.
        meetings: What constants and numbers met the input's maps, to be compared between sizes.
        trail: Op, layer and shape of every step, to be compared between sizes.
        expected: The trail of a smaller size, which this run should follow.
        has_strayed: Whether it has come to another op than that trail.
        stray_note: Where.
        tells_values: Whether equal values are told from others, which shows what cancels.
        may_cancel: Whether an op was met for which they should be.
        keys: Numbers of all values that were told apart, by what they came from.
        reshaped: Of those that are views, the value and its shape before any view was taken.
        permuted: Of those that are permuted, the value before, and the order of its dimensions.
    """

    axes: tuple[Axis, ...]
    is_thorough: bool = False
    op: str = ""
    layer: str = ""
    step: int = 0
    largest: int = 0
    is_fractional: bool = False
    weights: frozenset[int] = frozenset()
    spoiled: dict[int, Any] = field(default_factory=dict)
    ends: dict[int, Any] = field(default_factory=dict)
    meetings: list[tuple[Any, ...]] = field(default_factory=list)
    trail: list[Step] = field(default_factory=list)
    expected: "Expected | None" = None
    has_strayed: bool = False
    stray_note: Note | None = None
    tells_values: bool = False
    may_cancel: bool = False
    keys: dict[tuple[Any, ...], int] = field(default_factory=dict)
    reshaped: dict[int, tuple[int, Shape]] = field(default_factory=dict)
    permuted: dict[int, tuple[int, Shape]] = field(default_factory=dict)
    misalignments: list[Misalignment] = field(default_factory=list)

    def note(self, kind: NoteKind) -> Note:
        return Note(kind, self.op, self.layer, self.step, users_line())


_NOT_THE_USERS = ("torch.", "atrous.analysis.", "contextlib", "numpy.", "functools")


def users_line() -> str:
    """Where the code that is running was called from, as `file.py:12`; torch's own left out."""
    frame = sys._getframe(1)
    while frame.f_back is not None:
        name = str(frame.f_globals.get("__name__", ""))
        if not f"{name}.".startswith(_NOT_THE_USERS):
            return f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}"
        if name == "atrous.analysis.tracing.trace" and frame.f_code.co_name == "run":
            return ""
        frame = frame.f_back
    return ""


@dataclass(frozen=True, slots=True)
class Expected:
    """The trail of a run at a smaller size, and by how much the size has grown along each axis."""

    trail: Sequence[Step]
    factors: tuple[float, ...]


def beside(run: Run, shape: Shape) -> Dependence:
    """Another input on the same grid: it sees nothing of the source, but has the same borders."""
    ndim = len(shape)
    first = ndim - len(run.axes)
    arrays = []
    for i, axis in enumerate(run.axes):
        dims = [1] * ndim + [len(axis.empty)]
        dims[first + i] = shape[first + i]
        arrays.append(np.broadcast_to(axis.empty, dims).copy())
    return Dependence(tuple(arrays), frozenset(), ((1.0, Fraction(1)),) * len(run.axes))


def nothing(run: Run, ndim: int) -> Dependence:
    """No position of the input, for what was written over."""
    arrays = tuple(axis.empty.reshape((1,) * ndim + (-1,)) for axis in run.axes)
    return Dependence(arrays, frozenset(), ((1.0, Fraction(1)),) * len(run.axes))


def everything(run: Run, ndim: int) -> Dependence:
    """The whole input, for a tensor of which nothing is known."""
    arrays = []
    for axis in run.axes:
        whole = axis.union.reduce(axis.source(), axis=0)
        arrays.append(whole.reshape((1,) * ndim + (-1,)))
    guess = ((1.0, Fraction(1)),) * len(run.axes)
    return Dependence(tuple(arrays), frozenset([run.note("unknown")]), guess, is_solid=False)


def source(run: Run, ndim: int) -> Dependence:
    """The input itself, `(B, C, *S)`: position i of an axis sees position i of that axis."""
    first = ndim - len(run.axes)
    arrays = []
    for i, axis in enumerate(run.axes):
        rows = axis.source()
        shape = [1] * ndim + [rows.shape[-1]]
        shape[first + i] = axis.length
        arrays.append(rows.reshape(shape))
    return Dependence(tuple(arrays), frozenset(), ((1.0, Fraction(1)),) * len(run.axes))


def merge(run: Run, parts: Sequence[Dependence | None], ndim: int) -> Dependence | None:
    """Union of tensors that meet element by element, after broadcasting."""
    known: list[Dependence] = []
    for part in parts:
        if part is not None and not any(part is other for other in known):
            known.append(part)
    if not known:
        return None
    if len(known) == 1:
        only = known[0]
        if all(v.ndim == ndim + 1 for v in only.axes):
            return only
        return only.map(lambda _, v: align(v, ndim), run)
    if run.is_thorough:
        check_centres(run, known, ndim)
    is_solid = all(part.is_solid for part in known)
    arrays = []
    for i, axis in enumerate(run.axes):
        v = align(known[0].axes[i], ndim)
        for other in known[1:]:
            w = align(other.axes[i], ndim)
            if v is not w:
                check_affordable(np.broadcast_shapes(v.shape, w.shape))
                is_solid = is_solid and run.is_thorough and touch(axis, v, w)
                v = axis.union(v, w)
        arrays.append(v)
    return Dependence(tuple(arrays), join_notes(known), join_guesses(known), is_solid)


def touch(axis: Axis, v: Array, w: Array) -> bool:
    """Whether every two intervals that meet here overlap or are neighbours."""
    if not axis.is_interval:
        return False
    gaps = v[..., :2] + w[..., 1::-1]  # the first of either less the last of the other
    return not gaps.size or bool(gaps.max() <= 1)


def touch_along(axis: Axis, v: Array, dim: int, step: int) -> bool:
    """Whether entries `step` apart along a dimension overlap or are neighbours."""
    if v.shape[dim] <= step or step == 0:
        return True
    before = (slice(None),) * dim
    return touch(axis, v[(*before, slice(step, None))], v[(*before, slice(None, -step))])


def join_notes(parts: Sequence[Dependence]) -> frozenset[Note]:
    """All notes of all parts."""
    notes = parts[0].notes
    for part in parts[1:]:
        if part.notes is not notes and part.notes:
            notes = notes | part.notes
    return notes


def join_guesses(parts: Sequence[Dependence]) -> Guess:
    """The widest guess; the parts meet on one grid, so the finest jump holds."""
    guesses = [part.guess for part in parts]
    if all(guess is guesses[0] or guess == guesses[0] for guess in guesses):
        return guesses[0]
    return tuple(
        (max(g[i][0] for g in guesses), min(g[i][1] for g in guesses))
        for i in range(len(guesses[0]))
    )


def reduce_dims(run: Run, dep: Dependence, dims: Sequence[int]) -> Dependence:
    """Union along dimensions, kept with length 1; notes an op that thereby sees a whole axis."""
    arrays = []
    is_global = False
    is_solid = dep.is_solid
    is_mixed = any(note.kind == "global" for note in dep.notes)
    for axis, v in zip(run.axes, dep.axes, strict=True):
        w = reduce(axis, v, dims)
        if w is not v and is_solid:
            is_solid = run.is_thorough and all(touch_along(axis, v, d, 1) for d in dims)
        if w is not v and axis.is_interval and not is_global:
            is_global = _becomes_global(axis, v, w, is_mixed=is_mixed)
        arrays.append(w)
    if not is_global and all(w is v for w, v in zip(arrays, dep.axes, strict=True)):
        return dep
    notes = dep.notes | {run.note("global")} if is_global else dep.notes
    return Dependence(tuple(arrays), notes, dep.guess, is_solid)


def collapse(run: Run, dep: Dependence) -> Dependence:
    """Union of everything, as an array that any tensor broadcasts."""
    total = reduce_dims(run, dep, range(dep.axes[0].ndim - 1))
    return total.map(lambda _, v: v.reshape(v.shape[-1:]), run)


def _becomes_global(axis: Axis, v: Array, w: Array, *, is_mixed: bool) -> bool:
    """Whether a reduction from `v` to `w` leaves no position of the axis apart.

    Where other dimensions than the channels are left, such as windows, it is local, even if on a
    small input every window sees all there is. `is_mixed` tells that an earlier op was global.
    """
    is_apart = any(n > 1 for dim, n in enumerate(w.shape[:-1]) if dim != 1)
    if is_apart:
        return False
    if bool((w[..., 0] >= FAR).all()):  # of another input on the same grid, tiles hold a part only
        return True
    if not bool(_whole(axis, w).all()):
        return False
    return not (is_mixed and bool(_whole(axis, v).all()))


def _whole(axis: Axis, v: Array) -> np.ndarray:
    return (v[..., 0] <= 0) & (v[..., 1] <= 1 - axis.length)


def check_centres(run: Run, parts: Sequence[Dependence], ndim: int) -> None:
    """Note where fields that meet here are centred apart, on average over the middle."""
    if ndim != len(run.axes) + 2:  # not a feature map
        return
    for i in range(len(run.axes)):
        dim = i + 2
        first = align(parts[0].axes[i], ndim)
        for other in parts[1:]:
            offset = _centre_offset(first, align(other.axes[i], ndim), dim)
            if offset is not None and abs(offset) >= 0.25:
                found = Misalignment(run.op, run.layer, i, offset)
                if found not in run.misalignments:
                    run.misalignments.append(found)


def _centre_offset(v: Array, w: Array, dim: int) -> float | None:
    """Mean distance of the centres of `w` from those of `v`, where neither left the map."""
    if v.shape[dim] == 1 or w.shape[dim] == 1:
        return None
    # Each by its own mean: what is concatenated may have any number of channels.
    (clear, centres), (others_clear, others_centres) = _by_position(v, dim), _by_position(w, dim)
    at = np.flatnonzero(clear & others_clear)
    if len(at) < 2 or at[-1] - at[0] + 1 != len(at):
        return None
    # Upsampled paths swing around the centre with a period that is nearly always a power of two.
    count = 1 << (len(at).bit_length() - 1)
    middle = at[(len(at) - count) // 2 :][:count]
    return float((others_centres - centres)[middle].mean()) / 2


def _by_position(v: Array, dim: int) -> tuple[np.ndarray, np.ndarray]:
    """Whether fields left the map nowhere, and twice their mean centre, by position of `dim`."""
    others = tuple(d for d in range(v.ndim - 1) if d != dim)
    twice_centres = v[..., 0].astype(np.int64) - v[..., 1]
    return (v[..., 2] == 1).all(axis=others), twice_centres.mean(axis=others)


def of(tensor: Tensor) -> Dependence | None:
    """What is known of a tensor; None if it does not depend on the input."""
    dependence: Dependence | None = tensor.__dict__.get("_atrous_dependence")
    return dependence


def is_nothing(run: Run, dep: Dependence) -> bool:
    """Whether no element of a tensor sees any of the input."""
    return all(
        bool((v[..., 0] >= FAR).all()) if axis.is_interval else not v[..., :-1].any()
        for axis, v in zip(run.axes, dep.axes, strict=True)
    )


_MARKS: Final = (
    *["_atrous_dependence", "_atrous_constant", "_atrous_value", "_atrous_view", "_atrous_views"],
    *["_atrous_windows", "_atrous_image", "_atrous_serial"],
)
"""What a run writes down on tensors."""


def attach(tensor: Tensor, dependence: Dependence | None) -> None:
    """Remember a dependence on the tensor itself, so that both die together."""
    tensor._atrous_dependence = dependence  # type: ignore[attr-defined]  # our own mark


def forget(tensor: Tensor) -> None:
    """Take off every mark a run has left on a tensor that outlives it."""
    attributes = tensor.__dict__
    for mark in _MARKS:
        attributes.pop(mark, None)
