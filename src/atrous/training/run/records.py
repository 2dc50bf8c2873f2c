"""What a training run tells of itself: of every step, and of every epoch that was evaluated."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from atrous.training.fit import Step


@dataclass(frozen=True, slots=True)
class EpochRecord:
    """An epoch that was evaluated, as `metrics.jsonl` keeps it.

    Attributes:
        epoch: How many epochs are done.
        step: How many steps are.
        seconds: Of training and evaluation so far, over all sittings.
        images_per_second: Of training, since the last record.
        learning_rate: Of the last step.
        losses: Means since the last record.
        scores: In percent.
        class_iou: In percent.
        is_best: Whether these are the best weights so far.
    """

    epoch: int
    step: int
    seconds: float
    images_per_second: float
    learning_rate: float
    losses: Mapping[str, float]
    scores: Mapping[str, float]
    class_iou: Mapping[str, float]
    is_best: bool

    def to_json(self) -> dict[str, object]:
        """Plain values; what is no number is None."""
        return {
            "epoch": self.epoch,
            "step": self.step,
            "seconds": round(self.seconds, 1),
            "images_per_second": round(self.images_per_second, 2),
            "learning_rate": self.learning_rate,
            "losses": dict(self.losses),
            "scores": {name: _or_none(value) for name, value in self.scores.items()},
            "class_iou": {name: _or_none(value) for name, value in self.class_iou.items()},
            "is_best": self.is_best,
        }


@dataclass(frozen=True, slots=True)
class Progress:
    """A step that was done, and the record of its epoch if that was evaluated."""

    step: Step
    record: EpochRecord | None


@dataclass(slots=True)
class RunningMeans:
    """What a record is made of, since the last one; kept in checkpoints."""

    losses: dict[str, float] = field(default_factory=dict)
    num_steps: int = 0
    num_images: int = 0
    training_seconds: float = 0.0
    seconds: float = 0.0
    best: float = -math.inf

    def add(self, step: Step, seconds: float) -> None:
        """Take a step in that took so many seconds."""
        for name, value in step.losses.items():
            self.losses[name] = self.losses.get(name, 0.0) + value
        self.num_steps += 1
        self.num_images += step.num_images
        self.training_seconds += seconds
        self.seconds += seconds

    def begin_anew(self) -> None:
        """Forget what was recorded, but for the whole time and the best score."""
        self.losses, self.num_steps, self.num_images, self.training_seconds = {}, 0, 0, 0.0

    def state(self) -> dict[str, Any]:
        """For checkpoints."""
        return {name: getattr(self, name) for name in self.__slots__}


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else round(value, 4)
