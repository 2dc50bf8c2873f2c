"""Learning-rate schedules: pure functions of the step that give a factor on the base rate.

Nothing is remembered between steps, so a resumed training needs only to know its step. Steps count
from 0 to `total_steps - 1`, one an optimiser update; `schedule_factor` is the way in.

| name | first step | last step | source |
|---|---|---|---|
| `constant` | 1 | 1 | |
| `poly` | 1 | (1 / total)^0.9 | DeepLab (Chen et al., 2016) |
| `cosine` | 1 | (1 + cos(π (1 - 1 / total))) / 2, nearly 0 | SGDR (Loshchilov and Hutter, 2017) |
| `one_cycle` | 1/25 | 1/250,000 | Smith and Topin, 2018, in PyTorch's form |
| `step` | 1 | 1/4 | ESPNet's training: halved after each third |
| `cyclic` | 1 | 5, 4, 3, 2 or 1, times 1/256 | ESPNetv2's classifiers |
| `hybrid` | 1 | 1 / (linear epochs + 1) | EdgeNets' segmentation |
"""

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Protocol

from atrous.errors import ShapeError, UnknownNameError

AUTHORS_CYCLIC_EPOCHS: Final = 300
AUTHORS_HALVINGS: Final = (51, 101, 131, 161, 191, 221, 251, 281)
"""Epochs of 300 at which the authors' cyclic schedule halves the rate; all begin a cycle of 5."""


class Schedule(Protocol):
    """The signature every schedule has here, so that names are interchangeable."""

    def __call__(self, step: int, total_steps: int, steps_per_epoch: int, /) -> float: ...


def constant(_step: int, _total_steps: int, _steps_per_epoch: int) -> float:
    """1 throughout."""
    return 1.0


def poly(step: int, total_steps: int, _steps_per_epoch: int = 1, *, power: float = 0.9) -> float:
    """(1 - step / total)^power: falls almost evenly, and to 0 one step after the last."""
    return (1 - step / total_steps) ** power


def cosine(step: int, total_steps: int, _steps_per_epoch: int = 1) -> float:
    """Half a cosine wave from 1, reaching 0 one step after the last."""
    return (1 + math.cos(math.pi * step / total_steps)) / 2


def one_cycle(
    step: int,
    total_steps: int,
    _steps_per_epoch: int = 1,
    *,
    rising_share: float = 0.3,
    start_divisor: float = 25.0,
    end_divisor: float = 1e4,
) -> float:
    """Up by half a cosine wave from 1 / start_divisor to 1, then down by another.

    The base rate is the highest one. It is reached at step `rising_share * total - 1`; the last
    step has 1 / (start_divisor * end_divisor). A single step has the start's factor.
    """
    start = 1 / start_divisor
    top = rising_share * total_steps - 1
    if step <= top:
        return _wave(start, 1.0, step / top if top else 0.0)
    if total_steps == 1:
        return start
    return _wave(1.0, start / end_divisor, (step - top) / (total_steps - 1 - top))


def stepwise(
    step: int,
    total_steps: int,
    _steps_per_epoch: int = 1,
    *,
    at: tuple[float, ...] = (1 / 3, 2 / 3),
    gamma: float = 0.5,
) -> float:
    """Times gamma at each share of the training in `at`: ESPNet's halving at 100 and 200 of 300."""
    return gamma ** sum(step / total_steps >= share for share in at)


def cyclic(
    step: int,
    total_steps: int,
    steps_per_epoch: int,
    *,
    cycle: int = 5,
    gamma: float = 0.5,
) -> float:
    """Per epoch: 1 as a warm-up, then cycles of 5, 4, 3, 2, 1, all halved eight times on the way.

    The base rate is the lowest of a cycle. Of 300 epochs the halvings come at the authors'; of
    another number in proportion, each at the nearest start of a cycle.

    Source: Mehta et al., "ESPNetv2", 2019, and its published training code, which rounds the rate
        to five decimals; this does not.
    """
    epoch = step // steps_per_epoch
    total_epochs = total_steps / steps_per_epoch
    cycle_index = max(0, epoch - 1) // cycle
    starts = (
        round((halving - 1) / AUTHORS_CYCLIC_EPOCHS * total_epochs / cycle)
        for halving in AUTHORS_HALVINGS
    )
    num_halvings = sum(epoch >= 1 and cycle_index >= start for start in starts)
    return _in_cycle(epoch, cycle) * gamma**num_halvings


def hybrid(
    step: int,
    total_steps: int,
    steps_per_epoch: int,
    *,
    cycle: int = 5,
    cyclic_share: float = 0.6,
) -> float:
    """Per epoch: 1 as a warm-up, cycles of 5, 4, 3, 2, 1, then straight down from below 1.

    The warm-up is followed by the whole cycles that fit in `cyclic_share` of the epochs: 1 and 60
    of the authors' 100. Of n linear epochs, the first has 1 - 1 / (n + 1) and the last 1 / (n + 1).

    Source: Mehta et al., "DiCENet", 2020, and its published training code (EdgeNets), which rounds
        the rate to six decimals; this does not.
    """
    epoch = step // steps_per_epoch
    total_epochs = math.ceil(total_steps / steps_per_epoch)
    num_cyclic = 1 + int(cyclic_share * total_epochs) // cycle * cycle
    if epoch < num_cyclic:
        return _in_cycle(epoch, cycle)
    return 1 - (epoch - num_cyclic + 1) / (total_epochs - num_cyclic + 1)


SCHEDULES: Final[Mapping[str, Schedule]] = MappingProxyType(
    {
        "constant": constant,
        "cosine": cosine,
        "cyclic": cyclic,
        "hybrid": hybrid,
        "one_cycle": one_cycle,
        "poly": poly,
        "step": stepwise,
    }
)


def schedule_factor(
    name: str, *, step: int, total_steps: int, steps_per_epoch: int, warmup_steps: int = 0
) -> float:
    """What to multiply the base learning rate with at one step of a training.

    A warm-up of W steps multiplies the schedule's own factor by 1/W, 2/W, … 1; the schedule runs on
    beneath it.

    Args:
        name: One of `SCHEDULES`.
        step: The update, from 0 to `total_steps - 1`.
        total_steps: Updates of the whole training.
        steps_per_epoch: Updates of one pass over the data.
        warmup_steps: From 0, no warm-up, to `total_steps`.

    Raises:
        UnknownNameError: If no schedule has that name.
        ShapeError: If a number is out of its range.

    Example:
        >>> schedule_factor("cosine", step=50, total_steps=100, steps_per_epoch=10)
        0.5
        >>> schedule_factor("constant", step=0, total_steps=9, steps_per_epoch=3, warmup_steps=4)
        0.25
    """
    if name not in SCHEDULES:
        raise UnknownNameError("schedule", name, SCHEDULES)
    if not 0 <= step < total_steps or steps_per_epoch < 1:
        raise ShapeError(
            f"Step {step} of {total_steps}, {steps_per_epoch} an epoch; expected a step from 0 to "
            "below the total, and at least one an epoch; correct them."
        )
    if not 0 <= warmup_steps <= total_steps:
        raise ShapeError(
            f"{warmup_steps} warm-up steps in a training of {total_steps}; expected 0 to "
            f"{total_steps}; shorten the warm-up."
        )
    factor = SCHEDULES[name](step, total_steps, steps_per_epoch)
    return factor * min(1.0, (step + 1) / warmup_steps) if warmup_steps else factor


def _wave(start: float, end: float, share: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2


def _in_cycle(epoch: int, cycle: int) -> int:
    return 1 if epoch == 0 else cycle - (epoch - 1) % cycle
