"""A training run from its first step to its best weights, resumable at every step.

run = open_run(recipe, folder, accelerator)  # of `training.run.open`
for progress in run.steps():
    ...  # print it; `run.save()` and stop whenever you like
"""

import logging
import math
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

import torch
from safetensors.torch import save
from torch import Tensor, nn

from atrous._files import write_atomically
from atrous.networks.card import Card, Score
from atrous.networks.weights import save_weights
from atrous.training.batches import AnyViews, DrawnPatches, Views, feed, steps_per_epoch
from atrous.training.fit import NotFiniteError, Step, TrainingState, fit
from atrous.training.objective import Objective
from atrous.training.recipe.recipe import Recipe
from atrous.training.run.checkpoint import (
    Checkpoint,
    random_states,
    restore_random_states,
    save_checkpoint,
    whole_checkpoints,
)
from atrous.training.run.data import (
    RunData,
    augmentation_of,
    num_views,
    training_facts,
)
from atrous.training.run.folder import RunFolder
from atrous.training.run.records import EpochRecord, Progress, RunningMeans
from atrous.training.run.volumes import (
    RunVolumes,
    volume_views,
)
from atrous.training.validate import Validation, selection_metric, validate, validate_on_volumes

logger = logging.getLogger(__name__)

_FAR_UNDER: Final = 0.8
"""Share of the card's own score under which a start is called far from it."""


