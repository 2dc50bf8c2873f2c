"""What the public functions of `atrous.analysis` say of a model, in a form that can be judged."""

import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from inspect import signature
from typing import Any, Literal

import torch
from tests.analysis.fuzz.case import Case
from tests.analysis.fuzz.oracle import inputs_of
from torch import nn

from atrous import analysis
from atrous.errors import AtrousError

Bound = Literal["exact", "at least", "at most", "a bound"]
"""How a size is meant; a bound of neither kind: the border cuts what may be more than is read."""


@dataclass(frozen=True, kw_only=True)
class Claims:
    """All that is said of one model; a part is None where it was refused or failed.

    Attributes:
        seen: `receptive_field`'s answer.
        bound: How its sizes are meant.
        halo: `halo`'s answer.
        macs: Multiply-accumulates.
        counts_all: Whether they are said to be all.
        uncounted: Ops that are not counted, as `op in layer`.
        refusals: Errors that the library raises on purpose, by function.
        tracebacks: All other errors, by function: class, message and innermost line.
    """

    seen: Any = None
    bound: Bound = "exact"
    halo: Any = None
    macs: int | None = None
    counts_all: bool = True
    uncounted: tuple[str, ...] = ()
    refusals: dict[str, str] = field(default_factory=dict)
    tracebacks: dict[str, str] = field(default_factory=dict)


def _as_is(function: Callable[..., Any]) -> dict[str, Any]:
    """Ask for the mode the model is in, if the function would choose another by itself."""
    return {"mode": "as is"} if "mode" in signature(function).parameters else {}


def _arguments(case: Case) -> tuple[tuple[int, ...], dict[str, Any]]:
    """Size and keywords as a user would give them."""
    if len(case.shapes) == 1 and case.is_image and case.shapes[0][0] == 1:
        return case.lengths, {"in_channels": case.shapes[0][1]}
    return case.lengths, {"inputs": tuple(inputs_of(case.shapes))}


def calls(case: Case) -> dict[str, Callable[[nn.Module], Any]]:
    """Every function under test, applied to a model of the case."""
    size, keywords = _arguments(case)
    return {
        "profile": lambda m: analysis.profile(m, size, **keywords, **_as_is(analysis.profile)),
        "profile with fields": lambda m: analysis.profile(
            m, size, with_fields=True, **keywords, **_as_is(analysis.profile)
        ),
        "receptive_field": lambda m: analysis.receptive_field(
            m, size, **keywords, **_as_is(analysis.receptive_field)
        ),
        "halo": lambda m: analysis.halo(m, size, **keywords, **_as_is(analysis.halo)),
    }


def ask(case: Case, model: nn.Module, after: Callable[[str], None]) -> Claims:
    """Call every function on one and the same model; `after` is told each that has returned."""
    answers: dict[str, Any] = {}
    refusals: dict[str, str] = {}
    tracebacks: dict[str, str] = {}
    for name, call in calls(case).items():
        try:
            with torch.random.fork_rng():
                answers[name] = call(model)
        except AtrousError as error:
            refusals[name] = str(error)
        except Exception as error:
            where = traceback.extract_tb(error.__traceback__)[-1]
            words = (str(error).splitlines() or [""])[0][:100]
            tracebacks[name] = f"{type(error).__name__}: {words} (line {where.lineno})"
        after(name)
    cost, seen = answers.get("profile"), answers.get("receptive_field")
    return Claims(
        seen=seen,
        bound="exact" if seen is None else seen.bound,
        halo=answers.get("halo"),
        macs=None if cost is None else cost.macs,
        counts_all=cost is None or cost.counted == "all",
        uncounted=() if cost is None else tuple(cost.uncounted),
        refusals=refusals,
        tracebacks=tracebacks,
    )
