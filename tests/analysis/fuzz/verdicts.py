"""What is said of a model, against the truth: a list of faults, empty if all is right."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import torch
from tests.analysis.fuzz import costs, oracle, tiles
from tests.analysis.fuzz.case import Case, first_tensor, seeded
from tests.analysis.fuzz.claims import Bound, Claims, ask
from tests.analysis.fuzz.line import Line
from tests.analysis.fuzz.oracle import inputs_of
from tests.analysis.fuzz.residue import differences, snapshot


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong: of which sort, what was said, and what is true."""

    sort: str
    said: str
    truth: str

    def __str__(self) -> str:
        return f"{self.sort}: said {self.said}; truth {self.truth}"


def judge(case: Case) -> list[Fault]:
    """Ask everything about one model and compare with the oracle."""
    model = case.build()
    before, faults = snapshot(model), []

    def after(name: str) -> None:
        nonlocal before
        now = snapshot(model)
        if changed := differences(before, now):
            faults.append(Fault("changed", f"by {name}: {'; '.join(changed[:3])}", "as it was"))
        before = now

    claims = ask(case, model, after)
    faults += [Fault("traceback", f"{k}: {v}", "an answer") for k, v in claims.tracebacks.items()]
    faults += _refusals(case, claims)
    if _returns_nothing(case):
        if claims.seen is not None:
            said = f"{claims.seen.layer}: {claims.seen.field.size}"
            faults.append(Fault("layer", said, "the model returns no tensor"))
        return faults
    faults += _same_outputs(case, model)
    faults += _costs(case, claims)
    if case.is_image and claims.seen is not None:
        faults += _fields(case, claims)
    if case.is_image and claims.halo is not None:
        faults += _halo(case, claims.halo)
    return faults


def _returns_nothing(case: Case) -> bool:
    """Whether no tensor is in what a model returns; one that fails is another matter."""
    model = case.build()
    with suppress(Exception), torch.no_grad():
        return first_tensor(seeded(lambda: model(*inputs_of(case.shapes)))) is None
    return False


def _refusals(case: Case, claims: Claims) -> list[Fault]:
    """A case that runs is not refused; one that may be is not told that its size is at fault."""
    if case.may_refuse:
        return [
            Fault("words", f"{k}: {v[:160]}", "the size is not at fault")
            for k, v in claims.refusals.items()
            if "Check the size" in v
        ]
    return [
        Fault("refused", f"{k}: {v[:160]}", "it runs")
        for k, v in claims.refusals.items()
        if not _is_fair(case, k, v)
    ]


def _is_fair(case: Case, function: str, words: str) -> bool:
    """Without spatial axes, or if the output reads nothing of the input, there is no field."""
    if not case.is_image:
        return function != "profile"
    return "depends on the input" in words and not any(line.size for line in oracle.lines(case))


def _same_outputs(case: Case, model: torch.nn.Module) -> list[Fault]:
    """The model gives, twice, what one gives that was never looked at."""
    fresh = case.build()
    for turn in (1, 2):
        results = []
        for one in (fresh, model):
            inputs = inputs_of(case.shapes)
            try:
                with torch.no_grad():
                    out = first_tensor(seeded(lambda one=one, inputs=inputs: one(*inputs)))
            except Exception as error:
                out = type(error).__name__
            results.append(out)
        expected, found = results
        if isinstance(expected, str) and not case.may_refuse:
            raise ValueError(f"{case.kind} itself fails: {expected}")
        if type(expected) is not type(found):
            return [Fault("outputs", f"call {turn}: {type(found).__name__}", "as before")]
        if isinstance(expected, torch.Tensor) and not torch.equal(
            expected.nan_to_num(), found.nan_to_num()
        ):
            return [Fault("outputs", f"call {turn}: other numbers", "as before")]
    return []


