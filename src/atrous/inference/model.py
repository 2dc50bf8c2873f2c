"""A network with its card, ready to be given pictures or scans: what every model has in common."""

import hashlib
from abc import ABC, abstractmethod
from functools import cached_property
from io import IOBase
from pathlib import Path
from typing import Any, ClassVar, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image as PILImage
from torch import Tensor, nn

from atrous._files import sha256_of
from atrous.data.volumes.geometry import Volume
from atrous.inference.prediction import Prediction
from atrous.networks.card import Card
from atrous.runtimes.engine import Engine
from atrous.types import Kind

Image: TypeAlias = str | Path | bytes | IOBase | PILImage.Image | NDArray[np.generic] | Tensor
"""A file, its bytes, or it open for bytes; a PIL image; an array `(H, W, 3)` or `(H, W)` of 8 bits;
or a tensor `(C, H, W)` of 8 bits or of floats in [0, 1]."""

Input: TypeAlias = Image | Volume
"""What models take: an image, or a scan as a file, a `Volume`, or an array or tensor."""


class Model(ABC):
    """A network with its card, ready to run.

    Attributes:
        kind: What the model takes: `photos` (which may be parts of slides) or `volumes`.
        network: The plain network in eval mode; it takes prepared tensors, as in training.
        card: What the network is, what it must be fed, what its classes mean.
        device: Where the network runs.
        file: The weights file; None of a network that was given in memory.
        engine: What runs the network in torch's place, if anything does.
    """

    kind: ClassVar[Kind]
    network: nn.Module
    card: Card
    device: torch.device
    file: Path | None = None
    engine: Engine | None = None

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the weights file; of the card and the tensors where there is none.

        An engine other than torch rounds otherwise, so it counts too.
        """
        if self.file is not None:
            found = sha256_of(self.file)
            if self.engine is None:
                return found
            return hashlib.sha256(f"{found} {self.engine}".encode()).hexdigest()
        digest = hashlib.sha256(self.card.to_json().encode())
        for name, tensor in self.network.state_dict().items():
            digest.update(name.encode())
            digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()

    @abstractmethod
    def predict(self, x: Any) -> Prediction:  # noqa: ANN401 - each kind names what it takes
        """What the network says of one image or scan.

        Raises:
            DataError: If a file cannot be read, or the input would not fit into memory.
            ShapeError: If an array or tensor is of another shape, type or range.
        """

    def __repr__(self) -> str:
        classes = ", ".join(self.card.class_names[:4])
        more = f" and {len(self.card.class_names) - 4} more" * (len(self.card.class_names) > 4)
        return f"Model({self.card.name}: {self.card.task} of {self.kind}; {classes}{more})"
