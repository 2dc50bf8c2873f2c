"""`atrous train RECIPE [--set KEY=VALUE]… [--out RUN]`."""

import json
import logging
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Protocol

import typer

if TYPE_CHECKING:
    from atrous.training.run.records import EpochRecord, Progress
    from atrous.training.run.run import Run


def train(
    recipe: Annotated[Path | None, typer.Argument(help="A recipe, such as recipe:people.")] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="A key of the recipe and another value, as epochs=10."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the run; runs/NAME if not given.")
    ] = None,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Only go on with a run; an error if there is none."),
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Remove the run that is there, and start anew.")
    ] = False,
    again: Annotated[
        Path | None,
        typer.Option(help="Folder of a run to do again by its own recipe, into RUN-again."),
    ] = None,
    device: Annotated[
        str, typer.Option(help="auto, cpu, cuda, cuda:1, mps; auto takes a GPU if there is one.")
    ] = "auto",
    threads: Annotated[
        int | None, typer.Option(help="Threads on the CPU: the recipe's num_threads.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a JSON line for every evaluated epoch.")
    ] = False,
) -> None:
    """Train a network by a recipe; stopped or killed, the same command goes on where it stood.

    The run's folder holds the resolved recipe, a line of metrics for every evaluated epoch, curves,
    sample predictions, checkpoints, and best.safetensors with its card. Several GPUs or processes:
    torchrun --nproc-per-node 2 -m atrous train RECIPE.
    """
    from atrous.cli.progress import shown
    from atrous.pipelines.allocator import keep_freed_memory
    from atrous.pipelines.threads import use_threads
    from atrous.pipelines.train import follow, open_training, report
    from atrous.pipelines.train_again import open_again, same_bits

    _check_asked(recipe, again, others=bool(settings or resume or overwrite or threads))
    keep_freed_memory()
    use_threads()
    logging.basicConfig(level=logging.WARNING, format="atrous: %(message)s", stream=sys.stderr)
    with stopping() as stop:
        with shown() as on_progress:
            if again is not None:
                run = open_again(again, out, device=device)
            else:
                assert recipe is not None  # one of them was given
                run = open_training(
                    recipe,
                    out,
                    settings=[*(settings or ()), *([f"num_threads={threads}"] if threads else ())],
                    device=device,
                    resume=resume,
                    overwrite=overwrite,
                    on_progress=on_progress,
                )
        is_main = run.state.accelerator.is_main_process
        if is_main and not as_json:
            typer.echo(_opening(run, recipe or run.folder.recipe), err=True)
        with live_line(run) as show:
            printed = _Printed(as_json=as_json)
            is_done = follow(
                run, lambda: stop.signal is not None, callbacks=[printed], on_step=show
            )
    if is_done and is_main and not as_json:
        typer.echo(report(run, is_done=True))
        if again is not None:
            typer.echo(_compared(same_bits(run, again), again))
    if not is_done:
        if is_main:
            typer.echo(_stopped(run), err=True)
        raise typer.Exit(128 + (stop.signal or signal.SIGINT))


def _check_asked(recipe: Path | None, again: Path | None, *, others: bool) -> None:
    """See that one run is asked for, and that one which is done again is left as it was."""
    from atrous.errors import DataError

    if (recipe is None) == (again is None):
        raise DataError(
            f"Found {'neither' if recipe is None else 'both'} of RECIPE and --again RUN; expected "
            "one of them; name it."
        )
    if again is not None and others:
        raise DataError(
            "--again does a run as it was, and takes no --set, --resume, --overwrite or --threads; "
            "leave them out."
        )


def _compared(has_same_bits: bool | None, before: Path) -> str:
    said = {True: "the same bits as", False: "other bits than", None: "no counterpart in"}
    return f"the last weights have {said[has_same_bits]} {before}"


def _stopped(run: "Run") -> str:
    return (
        f"atrous: stopped after step {run.state.step:,} of {run.total_steps:,}, which is saved; "
        "the same command goes on from there"
    )


class Stop:
    """Whether somebody asked to stop, by which signal."""

    def __init__(self) -> None:
        self.signal: int | None = None
        self.since = 0.0

    def __call__(self, number: int, _frame: object) -> None:
        if self.signal is not None:
            # `timeout` and schedulers send theirs twice, to the process and to its group.
            if number == signal.SIGINT or time.monotonic() - self.since > _SAME_SIGNAL:
                raise KeyboardInterrupt  # asked twice: at once, then
            return
        self.signal, self.since = number, time.monotonic()
        typer.echo("atrous: stopping after this step; a checkpoint follows", err=True)


_SAME_SIGNAL = 2.0
"""Seconds within which two SIGTERM are one."""


@contextmanager
def stopping() -> Iterator[Stop]:
    """While the block runs, Ctrl-C and SIGTERM only ask to stop."""
    stop = Stop()
    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Printed:
    """Prints a line for every evaluated epoch."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json

    def on_start(self, run: "Run") -> None:
        """Nothing is printed."""

    def on_epoch(self, run: "Run", record: "EpochRecord") -> None:
        if self.as_json:
            typer.echo(json.dumps(record.to_json()))
        else:
            typer.echo(record_line(record, run.recipe.epochs))

    def on_end(self, run: "Run", *, is_done: bool) -> None:
        """The command says what came of the run."""


class Show(Protocol):
    """Put what a step gave on the live line."""

    def __call__(self, progress: "Progress") -> None: ...


@contextmanager
def live_line(run: "Run") -> Iterator[Show]:
    """One line with rate, loss and time left, on stderr, where that is a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[facts]}"),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    is_hidden = not console.is_terminal or not run.state.accelerator.is_main_process
    with Bar(*columns, console=console, disable=is_hidden) as bar:
        task = bar.add_task("train", total=run.total_steps, completed=run.state.step, facts="")

        def show(progress: "Progress") -> None:
            speed = bar.tasks[0].speed
            rate = f"{speed * progress.step.num_images:.1f} images/s" if speed else ""
            loss = f"loss {progress.step.losses['total']:.3f}"
            bar.update(task, completed=progress.step.number + 1, facts=f"{loss}  {rate}")

        yield show


def _opening(run: "Run", recipe: Path) -> str:
    from atrous.training.run.run import num_parameters

    where = f"from step {run.state.step:,} of" if run.state.step else "in all"
    return (
        f"{run.card.name}: {run.card.network} of {num_parameters(run.state.network):,} parameters, "
        f"by {recipe}\n"
        f"{len(run.data.train):,} training and {len(run.data.val):,} validation samples, "
        f"{run.steps_per_epoch} steps an epoch, {where} {run.total_steps:,}, "
        f"on {run.state.accelerator.device}, into {run.folder.root}"
    )


def record_line(record: "EpochRecord", num_epochs: int) -> str:
    """What is printed of an evaluated epoch."""
    scores = "  ".join(f"{name} {value:.2f}" for name, value in record.scores.items())
    losses = "  ".join(f"{name} {value:.4f}" for name, value in record.losses.items())
    best = "  best so far" if record.is_best else ""
    return (
        f"epoch {record.epoch}/{num_epochs}  loss {losses}  {scores}  "
        f"{record.images_per_second:.1f} images/s  {record.seconds / 60:.1f} min{best}"
    )
