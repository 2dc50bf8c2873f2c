"""Train a network by a recipe, into a folder that the same call goes on from."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from atrous.errors import DataError
from atrous.pipelines.callbacks import Callback, TensorBoardCallback
from atrous.pipelines.progress import OnProgress, Progress, counter, ignore

if TYPE_CHECKING:
    from accelerate import Accelerator

    from atrous.training.recipe.recipe import Recipe
    from atrous.training.run.records import Progress as StepProgress
    from atrous.training.run.run import Run

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainReport:
    """What a training came to.

    Attributes:
        folder: Folder of the run.
        best: Weights of the best epoch so far, with their card; there once an epoch was evaluated.
        history: One record for each evaluated epoch, as `metrics.jsonl` holds them.
        is_done: Whether all steps were done; otherwise the same call goes on.
        summary: The best score and its protocol, in one line.
    """

    folder: Path
    best: Path
    history: tuple[dict[str, Any], ...]
    is_done: bool
    summary: str

    def __str__(self) -> str:
        return self.summary


def train(
    recipe: "str | Path | Recipe",
    out: str | Path | None = None,
    *,
    settings: Sequence[str] = (),
    device: str = "auto",
    resume: bool = False,
    overwrite: bool = False,
    callbacks: Sequence[Callback] = (),
    should_stop: Callable[[], bool] = lambda: False,
    on_progress: OnProgress = ignore,
) -> TrainReport:
    """Train a network by a recipe; stopped or killed, the same call goes on where it stood.

    Args:
        recipe: A recipe file, or a recipe.
        out: Folder of the run; None for `runs/NAME`.
        settings: Keys of a recipe file with other values, such as `epochs=10`.
        device: `auto`, which takes a GPU if there is one, or `cpu`, `cuda`, `cuda:1`, `mps`.
        resume: Only go on with a run.
        overwrite: Remove the run that is there, and start anew.
        callbacks: Told of the run when it starts, after every evaluated epoch, and at the end.
        should_stop: Asked after every step; the run is saved when it says so.
        on_progress: Called after every step.

    Raises:
        DataError: If the recipe or its data are wrong, or the folder holds another run.
        NotFiniteError: If the loss becomes NaN or infinite; the batch is kept in the folder.
    """
    run = open_training(
        recipe,
        out,
        settings=settings,
        device=device,
        resume=resume,
        overwrite=overwrite,
        on_progress=on_progress,
    )
    total = run.total_steps

    def show(progress: "StepProgress") -> None:
        on_progress(Progress(task="train", done=progress.step.number + 1, total=total))

    is_done = follow(run, should_stop, callbacks=callbacks, on_step=show)
    return report(run, is_done=is_done)


def open_training(
    recipe: "str | Path | Recipe",
    out: str | Path | None,
    *,
    settings: Sequence[str] = (),
    device: str = "auto",
    resume: bool = False,
    overwrite: bool = False,
    on_progress: OnProgress = ignore,
) -> "Run":
    """A run that is ready to start or to go on, its data checked; arguments as of `train`.

    Raises:
        DataError: As `train`.
    """
    from atrous.networks.own import allow_network
    from atrous.training.recipe.file import read_recipe
    from atrous.training.run.folder import RunFolder
    from atrous.training.run.open import open_run

    if resume and overwrite:
        raise DataError("--resume and --overwrite were both given; expected one; leave one out.")
    chosen = read_recipe(Path(recipe), settings) if isinstance(recipe, str | Path) else recipe
    allow_network(chosen.network)
    root = Path(out) if out is not None else Path("runs") / chosen.name
    if resume and not RunFolder(root).recipe.is_file():
        raise DataError(f"{root} holds no run to go on with; leave --resume out to start one.")
    accelerator = _accelerator(chosen, device)
    _check_data(chosen, accelerator, on_progress)
    return open_run(chosen, root, accelerator, overwrite=overwrite)


def follow(
    run: "Run",
    should_stop: Callable[[], bool],
    *,
    callbacks: Sequence[Callback] = (),
    on_step: "Callable[[StepProgress], None]" = lambda _: None,
) -> bool:
    """Let a run go on until it is done or somebody asks to stop; it is saved then.

    Args:
        run: What `open_training` gave.
        should_stop: Asked after every step, in every process.
        callbacks: Told of the run by the main process.
        on_step: Called after every step.

    Returns:
        Whether the run is done.
    """
    from atrous.pipelines.provenance import facts
    from atrous.pipelines.train_pictures import write_pictures

    is_main = run.state.accelerator.is_main_process
    everyone = [*callbacks, *([TensorBoardCallback()] if run.recipe.tensorboard else [])]
    listeners = everyone if is_main else []
    is_done = run.is_done
    if is_main and is_done and run.has_stalled:
        logger.warning("note: %s ended early: raise patience to go on", run.recipe.name)
    if is_main:
        run.folder.write_facts({**facts(), **machine(run)})
        _write_missing_pictures(run)
    if not is_done:
        for callback in listeners:
            callback.on_start(run)
        is_done = True
        for progress in run.steps():
            on_step(progress)
            if progress.record is not None and is_main:
                write_pictures(run, progress.record.epoch)
                for callback in listeners:
                    callback.on_epoch(run, progress.record)
            if _agreed(run, asked=should_stop()):
                run.save()
                is_done = False
                break
        for callback in listeners:
            callback.on_end(run, is_done=is_done)
    if is_main and is_done:
        run.folder.write_facts({"finished": True})
    return is_done


def _write_missing_pictures(run: "Run") -> None:
    """Draw what a run was killed before it could draw: a checkpoint is written first."""
    from atrous.pipelines.train_pictures import write_pictures

    last = run.history[-1] if run.history else None
    if last is None or run.folder.read_facts().get("finished"):
        return
    if last["step"] == run.state.step and isinstance(epoch := last["epoch"], int):
        write_pictures(run, epoch)


def report(run: "Run", *, is_done: bool) -> TrainReport:
    """What a run has come to so far."""
    return TrainReport(
        folder=run.folder.root,
        best=run.folder.best,
        history=tuple(run.history),
        is_done=is_done,
        summary=f"done: {_reached(run)}; {run.folder.best}",
    )


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
        "threads": run.recipe.num_threads or torch.get_num_threads(),
        "instruction_set": torch.backends.cpu.get_cpu_capability(),
        "steps": run.total_steps,
    }


def _reached(run: "Run") -> str:
    from atrous.training.validate import selection_metric

    chief = selection_metric(run.card.task, run.data.val)
    scores = [
        (scores[chief], record["epoch"])
        for record in run.history
        if isinstance(scores := record["scores"], dict) and scores[chief] is not None
    ]
    if not scores:
        return "no score could be computed"
    best, epoch = max(scores)
    protocols = {"top1": "first guess", "dice": "mean of the cases"}
    protocol = protocols.get(chief, f"protocol {run.recipe.protocol}")
    return f"best {chief} {best:.2f} % after epoch {epoch} ({protocol})"


def _agreed(run: "Run", *, asked: bool) -> bool:
    """Whether any process was asked to stop: all of them must leave at the same step."""
    accelerator = run.state.accelerator
    if accelerator.num_processes == 1:
        return asked
    import torch

    votes = torch.tensor(int(asked), device=accelerator.device)
    return bool(accelerator.reduce(votes, reduction="sum"))


def _accelerator(recipe: "Recipe", device: str) -> "Accelerator":
    import torch
    from accelerate import Accelerator

    from atrous.pipelines.device import checked_device

    if device != "auto":
        checked_device(device)
    if device.startswith("cuda:"):
        torch.cuda.set_device(device)
    mixed = {"float32": "no", "bfloat16": "bf16", "float16": "fp16"}[recipe.precision]
    has_accelerator = torch.cuda.is_available() or torch.backends.mps.is_available()
    is_cpu = device == "cpu" or (device == "auto" and not has_accelerator)
    if is_cpu and mixed == "fp16":  # it is refused by name, not by what Accelerate does instead
        mixed = "no"
    return Accelerator(cpu=is_cpu, mixed_precision=mixed)


def _check_data(recipe: "Recipe", accelerator: "Accelerator", on_progress: OnProgress) -> None:
    """Read every sample, once for each state of the data; errors stop, warnings are reported."""
    from atrous.data.check.fingerprint import cached_check
    from atrous.data.check.report import raise_on_errors
    from atrous.networks.convert.fetch import cache_folder
    from atrous.training.run.data import open_data

    if not recipe.check_data or not accelerator.is_main_process:
        return
    data = open_data(recipe)
    found = cached_check(
        data.train,
        cache_folder() / "checks",
        against={"validation": data.val},
        advance=counter(on_progress, "check data", len(data.train) + len(data.val)),
    )
    raise_on_errors(found, source=f"the training data of {recipe.name}")
    for problem in found.warnings:
        on_progress(Progress(task="check data", problem=f"note: {problem.text}"))
