"""Who follows a training run: a protocol of three methods, and bridges to known trackers."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from atrous.training.run.records import EpochRecord
    from atrous.training.run.run import Run


class Callback(Protocol):
    """Is told of a run when it starts, after every evaluated epoch, and when it ends.

    It is called by the main process alone, and cannot change the run's weights.
    """

    def on_start(self, run: "Run") -> None:
        """The run is about to do its first step, or to go on."""

    def on_epoch(self, run: "Run", record: "EpochRecord") -> None:
        """An epoch was evaluated."""

    def on_end(self, run: "Run", *, is_done: bool) -> None:
        """The run is done, or it was stopped and can go on."""


class TensorBoardCallback:
    """Writes losses, scores and the learning rate as TensorBoard's events into the run's folder."""

    def on_start(self, run: "Run") -> None:
        from atrous._extras import require

        require("tensorboard", extra="tensorboard")

    def on_epoch(self, run: "Run", record: "EpochRecord") -> None:
        from atrous.reports.training.tensorboard import write_events

        write_events(run.folder.root / "events", record)

    def on_end(self, run: "Run", *, is_done: bool) -> None:
        """Nothing is open."""


class MLflowCallback:
    """Logs a run to MLflow, into the tracking store that MLflow is set up for.

    Args:
        experiment: Name of the experiment; None for MLflow's own default.
    """

    def __init__(self, experiment: str | None = None) -> None:
        self.experiment = experiment
        self._mlflow: Any = None

    def on_start(self, run: "Run") -> None:
        from atrous._extras import require

        self._mlflow = require("mlflow", extra="mlflow")
        if self.experiment is not None:
            self._mlflow.set_experiment(self.experiment)
        self._mlflow.start_run(run_name=run.recipe.name)
        self._mlflow.log_params(flat_recipe(run))

    def on_epoch(self, run: "Run", record: "EpochRecord") -> None:
        self._mlflow.log_metrics(flat_record(record), step=record.step)

    def on_end(self, run: "Run", *, is_done: bool) -> None:
        if is_done and run.folder.best.is_file():
            self._mlflow.log_artifact(str(run.folder.best))
        self._mlflow.end_run("FINISHED" if is_done else "KILLED")


class WandbCallback:
    """Logs a run to Weights & Biases.

    Args:
        project: Name of the project.
    """

    def __init__(self, project: str) -> None:
        self.project = project
        self._run: Any = None

    def on_start(self, run: "Run") -> None:
        from atrous._extras import require

        wandb = require("wandb", extra="wandb")
        self._run = wandb.init(
            project=self.project,
            name=run.recipe.name,
            config=flat_recipe(run),
            dir=str(Path(run.folder.root)),
            resume="allow",
        )

    def on_epoch(self, run: "Run", record: "EpochRecord") -> None:
        self._run.log(flat_record(record), step=record.step)

    def on_end(self, run: "Run", *, is_done: bool) -> None:
        self._run.finish(exit_code=0 if is_done else 1)


def flat_record(record: "EpochRecord") -> dict[str, float]:
    """Losses, scores and the learning rate of an epoch by names such as `loss/total`."""
    values = {f"loss/{name}": value for name, value in record.losses.items()}
    values |= {f"score/{name}": value for name, value in record.scores.items()}
    return values | {"learning_rate": record.learning_rate, "epoch": float(record.epoch)}


def flat_recipe(run: "Run") -> dict[str, str]:
    """The keys of a run's recipe as texts."""
    from dataclasses import asdict

    return {key: str(value) for key, value in asdict(run.recipe).items()}
