"""What is said of one op, against what it reads, what tiles give and what torch counts."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from tests.analysis.fuzz import costs, tiles
from tests.analysis.fuzz.claims import Claims, ask
from tests.analysis.fuzz.residue import differences, snapshot
from tests.analysis.op_database.samples import Sample, samples_of
from tests.analysis.op_database.truth import Reach, reaches

Missing = tuple[str, str, str]
"""Op as the dispatcher names it, what it lacks (field or MACs), and the entry it was met in."""


TURNING = frozenset(
    [
        *["permute", "permute_copy", "transpose", "transpose_copy", "t", "t_copy", "mT", "mH"],
        *["T", "H", "movedim", "moveaxis", "swapaxes", "swapdims"],
    ]
)
"""Entries that give the axes of an image in another order."""


@dataclass
class Result:
    """Verdicts on some ops: how many of each sort, faults in words, and ops without a rule."""

    counts: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    missing: set[Missing] = field(default_factory=set)


def judge(names: list[str]) -> Result:
    """All samples of the named ops of the database."""
    result = Result()
    for sample in samples_of(names):
        _judge(sample, result)
    return result


def _judge(sample: Sample, result: Result) -> None:
    result.counts["samples"] += 1
    reach = reaches(sample)
    if reach is None:
        result.counts["does not run, or returns no tensor"] += 1
        return
    case = sample.case
    model = case.build()
    before = snapshot(model)
    claims = ask(case, model, _nothing)
    faults = [f"{name}: {words}" for name, words in claims.tracebacks.items()]
    faults += [f"changed: {words}" for words in differences(before, snapshot(model))[:1]]
    result.counts["refused"] += bool(claims.refusals)
    faults += _costs(sample, claims, result)
    if claims.seen is not None:
        _note_missing(sample, claims.seen, result)
        faults += _fields(reach, claims, result)
    if claims.halo is not None:
        faults += _halo(sample, claims.halo, result)
    given = " ".join(f"{sample.keywords or ''}".split())[:60]
    label = f"{case.kind} {tuple(sample.image.shape)} {given}".strip()
    result.faults += [f"{label}: {fault}" for fault in faults]


def _nothing(_: str) -> None:
    """Whether the model is changed is seen after all calls."""


def _costs(sample: Sample, claims: Claims, result: Result) -> list[str]:
    if claims.macs is None:
        return []
    for entry in claims.uncounted:
        result.missing.add((entry.partition(" in ")[0], "MACs", sample.name))
    truth = costs.macs(sample.case, [sample.image])
    if not claims.counts_all:
        result.counts["MACs at least"] += 1
        return []
    if claims.macs and not truth:
        result.counts["MACs that torch does not count"] += 1
        return []
    result.counts["MACs equal"] += claims.macs == truth
    return [] if claims.macs == truth else [f"MACs {claims.macs}, all; torch counts {truth}"]


def _note_missing(sample: Sample, seen: Any, result: Result) -> None:
    for note in seen.notes:
        if note.kind == "unknown":
            result.missing.add((note.op, "field", sample.name))


def _fields(reach: list[Reach], claims: Claims, result: Result) -> list[str]:
    faults = []
    field_of_op = claims.seen.field
    for axis, line in enumerate(reach):
        if not line.at_most:  # its other arguments decide all by themselves, as `x or True` does
            result.counts["field not seen"] += 1
            continue
        size, extent = field_of_op.size[axis], field_of_op.extent[axis]
        is_exact = claims.bound == "exact" and extent != "cut"
        result.counts["field exact" if is_exact else "field bound"] += 1
        if claims.bound in ("exact", "at most"):
            is_wrong = size < line.surely
        else:  # a lower bound says nothing of an input that was enlarged
            is_wrong = claims.seen.size[axis] == line.length and size > max(line.at_most, 1)
        if is_exact and extent == "whole":
            is_wrong |= line.at_most < line.length
        elif is_exact and size <= line.length // 2:  # some output is clear of both borders
            is_wrong |= line.at_most < size
        if is_wrong:
            faults.append(
                f"field of axis {axis}: {size}, {extent}, {claims.bound}; "
                f"an output reads {line.surely} to {line.at_most} of {line.length}"
            )
    return faults


def _halo(sample: Sample, halo: Any, result: Result) -> list[str]:
    if not halo.is_finite:
        result.counts["halo none"] += 1
        return []
    fault = tiles.tile_fault(sample.case, halo.pixels, halo.alignment)
    is_turned = sample.name.split(".")[0] in TURNING and fault is not None
    if is_turned or (fault is not None and "does not run" in fault):
        # The op wants other numbers than any image, or gives its axes in another order.
        result.counts["halo not tried"] += 1
        return []
    result.counts["halo equal"] += fault is None
    return [] if fault is None else [f"halo {halo.pixels} at {halo.alignment}; {fault}"]
