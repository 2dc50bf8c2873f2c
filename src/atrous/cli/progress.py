"""Progress on stderr: one bar a task for people, and one line for each problem."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import typer

from atrous.pipelines.progress import Advance, OnProgress, Progress, counter

if TYPE_CHECKING:
    from rich.progress import Progress as Bars
    from rich.progress import ProgressColumn, TaskID


@contextmanager
def shown() -> Iterator[OnProgress]:
    """Give a callback for pipelines; nothing but problems is drawn where stderr is no terminal."""
    if not sys.stderr.isatty():
        yield _print_problem
        return
    with _bars() as bars:
        tasks: dict[str, TaskID] = {}

        def show(progress: Progress) -> None:
            if progress.problem:
                bars.console.print(
                    f"atrous: {one_line(progress.problem)}",
                    markup=False,
                    highlight=False,
                    soft_wrap=True,
                )
                return
            if progress.task not in tasks:
                for earlier in tasks.values():
                    bars.remove_task(earlier)
                tasks.clear()
                tasks[progress.task] = bars.add_task(progress.task, total=progress.total or None)
            status = f": {progress.status}" if progress.status else ""
            bars.update(
                tasks[progress.task],
                completed=progress.done,
                total=progress.total or None,
                description=f"{progress.task}{status}",
            )

        yield show


@contextmanager
def progress(description: str, total: int) -> Iterator[Advance]:
    """Show a bar of one task while the block runs."""
    with shown() as on_progress:
        yield counter(on_progress, description, total)


def _print_problem(progress: Progress) -> None:
    if progress.problem:
        typer.echo(f"atrous: {one_line(progress.problem)}", err=True)


_LONGEST: Final = 2000
"""Characters of a message; a file may hold any amount of what it should not."""


def one_line(message: str) -> str:
    r"""A message without line breaks, and with what would steer a terminal as escapes.

    Example:
        >>> print(one_line("a" + chr(10) + "  b" + chr(27) + "[2J"))
        a b\x1b[2J
    """
    text = " ".join(message.split())
    text = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]} …"


def _bars() -> "Bars":
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    return Bars(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        _rate_column(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )


def _rate_column() -> "ProgressColumn":
    from rich.progress import ProgressColumn, Task
    from rich.text import Text

    class Rate(ProgressColumn):
        def render(self, task: Task) -> Text:
            speed = task.finished_speed or task.speed
            return Text(f"{speed:.1f}/s" if speed else "-/s")

    return Rate()
