"""TensorBoard's event files, for those who watch trainings there."""

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from atrous._extras import require


class Record(Protocol):
    """What an evaluated epoch reached, as `training.run.run.EpochRecord`."""

    @property
    def step(self) -> int: ...
    @property
    def learning_rate(self) -> float: ...
    @property
    def losses(self) -> Mapping[str, float]: ...
    @property
    def scores(self) -> Mapping[str, float]: ...


def write_events(folder: Path, record: Record) -> None:
    """Add a record's losses, scores and learning rate to the events of a folder.

    Raises:
        MissingExtraError: If TensorBoard is not installed.
    """
    require("tensorboard", extra="tensorboard")
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(str(folder)) as writer:
        for group, values in (("loss", record.losses), ("score", record.scores)):
            for name, value in values.items():
                writer.add_scalar(f"{group}/{name}", value, record.step)
        writer.add_scalar("learning_rate", record.learning_rate, record.step)
