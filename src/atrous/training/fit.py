"""The training loop: a generator that does a step each time it is asked.

    for step in fit(state, batches, objective, recipe, facts):
        ...  # log it, evaluate, save, or stop: the loop body is the caller's

Accelerate places the tensors, casts them and lets processes work together; what a training *is*
stands here.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Final

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from atrous.errors import DataError
from atrous.networks.preprocessing.images import Preprocessing, preprocess, unit_pixels
from atrous.training.batches import Batch
from atrous.training.bfloat16_cpu import refuse_tiny_maps
from atrous.training.ema import moving_average
from atrous.training.in_parts import learn_in_parts
from atrous.training.mix import mixed
from atrous.training.objective import Objective, Outputs, TrainingModule
from atrous.training.optimiser import build_optimiser, frozen_norms, set_learning_rate
from atrous.training.recipe.recipe import Recipe
from atrous.training.schedules import schedule_factor


class NotFiniteError(DataError):
    """The loss is no number any more.

    Attributes:
        batch: What it was computed from.
        step: At which step.
    """

    def __init__(self, message: str, *, batch: Batch, step: int) -> None:
        super().__init__(message)
        self.batch = batch
        self.step = step


_ONE_VALUE: Final = "Expected more than 1 value per channel"
"""How torch says that a batch norm has nothing to take a variance of."""


@dataclass(frozen=True, slots=True)
class Step:
    """A step that was done.

    Attributes:
        number: From 0.
        losses: Of the whole batch: `total`, and its parts by name.
        learning_rate: Of the parameters without a factor of their own.
        num_images: Over all processes.
    """

    number: int
    losses: dict[str, float]
    learning_rate: float
    num_images: int


@dataclass(slots=True)
class TrainingState:
    """What steps change: weights, their average, the optimiser, and how many steps were done.

    Attributes:
        network: As the catalog built it; in the wrapped form it learns in `trainee`.
        trainee: What is called in training.
        average: The moving average, if the recipe has one.
    """

    accelerator: Accelerator
    network: nn.Module
    trainee: nn.Module
    optimiser: torch.optim.Optimizer
    average: AveragedModel | None
    step: int = 0

    @property
    def weights(self) -> nn.Module:
        """The network to evaluate and to keep: the average where there is one."""
        return self.network if self.average is None else self.average.module

    def state_dict(self) -> dict[str, Any]:
        """Tensors and plain values of everything that steps change."""
        scaler = self.accelerator.scaler
        return {
            "network": self.network.state_dict(),
            "average": None if self.average is None else self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "scaler": None if scaler is None else scaler.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any], *, step: int) -> None:
        """Take back what `state_dict` gave after `step` steps."""
        self.network.load_state_dict(state["network"])
        if self.average is not None:
            self.average.load_state_dict(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])
        if self.accelerator.scaler is not None and state["scaler"] is not None:
            self.accelerator.scaler.load_state_dict(state["scaler"])
        self.step = step


def start_state(network: nn.Module, recipe: Recipe, accelerator: Accelerator) -> TrainingState:
    """A network ready for its first step, on the accelerator's device.

    Raises:
        DataError: If the recipe asks for what this device cannot do.
        UnknownNameError: As `build_optimiser`.
        ShapeError: If auxiliary losses are asked of a network without such heads.
    """
    device = accelerator.device
    _check_device(recipe, device, network)
    if recipe.sync_batch_norm:
        network = nn.SyncBatchNorm.convert_sync_batchnorm(network)
    network = network.to(device)
    if _is_half_on_cpu(accelerator):
        refuse_tiny_maps(network)
    else:
        network = channels_last(network)
    average = None if recipe.ema is None else moving_average(network, recipe.ema)
    optimiser = build_optimiser(network, recipe)
    trainee: nn.Module = TrainingModule(network, with_auxiliary=recipe.auxiliary_weight > 0)
    if recipe.compile:
        trainee.compile()
    trainee, optimiser = accelerator.prepare(trainee, optimiser)
    return TrainingState(accelerator, network, trainee, optimiser, average)


def fit(
    state: TrainingState,
    batches: Iterator[Batch],
    objective: Objective,
    recipe: Recipe,
    facts: Preprocessing,
    *,
    total_steps: int,
    steps_per_epoch: int,
) -> Iterator[Step]:
    """Do the steps from `state.step` to `total_steps`, one each time the caller asks for it.

    Args:
        state: Changed by every step.
        batches: From `state.step` on, see `training.batches.feed`.
        objective: What is made small.
        recipe: For how.
        facts: How images are normalised; not resized.
        total_steps: Of the whole training.
        steps_per_epoch: Of it.

    Raises:
        NotFiniteError: If the loss is no number; the weights are those before the step.
    """
    warmup = round(recipe.warmup_epochs * steps_per_epoch)
    frozen = frozen_norms(state.network, recipe)
    while state.step < total_steps:
        state.trainee.train()
        for norm in frozen:
            norm.eval()
        factor = schedule_factor(
            recipe.schedule,
            step=state.step,
            total_steps=total_steps,
            steps_per_epoch=steps_per_epoch,
            warmup_steps=warmup,
        )
        set_learning_rate(state.optimiser, factor)
        batch = mixed(
            next(batches),
            recipe,
            num_classes=objective.num_classes,
            step=state.step,
            rank=state.accelerator.process_index,
        )
        losses = _learn(state, batch, objective, recipe, facts)
        if state.average is not None:
            state.average.update_parameters(state.network)
        state.step += 1
        yield Step(
            state.step - 1,
            losses,
            recipe.learning_rate * factor,
            len(batch.images) * state.accelerator.num_processes,
        )


def _learn(
    state: TrainingState, batch: Batch, objective: Objective, recipe: Recipe, facts: Preprocessing
) -> dict[str, float]:
    """One update of the weights from one batch, perhaps in parts."""
    accelerator = state.accelerator
    device_batch = _to_device(batch, accelerator.device)
    if recipe.accumulate == 1 and accelerator.num_processes == 1:
        outputs = _forward(state, device_batch.images, facts)
        total, losses = objective(outputs, device_batch)
        _check_finite(total, batch, state.step)
        accelerator.backward(total)
    else:
        total, losses = learn_in_parts(
            _Trainee(state, facts),
            device_batch,
            objective,
            num_parts=recipe.accumulate,
            check=lambda total: _check_finite(total, batch, state.step),
        )
    if recipe.clip is not None:
        norm = accelerator.clip_grad_norm_(state.trainee.parameters(), recipe.clip)
        # With a scaler the step is left out by itself, and the scale lowered.
        if accelerator.scaler is None and norm is not None:
            _check_finite(norm, batch, state.step)
    state.optimiser.step()
    state.optimiser.zero_grad(set_to_none=True)
    return {name: float(value) for name, value in {"total": total.detach(), **losses}.items()}


@dataclass(frozen=True, slots=True)
class _Trainee:
    """A network in training as parts of a batch see it."""

    state: TrainingState
    facts: Preprocessing

    @property
    def accelerator(self) -> Accelerator:
        return self.state.accelerator

    @property
    def buffers(self) -> list[Tensor]:
        return list(self.state.network.buffers())

    def held(self) -> AbstractContextManager[None]:
        """While it lasts, processes do not exchange gradients."""
        held: AbstractContextManager[None] = self.accelerator.no_sync(self.state.trainee)
        return held

    def __call__(self, images: Tensor) -> Outputs:
        return _forward(self.state, images, self.facts)


def _forward(state: TrainingState, images: Tensor, facts: Preprocessing) -> Outputs:
    with state.accelerator.autocast():
        x = network_input(images, facts)
        if _is_half_on_cpu(state.accelerator):
            x = x.contiguous()
        try:
            outputs: Outputs = state.trainee(x)
        except ValueError as error:
            if _ONE_VALUE not in str(error):
                raise
            raise DataError(
                f"A batch norm sees one value a channel, in a batch (or part of one) of {len(x)} "
                f"of size {' x '.join(map(str, x.shape[2:]))}; expected two at least, to have a "
                "variance; raise batch_size, lower accumulate, give a larger size, or set "
                "freeze_batch_norm."
            ) from error
    return outputs


def network_input(images: Tensor, facts: Preprocessing) -> Tensor:
    """What the network takes: 8-bit pixels normalised, never resized, channels last.

    Volumes, which are floats, were prepared when they were read.
    """
    if images.ndim == 5:
        return images.contiguous(memory_format=torch.channels_last_3d)
    x = preprocess(unit_pixels(images), facts)
    return x.contiguous(memory_format=torch.channels_last) if x.ndim == 4 else x


def channels_last(network: nn.Module) -> nn.Module:
    """The network with its kernels' channels last, which makes convolutions faster."""
    if any(isinstance(module, nn.Conv3d) for module in network.modules()):
        return network.to(memory_format=torch.channels_last_3d)
    if any(isinstance(module, nn.Conv2d) for module in network.modules()):
        return network.to(memory_format=torch.channels_last)
    return network