class Run:
    """A run that is ready to go on; made by `open_run`.

    Attributes:
        recipe: What is trained, how, on what.
        folder: Where everything goes.
        data: The samples.
        card: Of the network, without its scores.
        state: The network, its average and its optimiser.
        volumes: The samples as the network is fed them, if they are volumes.
        steps_per_epoch: How many.
        total_steps: Of the whole training.
        history: The records so far, as `metrics.jsonl` holds them.
        start_scores: Scores on the card of the weights that training starts from.
    """

    def __init__(
        self,
        recipe: Recipe,
        folder: RunFolder,
        data: RunData,
        card: Card,
        state: TrainingState,
        objective: Objective,
        volumes: RunVolumes | None = None,
    ) -> None:
        self.recipe, self.folder, self.data, self.card = recipe, folder, data, card
        self.state, self.volumes = state, volumes
        self.steps_per_epoch = steps_per_epoch(num_views(data, recipe), recipe.batch_size)
        self.total_steps = self.steps_per_epoch * recipe.epochs
        self.history: list[dict[str, object]] = []
        self.start_scores: tuple[Score, ...] = ()
        self._objective = objective
        self._tally = RunningMeans()
        self._saved_at = -1

    @property
    def is_done(self) -> bool:
        """Whether all steps were done and evaluated, or the score rises no more."""
        return self.state.step >= self.total_steps or self.has_stalled

    @property
    def has_stalled(self) -> bool:
        """Whether as many evaluations as the recipe's patience brought no better score."""
        if self.recipe.patience is None:
            return False
        best = [number for number, record in enumerate(self.history) if record.get("is_best")]
        return len(self.history) - 1 - max(best, default=-1) >= self.recipe.patience

    def steps(self) -> Iterator[Progress]:
        """Do the steps that are left; evaluates, keeps the best weights and saves on the way.

        Raises:
            NotFiniteError: If the loss is no number; the batch is saved in the folder.
            DataError: If a sample cannot be read, or a file not be written.
        """
        accelerator = self.state.accelerator
        batches = feed(
            self._views(),
            self.recipe,
            first_step=self.state.step,
            rank=accelerator.process_index,
            num_processes=accelerator.num_processes,
        )
        steps = fit(
            self.state,
            batches,
            self._objective,
            self.recipe,
            training_facts(self.card),
            total_steps=self.total_steps,
            steps_per_epoch=self.steps_per_epoch,
        )
        last_save = started = time.monotonic()
        threads_before = torch.get_num_threads()
        torch.set_num_threads(self.recipe.num_threads or threads_before)
        try:
            if self.state.step == 0 and self.recipe.weights is not None and not self.history:
                self._evaluate_start()
            for step in steps:
                self._tally.add(step, time.monotonic() - started)
                started = time.monotonic()
                record = self._evaluated(step) if self._ends_evaluated_epoch(step) else None
                self._tally.seconds += time.monotonic() - started
                is_due = time.monotonic() - last_save > 60 * self.recipe.checkpoint_minutes
                if record is not None or is_due:
                    self.save()
                    last_save = time.monotonic()
                yield Progress(step, record)
                if record is not None and self.has_stalled:
                    return
                started = time.monotonic()
        except NotFiniteError as error:
            self._keep_batch(error)
            raise
        finally:
            torch.set_num_threads(threads_before)

    def save(self) -> None:
        """Write a checkpoint of the last step that was done; only one process does.

        Raises:
            DataError: If it cannot be written; the older ones stay.
        """
        if self._saved_at == self.state.step or not self.state.accelerator.is_main_process:
            return
        save_checkpoint(
            self.folder.checkpoints,
            self.state.step,
            {
                "training": self.state.state_dict(),
                "tally": self._tally.state(),
                "random": random_states(),
            },
        )
        self._saved_at = self.state.step

    def resume(self) -> bool:
        """Go on from the newest whole checkpoint that fits; False if there is none.

        Raises:
            DataError: If there are some and none can be gone on from.
        """
        for checkpoint in whole_checkpoints(self.folder.checkpoints):
            try:
                self._restore(checkpoint)
            except Exception as error:  # altered values raise nearly anything
                logger.warning("note: %s does not fit (%s)", checkpoint.path, error)
                continue  # the next one overwrites all that this one has left
            return True
        return False

    def _restore(self, checkpoint: Checkpoint) -> None:
        self.state.load_state_dict(checkpoint.state["training"], step=checkpoint.step)
        self._tally = RunningMeans(**checkpoint.state["tally"])
        rank = self.state.accelerator.process_index
        if rank == 0:
            restore_random_states(checkpoint.state["random"])
        else:  # the file holds the first process's; the others draw others, as they did
            torch.manual_seed(self.recipe.seed + 1_000_003 * checkpoint.step + rank)
        self._saved_at = checkpoint.step
        # An epoch may have been recorded after the checkpoint; it will be again.
        self.history = [
            record
            for record in self.folder.history()
            if isinstance(record["step"], int) and record["step"] <= checkpoint.step
        ]

    def measure_anew(self) -> None:
        """Let the best weights be chosen anew: scores mean something else from here on."""
        self._tally.best = -math.inf
        logger.warning(
            "note: from here on the run is scored otherwise than before: by another protocol, or "
            "on other validation data; the best weights are chosen anew among the epochs to come"
        )

    def _views(self) -> AnyViews:
        if self.volumes is not None:
            return volume_views(self.volumes.train, self.data.train.require("volumes"), self.recipe)
        if self.data.train.is_drawn:
            return DrawnPatches(
                self.data.train,
                augmentation_of(self.recipe),
                seed=self.recipe.seed,
                num_patches=num_views(self.data, self.recipe),
            )
        return Views(
            self.data.train,
            augmentation_of(self.recipe),
            seed=self.recipe.seed,
            keeps_images=self.recipe.cache,
            with_labels=self.card.task != "segmentation",
        )

    def _ends_evaluated_epoch(self, step: Step) -> bool:
        done = step.number + 1
        if done % self.steps_per_epoch:
            return False
        epoch = done // self.steps_per_epoch
        return epoch % self.recipe.evaluate_every == 0 or epoch == self.recipe.epochs

    def _evaluate_start(self) -> None:
        """Score the start weights before the first step, as epoch 0, and say what came out."""
        record = self._recorded(epoch=0, step=0, learning_rate=0.0)
        if not self.state.accelerator.is_main_process:
            return
        chief = selection_metric(self.card.task, self.data.val)
        found = record.scores[chief]
        logger.warning("note: before the first step the start weights have %s %.2f", chief, found)
        known = [s.value for s in self.start_scores if s.metric == chief]
        if known and not found >= _FAR_UNDER * max(known):
            logger.warning(
                "note: that is far under the %.2f of their card: other data, other classes, or "
                "pixels that are fed otherwise; a new head begins at nothing, too",
                max(known),
            )

    def _evaluated(self, step: Step) -> EpochRecord:
        return self._recorded(
            epoch=(step.number + 1) // self.steps_per_epoch,
            step=step.number + 1,
            learning_rate=step.learning_rate,
        )

    def _recorded(self, *, epoch: int, step: int, learning_rate: float) -> EpochRecord:
        tally = self._tally
        started = time.monotonic()
        result = self._validation()
        chief = result.scores[selection_metric(self.card.task, self.data.val)]
        is_best = not math.isnan(chief) and chief > tally.best
        tally.best = max(tally.best, chief) if is_best else tally.best
        trained = tally.training_seconds
        record = EpochRecord(
            epoch=epoch,
            step=step,
            seconds=tally.seconds + time.monotonic() - started,
            images_per_second=tally.num_images / trained if trained else 0.0,
            learning_rate=learning_rate,
            losses={name: total / tally.num_steps for name, total in tally.losses.items()},
            scores=result.scores,
            class_iou=result.class_iou,
            is_best=is_best,
        )
        tally.begin_anew()
        self.history.append(record.to_json())
        if self.state.accelerator.is_main_process:
            card = self._scored_card(result, record.epoch)
            save_weights(self.folder.last, self.state.weights, card)
            if is_best:
                save_weights(self.folder.best, self.state.weights, card)
            self.folder.write_history(self.history)
            self.folder.write_facts({"epochs_done": record.epoch, "seconds": record.seconds})
        return record

    def _validation(self) -> Validation:
        network, accelerator = self.state.weights, self.state.accelerator
        if self.volumes is None:
            return validate(
                network,
                self.data.val,
                self.card,
                protocol=self.recipe.protocol,
                accelerator=accelerator,
            )
        return validate_on_volumes(
            network,
            self.volumes.val,
            self.card,
            accelerator=accelerator,
        )

    def _scored_card(self, result: Validation, epoch: int) -> Card:
        dataset = ", ".join(Path(folder).name for folder in self.recipe.data)
        scores = tuple(
            Score(
                dataset=dataset,
                split=self.recipe.val_split or "validation list",
                protocol=self._protocol(name),
                metric=name,
                value=round(value, 4),
                source=f"trained here, {epoch} of {self.recipe.epochs} epochs",
            )
            for name, value in result.scores.items()
            if not math.isnan(value)
        )
        return replace(self.card, scores=scores)

    def _protocol(self, score: str) -> str:
        if self.volumes is not None:
            return "mean of the cases"
        is_of_labels = "label" in score or score == "top1"
        return "first guess" if is_of_labels else self.recipe.protocol

    def _keep_batch(self, error: NotFiniteError) -> None:
        """Put the batch of a loss that is no number beside the run, to be looked at."""
        rank = self.state.accelerator.process_index
        path = self.folder.root / f"not-finite-step-{error.step}-process-{rank}.safetensors"
        tensors: dict[str, Tensor] = {"images": error.batch.images}
        if error.batch.masks is not None:
            tensors["masks"] = error.batch.masks
        if error.batch.labels is not None:
            tensors["labels"] = error.batch.labels
        with write_atomically(path) as file:
            file.write(save(tensors, metadata={"names": "\n".join(error.batch.names)}))
        logger.error("the batch is in %s", path)


def num_parameters(network: nn.Module) -> int:
    """How many numbers are learned."""
    return sum(parameter.numel() for parameter in network.parameters())
