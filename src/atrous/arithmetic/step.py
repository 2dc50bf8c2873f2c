"""One line of a layer's working."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

AxisT = TypeVar("AxisT")


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One number and where it comes from."""

    name: str
    formula: str
    numbers: str
    result: str


def each(values: Sequence[AxisT], describe: Callable[[AxisT], str]) -> str:
    """A text for each axis, with commas between; one, if all are alike; none without axes."""
    texts = [describe(value) for value in values]
    return texts[0] if len(set(texts)) == 1 else ", ".join(texts)
