"""`atrous train RECIPE [--set KEY=VALUE]… [--out RUN]`."""

import logging
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from accelerate import Accelerator

    from atrous.training.recipe.recipe import Recipe
    from atrous.training.run.records import EpochRecord
    from atrous.training.run.run import Run


def train(
    recipe: Annotated[Path, typer.Argument(help="A recipe, such as recipes/people.toml.")],
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
    device: Annotated[
        str, typer.Option(help="auto, cpu, cuda, cuda:1, mps; auto takes a GPU if there is one.")
    ] = "auto",
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a JSON line for every evaluated epoch.")
    ] = False,
) -> None:
    """Train a network by a recipe; stopped or killed, the same command goes on where it stood.

    The run's folder holds the resolved recipe, a line of metrics for every evaluated epoch, curves,
    sample predictions, checkpoints, and best.safetensors with its card. Several GPUs or processes:
    torchrun --nproc-per-node 2 -m atrous.cli.main train RECIPE.
    """
    from atrous.cli.train_loop import follow
    from atrous.errors import DataError
    from atrous.pipelines.allocator import keep_freed_memory
    from atrous.training.recipe.file import read_recipe
    from atrous.training.run.folder import RunFolder
    from atrous.training.run.open import open_run

    if resume and overwrite:
        raise DataError("--resume and --overwrite were both given; expected one; leave one out.")
    keep_freed_memory()
    logging.basicConfig(level=logging.WARNING, format="atrous: %(message)s", stream=sys.stderr)
    chosen = read_recipe(recipe, settings or ())
    root = out or Path("runs") / chosen.name
    if resume and not RunFolder(root).recipe.is_file():
        raise DataError(f"{root} holds no run to go on with; leave --resume out to start one.")
    accelerator = _accelerator(chosen, device)
    _check_data(chosen, accelerator)
    with stopping() as stop:
        run = open_run(chosen, root, accelerator, overwrite=overwrite)
        if accelerator.is_main_process and not as_json:
            typer.echo(_opening(run, recipe), err=True)
        finished = follow(run, stop, as_json=as_json)
    if not finished:
        raise typer.Exit(128 + (stop.signal or signal.SIGINT))


class Stop:
    """Whether somebody asked to stop, by which signal."""

    def __init__(self) -> None:
        self.signal: int | None = None

    def __call__(self, number: int, _frame: object) -> None:
        if self.signal is not None:  # asked twice: at once, then
            raise KeyboardInterrupt
        self.signal = number
        typer.echo("atrous: stopping after this step; a checkpoint follows", err=True)


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


def _accelerator(recipe: "Recipe", device: str) -> "Accelerator":
    import torch
    from accelerate import Accelerator

    from atrous.pipelines.device import checked_device

    if device != "auto":
        checked_device(device)
    if device.startswith("cuda:"):
        torch.cuda.set_device(device)
    mixed = {"float32": "no", "bfloat16": "bf16", "float16": "fp16"}[recipe.precision]
    is_cpu = device == "cpu" or (device == "auto" and not _has_accelerator())
    if is_cpu and mixed == "fp16":  # it is refused by name, not by what Accelerate does instead
        mixed = "no"
    return Accelerator(cpu=is_cpu, mixed_precision=mixed)


def _has_accelerator() -> bool:
    import torch

    return torch.cuda.is_available() or torch.backends.mps.is_available()


def _check_data(recipe: "Recipe", accelerator: "Accelerator") -> None:
    """Read every sample, once for each state of the data; errors stop, warnings are printed."""
    from atrous.cli.progress import progress
    from atrous.data.check.fingerprint import cached_check
    from atrous.data.check.report import raise_on_errors
    from atrous.networks.convert.fetch import cache_folder
    from atrous.training.run.data import open_data

    if not recipe.check_data or not accelerator.is_main_process:
        return
    data = open_data(recipe)
    with progress("check data", len(data.train) + len(data.val)) as advance:
        report = cached_check(
            data.train,
            cache_folder() / "checks",
            against={"validation": data.val},
            advance=advance,
        )
    raise_on_errors(report, source=f"the training data of {recipe.name}")
    for problem in report.warnings:
        typer.echo(f"atrous: note: {problem.text}", err=True)


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
