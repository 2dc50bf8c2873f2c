"""A network with its card, ready to be given images."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Generic, TypeAlias, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name everybody reads

from atrous.data.photos.read import read_rgb8
from atrous.errors import DataError, ShapeError
from atrous.inference.fold import fold
from atrous.inference.prediction import Classification, Prediction
from atrous.inference.tiles.fits import check_memory
from atrous.networks.card import Card
from atrous.networks.catalog import Task
from atrous.networks.mask_resize import masks_of
from atrous.networks.preprocessing.images import preprocess
from atrous.networks.shipped import resolve_weights
from atrous.networks.weights import load_weights

Image: TypeAlias = str | Path | NDArray[np.uint8] | Tensor
"""A file, an RGB array `(H, W, 3)` of 8 bits, or a tensor `(C, *S)` in [0, 1]."""

T = TypeVar("T", Prediction, Classification)


class _LoadedNetwork(ABC, Generic[T]):
    """What predictors of masks and of labels share: preprocessing, and a fast form to run.

    Attributes:
        network: The plain network in eval mode; takes normalised tensors, as trained.
        fast_network: The same function for inference only: folded, channels last.
        card: What it is, what it must be fed, what its classes mean.
    """

    tasks: tuple[Task, ...]

    def __init__(
        self, network: nn.Module, card: Card, *, device: torch.device | str = "cpu"
    ) -> None:
        if card.task not in self.tasks:
            raise DataError(
                f"{card.name} is a network for {card.task}, but one for "
                f"{' or '.join(self.tasks)} is needed; take another file."
            )
        self.network = network.eval().to(device)
        self.card = card
        self.device = torch.device(device)
        # The fast form: folded, and channels last where that layout exists and is faster.
        self.fast_network = fold(network).to(device)
        if any(isinstance(module, nn.Conv2d) for module in self.fast_network.modules()):
            self.fast_network = self.fast_network.to(memory_format=torch.channels_last)

    def predict(self, image: Image) -> T:
        """What the network says of one image.

        Raises:
            DataError: If the file cannot be read, or the image would not fit into memory.
            ShapeError: If the array or tensor is of another shape or type.
        """
        return self._predict(_pixels(image)[None])[0]

    def predict_batch(self, images: Sequence[NDArray[np.uint8]]) -> list[T]:
        """What it says of RGB images `(H, W, 3)` of 8 bits and one size, run together.

        Raises:
            DataError: If the images would not fit into memory.
            ShapeError: If the images differ in size, or are of another shape or type.
        """
        if not images:
            return []
        return self._predict(_stacked(images))

    @abstractmethod
    def _predict(self, pixels: Tensor) -> list[T]:
        """`(B, C, *S)`, of 8 bits or in [0, 1], to B results."""

    def _run(self, pixels: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """Preprocess and run; under the caller's inference mode."""
        if self.device.type == "cpu":
            size = self.card.preprocessing.size or tuple(pixels.shape[2:])
            check_memory(self.fast_network, size, num_channels=pixels.shape[1])
        x = pixels.to(self.device)
        x = x.float().div_(255) if x.dtype == torch.uint8 else x.float()
        x = preprocess(x, self.card.preprocessing)
        if x.ndim == 4:
            x = x.contiguous(memory_format=torch.channels_last)
        return self.fast_network(x)