def _to_device(batch: Batch, device: torch.device) -> Batch:
    return Batch(
        batch.images.to(device, non_blocking=True),
        None if batch.masks is None else batch.masks.to(device, non_blocking=True),
        None if batch.labels is None else batch.labels.to(device, non_blocking=True),
        batch.names,
    )


def _check_finite(value: Tensor, batch: Batch, step: int) -> None:
    if not torch.isfinite(value).all():
        raise NotFiniteError(
            f"The loss of step {step} is {float(value.detach())}, of the samples "
            f"{', '.join(batch.names)}; expected a number; lower learning_rate, set clip, or look "
            "at those samples.",
            batch=batch,
            step=step,
        )


def _is_half_on_cpu(accelerator: Accelerator) -> bool:
    """Whether channels must not come last: torch's bfloat16 convolutions on CPUs are wrong then."""
    return accelerator.device.type == "cpu" and accelerator.mixed_precision == "bf16"


def _check_device(recipe: Recipe, device: torch.device, network: nn.Module) -> None:
    is_of_images = not any(isinstance(module, nn.Conv3d) for module in network.modules())
    if device.type == "cpu" and recipe.precision == "bfloat16" and is_of_images:
        raise DataError(
            "precision is bfloat16 on a CPU, where convolutions with channels last give gradients "
            "that are no numbers; expected float32 there; set precision."
        )
    if device.type == "cpu" and recipe.precision == "float16":
        raise DataError(
            "precision is float16 on a CPU, which is for GPUs; expected float32 there; set "
            "precision."
        )
    if device.type == "cpu" and recipe.sync_batch_norm:
        raise DataError(
            "sync_batch_norm is true on a CPU, for which torch has none; set it to false, or "
            "freeze_batch_norm to true."
        )
