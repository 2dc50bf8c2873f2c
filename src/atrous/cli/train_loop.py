"""What `train` does with a run's steps: a live line, records, pictures, and stopping well."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

import typer

if TYPE_CHECKING:
    from atrous.cli.train import Stop
    from atrous.training.run.records import Progress
    from atrous.training.run.run import Run


def follow(run: "Run", stop: "Stop", *, as_json: bool) -> bool:
    """Let the run go on until it is done or somebody asks to stop.

    Returns:
        Whether it is done.
    """
    from atrous.pipelines.provenance import facts

    is_main = run.state.accelerator.is_main_process
    if is_main:
        run.folder.write_facts({**facts(), **machine(run)})
    if run.is_done:
        if is_main:
            _report(run, as_json=as_json)
        return True
    with live_line(run) as show:
        for progress in run.steps():
            show(progress)
            if progress.record is not None and is_main:
                _tell(run, progress, as_json=as_json)
            if _agreed(run, stop):
                run.save()
                if is_main:
                    typer.echo(
                        f"atrous: stopped after step {run.state.step:,} of {run.total_steps:,}, "
                        f"which is saved; the same command goes on from there",
                        err=True,
                    )
                return False
    if is_main:
        _report(run, as_json=as_json)
    return True


def _agreed(run: "Run", stop: "Stop") -> bool:
    """Whether any process was asked to stop: all of them must leave at the same step."""
    accelerator = run.state.accelerator
    if accelerator.num_processes == 1:
        return stop.signal is not None
    import torch

    asked = torch.tensor(int(stop.signal is not None), device=accelerator.device)
    return bool(accelerator.reduce(asked, reduction="sum"))


def _tell(run: "Run", progress: "Progress", *, as_json: bool) -> None:
    from atrous.cli.train import record_line
    from atrous.pipelines.train_pictures import write_pictures
    from atrous.reports.training.tensorboard import write_events

    record = progress.record
    assert record is not None
    write_pictures(run, record)
    if run.recipe.tensorboard:
        write_events(run.folder.root / "events", record)
    if as_json:
        typer.echo(json.dumps(record.to_json()))
    else:
        typer.echo(record_line(record, run.recipe.epochs))


def _report(run: "Run", *, as_json: bool) -> None:
    from atrous.training.validate import chief_score

    run.folder.write_facts({"finished": True})
    if as_json:
        return
    chief = chief_score(run.card.task, run.data.val)
    scores = [
        (scores[chief], record["epoch"])
        for record in run.history
        if isinstance(scores := record["scores"], dict) and scores[chief] is not None
    ]
    reached = "no score could be computed"
    if scores:
        best, epoch = max(scores)
        protocols = {"top1": "first guess", "dice": "mean of the cases"}
        protocol = protocols.get(chief, f"protocol {run.recipe.protocol}")
        reached = f"best {chief} {best:.2f} % after epoch {epoch} ({protocol})"
    typer.echo(f"done: {reached}; {run.folder.best}")


def machine(run: "Run") -> dict[str, object]:
    """Seed, code, device and processes, for `run.json`."""
    import torch

    from atrous.pipelines.provenance import commit

    accelerator = run.state.accelerator
    device = accelerator.device
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    return {
        "seed": run.recipe.seed,
        "commit": commit(),
        "device": name,
        "processes": accelerator.num_processes,
        "threads": torch.get_num_threads(),
        "steps": run.total_steps,
    }


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
