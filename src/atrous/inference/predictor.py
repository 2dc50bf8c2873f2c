"""A network with its card, ready to be given images."""

import io
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image as PILImage
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name everybody reads

from atrous.data.inputs import is_slide_file
from atrous.data.photos.bands import RGB, picture_of_bands, read_bands_like
from atrous.data.photos.raster import open_raster_bytes
from atrous.data.photos.read import as_rgb8, read_rgb8
from atrous.errors import DataError, ShapeError
from atrous.inference.fold import fold
from atrous.inference.model import Image, Model
from atrous.inference.prediction import Prediction
from atrous.inference.tiles.memory import check_memory
from atrous.networks.card import Card
from atrous.networks.mask_resize import logits_to_masks
from atrous.networks.preprocessing.images import preprocess, unit_pixels
from atrous.runtimes.engine import Engine


class Predictor(Model):
    """A model of photos: give it an image of any size, get a mask of that size, a class, or both.

    Attributes:
        network: The plain network in eval mode; it takes normalised tensors, as in training.
        fast_network: The same function for inference only: folded, channels last; or the engine
            that was given.
        card: What the network is, what it must be fed, what its classes mean.
        device: Where the network runs.
    """

    kind = "photos"

    def __init__(
        self,
        network: nn.Module,
        card: Card,
        *,
        device: torch.device | str = "cpu",
        engine: Engine | None = None,
    ) -> None:
        if card.volume is not None:
            raise DataError(
                f"{card.name} is a network for volumes, but one for photos is needed; give it "
                "scans (.nii, .nii.gz), or take another file."
            )
        self.network = network.eval().to(device)
        self.card = card
        self.device = torch.device(device)
        self.engine = engine
        self.fast_network: nn.Module
        if engine is not None:
            self.fast_network = engine
            return
        # The fast form: folded, and channels last where that layout exists and is faster.
        self.fast_network = fold(network).to(device)
        if any(isinstance(module, nn.Conv2d) for module in self.fast_network.modules()):
            self.fast_network = self.fast_network.to(memory_format=torch.channels_last)

    def predict(self, x: Image) -> Prediction:
        """What the network says of one image; the result keeps an RGB image to draw over.

        Args:
            x: A file, a PIL image, an array `(H, W, 3)` or `(H, W)` of 8 bits, or a tensor
                `(C, *S)` of 8 bits or of floats in [0, 1].

        Raises:
            DataError: If the file cannot be read, or the image would not fit into memory.
            ShapeError: If the array or tensor is of another shape, type or range.
        """
        if isinstance(x, str | Path) and self.num_channels != RGB:
            x = read_bands_like(x, self.num_channels)
        pixels = pixels_of(x)
        (prediction,) = self._predict(pixels[None])
        return replace(prediction, image=_to_draw_over(pixels))

    @property
    def num_channels(self) -> int:
        """Channels of the images that the network takes."""
        return len(self.card.preprocessing.mean)

    def predict_batch(self, images: Sequence[NDArray[np.uint8 | np.float32]]) -> list[Prediction]:
        """What the network says of RGB images `(H, W, 3)` of 8 bits and one size, run together.

        Raises:
            DataError: If the images would not fit into memory.
            ShapeError: If the images differ in size, or are of another shape or type.
        """
        if not images:
            return []
        return self._predict(_stacked(images))

    def _run(self, pixels: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """Preprocess and run; under the caller's inference mode."""
        if self.device.type == "cpu":
            facts, size = self.card.preprocessing, tuple(pixels.shape[2:])
            if facts.shorter_side is not None:  # of which the middle is cut out
                size = tuple(facts.shorter_side * length // min(size) for length in size)
            elif facts.size is not None:
                size = facts.size
            measured = self.fast_network if self.engine is None else self.network
            check_memory(measured, size, num_channels=pixels.shape[1])
        x = pixels.to(self.device)
        x = preprocess(unit_pixels(x), self.card.preprocessing)
        if x.ndim == 4:
            x = x.contiguous(memory_format=torch.channels_last)
        return self.fast_network(x)

    @torch.inference_mode()
    def predict_probabilities(self, image: Image) -> Prediction:
        """As `predict`, with the probability of every class: `C * 4` bytes per pixel more."""
        classes = range(len(self.card.class_names))
        return self._masks(pixels_of(image)[None], probable_classes=classes)[0]

    @torch.inference_mode()
    def predict_foreground(
        self, images: Sequence[NDArray[np.uint8 | np.float32]], *, foreground: int
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
        if self.card.task == "classification":
            return self._labels(pixels)
        return self._masks(pixels, probable_classes=range(0))

    def _labels(self, pixels: Tensor) -> list[Prediction]:
        output = self._run(pixels)
        if not isinstance(output, Tensor):
            raise DataError(
                f"{self.card.name} gives a pair, but its card says that it only classifies; "
                "mend the card."
            )
        names = self.card.class_names
        return [
            Prediction(class_names=names, label_probabilities=row.cpu(), label_names=names)
            for row in output.softmax(1)
        ]

    def _masks(self, pixels: Tensor, *, probable_classes: range) -> list[Prediction]:
        size = pixels.shape[2:]
        logits, labels = self._mask_and_label_logits(pixels)
        masks = logits_to_masks(logits, tuple(size), resize=self.card.mask_resize)
        probabilities = None
        if probable_classes:
            probabilities = logits.softmax(1)[:, probable_classes.start : probable_classes.stop]
            if probabilities.shape[2:] != size:
                mode = "trilinear" if pixels.ndim == 5 else "bilinear"
                probabilities = F.interpolate(probabilities, size=size, mode=mode)
        label_probabilities = None if labels is None else labels.softmax(1).cpu()
        return [
            Prediction(
                found_mask=mask.cpu(),
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


def _stacked(images: Sequence[NDArray[np.uint8 | np.float32]]) -> Tensor:
    """`(B, 3, H, W)` of images of one size."""
    shapes = {image.shape for image in images}
    if len(shapes) > 1:
        raise ShapeError(f"A batch holds images of shapes {sorted(shapes)}; give one size.")
    return torch.stack([pixels_of(image) for image in images])


def pixels_of(image: Image) -> Tensor:
    """`(C, *S)` of 8 bits or of floats in [0, 1]; a writable array keeps its memory.

    Raises:
        ShapeError: If it is none of what `Image` names.
    """
    if isinstance(image, Tensor):
        return _checked(image)
    if isinstance(image, str | Path):
        image = _read(Path(image))
    elif isinstance(image, PILImage.Image):
        image = as_rgb8(image)
    elif isinstance(image, bytes | bytearray | memoryview):
        image = as_rgb8(open_raster_bytes(bytes(image)))
    elif isinstance(image, io.IOBase):
        image = as_rgb8(open_raster_bytes(_all_of(image), name="the file"))
    if not isinstance(image, np.ndarray):
        raise ShapeError(
            f"A {type(image).__name__} was given; expected a path, a file's bytes, a file open for "
            "them, a PIL image, an array (H, W, 3) of 8 bits, or a tensor (C, H, W); give one of "
            "these, and of several each by itself or atrous.predict(model, files, out)."
        )
    if not image.flags.writeable:  # torch warns of memory that must not change
        image = image.copy()
    if image.dtype == np.float32 and image.ndim == 3 and image.shape[2] != RGB and image.size:
        return torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)
    if image.dtype == np.uint8 and image.ndim == 2:
        image = np.repeat(image[:, :, np.newaxis], 3, axis=2)
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
        raise ShapeError(
            f"An array of shape {image.shape} and type {image.dtype} was given, expected RGB of "
            f"shape (H, W, 3) and type uint8; convert it, or give a tensor (C, *S) in [0, 1]."
        )
    return torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)


def _all_of(file: io.IOBase) -> bytes:
    data = getattr(file, "read", str)()
    if not isinstance(data, bytes):
        raise ShapeError(
            "A file open for text was given; expected one open for bytes; open it with 'rb'."
        )
    return data


def _read(path: Path) -> NDArray[np.uint8]:
    try:
        return read_rgb8(path)
    except DataError as error:
        if path.is_file() and is_slide_file(path):
            raise DataError(
                f"{path} is a whole slide, too large to be one image; expected a photo; run it "
                "tile by tile into a folder: atrous.predict(model, slide, out)."
            ) from error
        raise


def _checked(image: Tensor) -> Tensor:
    """The tensor itself, if its numbers can only be meant in one way."""
    if not image.numel() or image.ndim < 3:
        raise ShapeError(
            f"A tensor of shape {tuple(image.shape)} was given; expected (C, *S) and no length of "
            "0; add the missing axes."
        )
    if image.dtype == torch.uint8:
        return image
    if not image.is_floating_point():
        raise ShapeError(
            f"A tensor of type {image.dtype} was given; expected uint8, or floats in [0, 1]; "
            "convert it."
        )
    low, high = image.aminmax()
    if not (low >= 0 and high <= 1):  # not-a-number is neither
        raise ShapeError(
            f"A tensor of floats from {low.item():g} to {high.item():g} was given; expected floats "
            "in [0, 1], or uint8 up to 255; divide it, or convert it."
        )
    return image


def _to_draw_over(pixels: Tensor) -> NDArray[np.uint8] | None:
    """`(H, W, 3)` of 8 bits; None for what is no image."""
    if pixels.ndim != 3:
        return None
    if pixels.shape[0] != RGB:
        return picture_of_bands(pixels.permute(1, 2, 0).cpu().float().numpy())
    if pixels.dtype != torch.uint8:
        pixels = pixels.detach().mul(255).round().to(torch.uint8)
    return pixels.permute(1, 2, 0).cpu().numpy()
