"""What is known of a checkpoint besides its tensors."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from torch import Tensor

from atrous.errors import DataError, UnknownNameError
from atrous.networks.catalog import Argument
from atrous.networks.label_sets import LABEL_SETS, LabelSet, numbered_labels
from atrous.types import Size

AUTHORS_LICENCE = "see the authors' repository; this file is a conversion of theirs"

_SIZE_IN_NAME = re.compile(r"(?<!\d)(\d{2,5})x(\d{2,5})(?!\d)")

Converted: TypeAlias = tuple[str, dict[str, Argument], dict[str, Tensor]]
"""Network name, factory arguments, tensors by our names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointInfo:
    """The file, and what its owner says about it.

    Example:
        >>> CheckpointInfo(path=Path("espnetv2_s_2.0_city_1024x512.pth")).size_in_name
        (512, 1024)
    """

    path: Path
    data: str | None = None
    """What it was trained on; None to tell by the number of classes."""
    size: Size | None = None
    """Spatial size it was trained at; None to tell by the name or the data."""

    @property
    def size_in_name(self) -> Size | None:
        """`(H, W)` that the file's name holds as the authors write it, width first; or None."""
        match = _SIZE_IN_NAME.search(self.path.name)
        return (int(match[2]), int(match[1])) if match else None

    def training_data(
        self, network: str, num_classes: int, *, by_classes: Mapping[int, str]
    ) -> str:
        """The data set's name, given or told by the number of classes.

        Args:
            network: For the message.
            num_classes: Of the checkpoint.
            by_classes: The data sets that the authors of this network trained on.

        Raises:
            DataError: If it is not given and no data set has so many classes.
            UnknownNameError: If it is given and not one of the authors'.
        """
        known = tuple(by_classes.values())
        if self.data is not None:
            if self.data not in known:
                raise UnknownNameError(f"training data of {network}", self.data, known)
            return self.data
        if num_classes not in by_classes:
            would_be = ", ".join(f"{number} would be {name}" for number, name in by_classes.items())
            raise DataError(
                f"{self.path} has {num_classes} classes, so its training data is not known "
                f"({would_be}); name the preprocessing with --data {' or '.join(known)}."
            )
        return by_classes[num_classes]


def labels_for(data: str, num_classes: int) -> LabelSet:
    """The data set's classes, or numbers if the network has another number of them."""
    labels = LABEL_SETS[data]
    return labels if len(labels.names) == num_classes else numbered_labels(num_classes)


def whole_number(arguments: Mapping[str, Argument], name: str) -> int:
    """An argument that a converter has read from a tensor's shape."""
    value = arguments[name]
    assert isinstance(value, int)  # the converters give no other
    return value