class Predictor(_LoadedNetwork[Prediction]):
    """Give it an image of any size, get a mask of that size; and its label, of a joint network."""

    tasks: tuple[Task, ...] = ("segmentation", "joint")

    @torch.inference_mode()
    def predict_probabilities(self, image: Image) -> Prediction:
        """As `predict`, with the probability of every class: `C * 4` bytes per pixel more."""
        classes = range(len(self.card.class_names))
        return self._masks(_pixels(image)[None], probable_classes=classes)[0]

    @torch.inference_mode()
    def predict_foreground(
        self, images: Sequence[NDArray[np.uint8]], *, foreground: int
    ) -> list[Prediction]:
        """As `predict_batch`, each with the probability of one class alone, `(1, H, W)`.

        Args:
            images: RGB `(H, W, 3)` of 8 bits and one size.
            foreground: Index of the class, such as `foreground_class` gives.
        """
        if not images:
            return []
        return self._masks(_stacked(images), probable_classes=range(foreground, foreground + 1))

    @torch.inference_mode()
    def _predict(self, pixels: Tensor) -> list[Prediction]:
        return self._masks(pixels, probable_classes=range(0))

    def _masks(self, pixels: Tensor, *, probable_classes: range) -> list[Prediction]:
        size = pixels.shape[2:]
        logits, labels = self._mask_and_label_logits(pixels)
        masks = masks_of(logits, tuple(size), resize=self.card.mask_resize)
        probabilities = None
        if probable_classes:
            probabilities = logits.softmax(1)[:, probable_classes.start : probable_classes.stop]
            if probabilities.shape[2:] != size:
                mode = "trilinear" if pixels.ndim == 5 else "bilinear"
                probabilities = F.interpolate(probabilities, size=size, mode=mode)
        label_probabilities = None if labels is None else labels.softmax(1).cpu()
        return [
            Prediction(
                mask=mask.cpu(),
                class_names=self.card.class_names,
                palette=self.card.palette,
                probabilities=None if probabilities is None else probabilities[index].cpu(),
                label_probabilities=(
                    None if label_probabilities is None else label_probabilities[index]
                ),
                label_names=() if labels is None else self._label_names(labels.shape[1]),
            )
            for index, mask in enumerate(masks)
        ]

    def _mask_and_label_logits(self, pixels: Tensor) -> tuple[Tensor, Tensor | None]:
        output = self._run(pixels)
        if isinstance(output, Tensor) == (self.card.task == "joint"):
            raise DataError(
                f"{self.card.name} gives {'one output' if isinstance(output, Tensor) else 'a pair'}"
                f", but its card says that its task is {self.card.task}; mend the card."
            )
        return (output, None) if isinstance(output, Tensor) else output

    def _label_names(self, num_labels: int) -> tuple[str, ...]:
        """The card's, or numbers where it names none."""
        names = self.card.label_names or tuple(f"label {index}" for index in range(num_labels))
        if len(names) != num_labels:
            raise DataError(
                f"The card of {self.card.name} names {len(names)} labels, but the network gives "
                f"{num_labels}; mend the card."
            )
        return names


class LabelPredictor(_LoadedNetwork[Classification]):
    """Give it an image, get the probability of every class."""

    tasks: tuple[Task, ...] = ("classification",)

    @torch.inference_mode()
    def _predict(self, pixels: Tensor) -> list[Classification]:
        return [
            Classification(probabilities=row.cpu(), class_names=self.card.class_names)
            for row in self._label_logits(pixels).softmax(1)
        ]

    def _label_logits(self, pixels: Tensor) -> Tensor:
        output = self._run(pixels)
        if not isinstance(output, Tensor):
            raise DataError(
                f"{self.card.name} gives a pair, but its card says that it only classifies; "
                "mend the card."
            )
        return output


def load(path: str | Path, *, device: torch.device | str = "cpu") -> Predictor | LabelPredictor:
    """A predictor from one weights file, which holds its card: of masks or of labels by its task.

    Args:
        path: The file, or the name of a model that the package ships (`SHIPPED`); such a name wins
            over a file of that name, which is meant by a `Path` or `./NAME`.
        device: Where it runs.

    Raises:
        DataError: If the file is not one that `save_weights` or `atrous convert` wrote.
        UnknownNameError: If a text is neither a path nor the name of a shipped model.
    """
    weights = load_weights(_file(path))
    if weights.card.task == "classification":
        return LabelPredictor(weights.network, weights.card, device=device)
    return Predictor(weights.network, weights.card, device=device)


def load_segmenter(path: str | Path, *, device: torch.device | str = "cpu") -> Predictor:
    """As `load`, for callers that need masks.

    Raises:
        DataError: If the file cannot be loaded, or its network gives labels.
        UnknownNameError: If a text is neither a path nor the name of a shipped model.
    """
    weights = load_weights(_file(path))
    return Predictor(weights.network, weights.card, device=device)


def _file(path: str | Path) -> Path:
    return resolve_weights(path) if isinstance(path, str) else path


def _stacked(images: Sequence[NDArray[np.uint8]]) -> Tensor:
    """`(B, 3, H, W)` of images of one size."""
    shapes = {image.shape for image in images}
    if len(shapes) > 1:
        raise ShapeError(f"A batch holds images of shapes {sorted(shapes)}; give one size.")
    return torch.stack([_pixels(image) for image in images])


def _pixels(image: Image) -> Tensor:
    """`(C, *S)`; an array keeps its memory."""
    if isinstance(image, Tensor):
        return image
    if isinstance(image, str | Path):
        image = read_rgb8(Path(image))
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise ShapeError(
            f"An array of shape {image.shape} and type {image.dtype} was given, expected RGB of "
            f"shape (H, W, 3) and type uint8; convert it, or give a tensor (C, *S) in [0, 1]."
        )
    return torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)
