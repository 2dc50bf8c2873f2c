"""For every number that is a bound, or is missing: the op, where it is, and what would help."""

from collections.abc import Iterable
from typing import Final

from atrous.analysis.fields.dependence import BOUNDS, Note
from atrous.analysis.halo import Halo
from atrous.analysis.profile import Profile
from atrous.analysis.receptive_field import ReceptiveField

REMEDIES: Final[dict[str, str]] = {
    "global": "every output sees the whole input there; pool over windows of a fixed size instead",
    "data-dependent": "the data choose the positions; only fixed positions have an exact field",
    "unknown": "the op has no rule; state one with atrous.analysis.register",
    "shift-variant": (
        "equal content is treated differently at different places; name a layer before it"
    ),
    "masked": (
        "a constant that may be zero is multiplied or chosen with; exact where it is a buffer of "
        "fewer than a million numbers that a convolution's weights are multiplied by"
    ),
    "cancels": (
        "what may be the same is subtracted, so less may be read; take what is left of it, such as "
        "a sum over the window, in one step"
    ),
    "wraps": "opposite borders are joined; tiles must be continued around",
    "size-dependent": (
        "a larger image runs another op, or one of another reach; the numbers are those of the "
        "size asked for"
    ),
}


def reasons(seen: ReceptiveField, halo: Halo, cost: Profile) -> list[str]:
    """One line for each reason why a number is a bound, or why there is none.

    Args:
        seen: The field; its notes tell what makes it a bound.
        halo: The halo; its blockers tell why there is none.
        cost: The costs; ops that were not counted are named.
    """
    bounds = [note for note in seen.notes if note.kind in BOUNDS and not seen.is_exact]
    lines = [f"field a bound: {told}" for told in _told(bounds)]
    if "cut" in seen.field.extent:
        lines.append("field a bound: the border of the input cuts it; give a larger size")
    lines += [f"no halo: {told}" for told in _told(halo.blockers)]
    lines += [
        f"MACs at least: {op} is not counted; state them with atrous.analysis.register"
        for op in cost.uncounted
    ]
    lines += [f"training memory at least: {op} keeps more than is known" for op in cost.unmeasured]
    return lines


def _told(notes: Iterable[Note]) -> list[str]:
    """A line for every kind and op, in order of the run, that names the first layer."""
    alike: dict[tuple[str, str], list[Note]] = {}
    for note in sorted(notes, key=lambda note: note.step):
        alike.setdefault((note.kind, note.op), []).append(note)
    lines = []
    for (kind, op), same in alike.items():
        first = same[0]
        where = f" ({first.line})" if first.line else ""
        others = f" and {len(same) - 1} more" if same[1:] else ""
        layer = first.layer or "the model"
        lines.append(f"{op} in {layer}{where}{others} is {kind}: {REMEDIES[kind]}")
    return lines
