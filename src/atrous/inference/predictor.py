"""A network with its card, ready to be given images."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name everybody reads

from atrous.data.readers.image import read_rgb8
from atrous.errors import DataError, ShapeError
from atrous.inference.folding import fold
from atrous.inference.memory import check_memory
from atrous.inference.prediction import Prediction
from atrous.networks.card import Card
from atrous.networks.preprocessing import preprocess
from atrous.networks.weights import load_weights


class Predictor:
    """Give it an image of any size, get a mask of that size.

    Attributes:
        network: The plain network in eval mode; takes normalised tensors, as trained.
        fast_network: The same function for inference only: folded, channels last.
        card: What it is, what it must be fed, what its classes mean.
    """

    def __init__(
        self, network: nn.Module, card: Card, *, device: torch.device | str = "cpu"
    ) -> None:
        if card.task != "segmentation":
            raise DataError(
                f"{card.name} is a network for {card.task}; prediction of masks needs one for "
                f"segmentation."
            )
        self.network = network.eval().to(device)
        self.card = card
        self.device = torch.device(device)
        # The fast form: folded, and channels last where that layout exists and is faster.
        self.fast_network = fold(network).to(device)
        if any(isinstance(module, nn.Conv2d) for module in self.fast_network.modules()):
            self.fast_network = self.fast_network.to(memory_format=torch.channels_last)

    def predict(
        self, image: str | Path | NDArray[np.uint8] | Tensor, *, with_probabilities: bool = False
    ) -> Prediction:
        """The mask of one image.

        Args:
            image: A file, an RGB array `(H, W, 3)` of 8 bits, or a tensor `(C, *S)` in [0, 1].
            with_probabilities: Also give the softmax of the logits: `C * 4` bytes per pixel.

        Raises:
            DataError: If the file cannot be read, or the image would not fit into memory.
            ShapeError: If the array or tensor is of another shape or type.
        """
        if isinstance(image, str | Path):
            image = read_rgb8(Path(image))
        pixels = image if isinstance(image, Tensor) else _tensor(image)
        return self._predict(pixels[None], with_probabilities=with_probabilities)[0]

    def predict_batch(self, images: Sequence[NDArray[np.uint8]]) -> list[Prediction]:
        """The masks of RGB images `(H, W, 3)` of 8 bits and one size, in one run of the network.

        Raises:
            ShapeError: If the images differ in size, or are of another shape or type.
        """
        if not images:
            return []
        shapes = {image.shape for image in images}
        if len(shapes) > 1:
            raise ShapeError(f"A batch holds images of shapes {sorted(shapes)}; give one size.")
        return self._predict(torch.stack([_tensor(image) for image in images]))

    @torch.inference_mode()
    def _predict(self, pixels: Tensor, *, with_probabilities: bool = False) -> list[Prediction]:
        """`(B, C, *S)`, of 8 bits or in [0, 1], to B predictions of size S."""
        size = pixels.shape[2:]
        if self.device.type == "cpu":
            input_size = self.card.preprocessing.size or tuple(size)
            check_memory(self.fast_network, input_size, num_channels=pixels.shape[1])
        x = pixels.to(self.device)
        x = x.float().div_(255) if x.dtype == torch.uint8 else x.float()
        x = preprocess(x, self.card.preprocessing)
        if x.ndim == 4:
            x = x.contiguous(memory_format=torch.channels_last)
        logits = self.fast_network(x)
        masks = logits.argmax(1).to(torch.uint8)
        if masks.shape[1:] != size:
            masks = F.interpolate(masks[:, None], size=size, mode="nearest-exact")[:, 0]
        probabilities = None
        if with_probabilities:
            probabilities = logits.softmax(1)
            if probabilities.shape[2:] != size:
                mode = "trilinear" if x.ndim == 5 else "bilinear"
                probabilities = F.interpolate(probabilities, size=size, mode=mode)
        return [
            Prediction(
                mask=mask.cpu(),
                class_names=self.card.class_names,
                palette=self.card.palette,
                probabilities=None if probabilities is None else probabilities[index].cpu(),
            )
            for index, mask in enumerate(masks)
        ]


def load(path: str | Path, *, device: torch.device | str = "cpu") -> Predictor:
    """A predictor from one weights file, which holds its card.

    Raises:
        DataError: If the file is not one that `save_weights` or `atrous convert` wrote.
    """
    weights = load_weights(Path(path))
    return Predictor(weights.network, weights.card, device=device)


def _tensor(image: NDArray[np.uint8]) -> Tensor:
    """`(H, W, 3)` to `(3, H, W)`, the same memory."""
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise ShapeError(
            f"An array of shape {image.shape} and type {image.dtype} was given, expected RGB of "
            f"shape (H, W, 3) and type uint8; convert it, or give a tensor (C, *S) in [0, 1]."
        )
    return torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)