def _costs(case: Case, claims: Claims) -> list[Fault]:
    if claims.macs is None:
        return []
    truth = costs.macs(case)
    if claims.counts_all and claims.macs != truth:
        return [Fault("MACs", f"{claims.macs:,}, all", f"{truth:,}")]
    if claims.macs > truth and case.macs is not None:
        return [Fault("MACs", f"at least {claims.macs:,}", f"{truth:,}")]
    if case.counts and not claims.counts_all:
        return [Fault("needless", f"at least {claims.macs:,}", f"{truth:,}, all")]
    return []


def _fields(case: Case, claims: Claims) -> list[Fault]:
    seen = claims.seen
    faults = []
    if not seen.layer.startswith("output"):
        faults.append(Fault("layer", seen.layer, "the output"))
    for axis in range(len(case.lengths)):
        line = oracle.line(case, axis)
        if line.middle_size is None and any(note.kind == "wraps" for note in seen.notes):
            continue  # so short that every output reads across the seam: a ring has no first place
        wrong = _line_faults(case, axis, line, seen.field, claims.bound)
        if wrong:  # look again before it is called wrong: a maximum may hide what is read
            line = oracle.line(case, axis, (*oracle.DRAWS, *oracle.MORE_DRAWS))
            wrong = _line_faults(case, axis, line, seen.field, claims.bound)
        faults += [Fault(f.sort, f"axis {axis}: {f.said}", f.truth) for f in wrong]
    return faults


def _line_faults(case: Case, axis: int, line: Line, field: Any, bound: Bound) -> list[Fault]:
    size, extent = field.size[axis], field.extent[axis]
    said = f"{size}, {extent}, {bound}"
    truth = f"{line.middle_size or line.size} of {line.length}"
    if bound == "a bound":
        return []
    if bound == "at most" or extent == "whole":
        too_small = size < (line.middle_size or line.size)
        is_wrong = bound == "exact" and not _is_whole(case, axis, line, size)
        return [Fault("field", said, truth)] if too_small or is_wrong else []
    if bound == "at least" or extent == "cut":
        largest = line.middle_size if line.middle_size is not None and case.scales else line.length
        if field.jump[axis] is None:  # of fields that differ from place to place, the largest
            largest = max(largest, line.size)
        return [Fault("bound", said, truth)] if size > largest else []
    if line.middle_size is None:  # the border is too near: the image shows no more than this
        is_hidden = case.scales and line.size <= size and (line.is_small or size > line.length / 3)
        if not is_hidden and case.scales:  # padding by what is far off may move the middle
            is_hidden = oracle.on_twice(case, axis).middle_size == size
        return [] if is_hidden else [Fault("field", said, truth)]
    if size != line.middle_size:
        return [Fault("field", said, truth)]
    return _finer_faults(axis, line, field)


def _is_whole(case: Case, axis: int, line: Line, size: int) -> bool:
    """Whether it is right that outputs read all of the input, however long it is."""
    return line.size == size == line.length and not oracle.is_local(case, axis, line)


def _finer_faults(axis: int, line: Line, field: Any) -> list[Fault]:
    """Holes, jump, start and centre of a field whose size is right."""
    faults = []
    seen = field.seen[axis]
    most = max(line.counts)  # where phases recur, all of them are in the middle
    if seen is not None and (seen != most if line.jump is not None else seen < most):
        faults.append(Fault("holes", f"{seen} read", f"{sorted(line.counts)}"))
    for name in ("jump", "start", "centre"):
        said, truth = getattr(field, name)[axis], getattr(line, name)
        if said is not None and truth is not None and abs(said - float(truth)) > 1e-9:
            faults.append(Fault(name, f"{said}", f"{truth}"))
    return faults


def _halo(case: Case, halo: Any) -> list[Fault]:
    if not halo.is_finite:
        if not case.tiles:
            return []
        ops: Sequence[str] = [f"{note.kind} {note.op}" for note in halo.blockers]
        return [Fault("no halo", f"none, for {', '.join(ops)}", "some halo is right")]
    fault = tiles.tile_fault(case, halo.pixels, halo.alignment)
    if fault is None:
        return []
    return [Fault("halo", f"{halo.pixels} at {halo.alignment}", fault)]
