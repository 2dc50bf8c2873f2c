"""What a pipeline tells its caller while it works: how far it is, and what went wrong."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeAlias


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a pipeline is.

    Attributes:
        task: What is being done: a verb, or the name of a slide or scan.
        done: How many parts of the task are done.
        total: How many parts the task has; 0 where that is not known.
        status: What is being done just now, where no number of parts is known.
        problem: Why something was left out, in one line; empty where nothing went wrong.
    """

    task: str
    done: int = 0
    total: int = 0
    status: str = ""
    problem: str = ""


OnProgress: TypeAlias = Callable[[Progress], None]
"""What pipelines call, in the caller's thread; an error that it raises ends the pipeline."""


class Advance(Protocol):
    """Counts parts that are done."""

    def __call__(self, count: int = 1) -> None: ...


def ignore(_: Progress) -> None:
    """Let a pipeline work in silence."""


def counter(on_progress: OnProgress, task: str, total: int) -> Advance:
    """Report a task as begun, and return a function that counts its parts.

    Args:
        on_progress: What is called.
        task: Name of the task.
        total: How many parts the task has.
    """
    done = 0

    def advance(count: int = 1) -> None:
        nonlocal done
        done += count
        on_progress(Progress(task=task, done=done, total=total))

    on_progress(Progress(task=task, total=total))
    return advance
