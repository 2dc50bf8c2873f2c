"""What a network says of one image or scan."""

import base64
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from atrous._files import write_atomically
from atrous.errors import DataError
from atrous.inference.overlay import overlay
from atrous.types import Colour


@dataclass(frozen=True, slots=True, kw_only=True)
class Classification:
    """Probabilities of the classes of a whole image.

    Attributes:
        probabilities: `(C,)` float32, summing to 1.
        class_names: Name of every class.
    """

    probabilities: Tensor
    class_names: tuple[str, ...]

    def top(self, count: int = 5) -> list[tuple[str, float]]:
        """The likeliest classes with their probabilities, likeliest first.

        Example:
            >>> import torch
            >>> Classification(
            ...     probabilities=torch.tensor([0.25, 0.75]), class_names=("cat", "dog")
            ... ).top(1)
            [('dog', 0.75)]
        """
        values, indices = self.probabilities.topk(min(count, len(self.class_names)))
        return [
            (self.class_names[index], value)
            for index, value in zip(indices.tolist(), values.tolist(), strict=True)
        ]


@dataclass(frozen=True, kw_only=True, eq=False)
class Prediction:
    """A mask, a class of the whole image, or both, and what their numbers mean.

    Attributes:
        class_names: Name of every class that a mask may hold.
        palette: Colour of every class, RGB of 8 bits.
        found_mask: `(*S)` uint8 class indices, of the size of the image; None of a classifier.
        probabilities: `(C, *S)` float32 of the same size, where they were asked for; `(1, *S)` of
            one class where only that one was.
        spacing: Physical size of a pixel along each axis of S, where the image has one: mm for
            volumes, µm for slides.
        label_probabilities: `(L,)` float32, of the classes of the whole image, where the network
            gives such.
        label_names: Name of each of `label_probabilities`.
        image: `(H, W, 3)` RGB of 8 bits that was given, to draw over; None where it is not kept.
    """

    class_names: tuple[str, ...] = ()
    palette: tuple[Colour, ...] = ()
    found_mask: Tensor | None = None
    probabilities: Tensor | None = None
    spacing: tuple[float, ...] | None = None
    label_probabilities: Tensor | None = None
    label_names: tuple[str, ...] = ()
    image: NDArray[np.uint8] | None = None

    @property
    def mask(self) -> Tensor:
        """`(*S)` uint8 class indices, of the size of the image that was given.

        Raises:
            DataError: If the network only classifies whole images.
        """
        if self.found_mask is None:
            raise DataError(
                "This prediction is of a classifier and has no mask; expected a network for "
                "segmentation; use `label` or `top()`."
            )
        return self.found_mask

    @property
    def label(self) -> Classification | None:
        """What a network that classifies says of the whole image; None of others.

        Example:
            >>> Prediction(
            ...     label_probabilities=torch.tensor([0.25, 0.75]),
            ...     label_names=("benign", "invasive"),
            ... ).label.top(1)
            [('invasive', 0.75)]
        """
        if self.label_probabilities is None:
            return None
        return Classification(probabilities=self.label_probabilities, class_names=self.label_names)

    def top(self, count: int = 5) -> list[tuple[str, float]]:
        """The likeliest classes of the whole image with their probabilities, likeliest first.

        Raises:
            DataError: If the network gives masks only.
        """
        if self.label is None:
            raise DataError(
                "This prediction is a mask and has no class of the whole image; expected a "
                "classifier or a joint network; use `mask` or `shares()`."
            )
        return self.label.top(count)

    def shares(self) -> dict[str, float]:
        """Part of the image that each class covers, by class name; they sum to 1.

        Raises:
            DataError: If the network only classifies whole images.

        Example:
            >>> mask = torch.tensor([[0, 0], [0, 1]], dtype=torch.uint8)
            >>> Prediction(
            ...     found_mask=mask, class_names=("road", "car"), palette=((0, 0, 0), (255, 0, 0))
            ... ).shares()
            {'road': 0.75, 'car': 0.25}
        """
        counts = torch.bincount(self.mask.flatten(), minlength=len(self.class_names))
        return {
            name: count / self.mask.numel()
            for name, count in zip(self.class_names, counts.tolist(), strict=True)
        }

    def save(self, path: str | Path) -> None:
        """Write the mask as an indexed PNG: pixel values are class indices, shown in their colours.

        Raises:
            DataError: If there is no mask of an image, or the file cannot be written.
        """
        if Path(path).suffix.lower() != ".png":
            raise DataError(f"{path}: expected a name that ends in .png; give another.")
        picture = mask_picture(self)
        with write_atomically(Path(path)) as file:
            picture.save(file, format="PNG")

    def overlay(self) -> Image.Image:
        """The image tinted by class, with a legend that has the share of every class.

        Raises:
            DataError: If there is no mask, or the image was not kept.
        """
        if self.image is None:
            raise DataError(
                "The image of this prediction was not kept; expected a prediction by "
                "`Model.predict` of one RGB image; draw with `atrous.inference.overlay` instead."
            )
        return overlay(self.image, self.mask.numpy(), names=self.class_names, palette=self.palette)

    def show(self) -> None:
        """Open the overlay in the machine's viewer of pictures.

        Raises:
            DataError: As `overlay`.
        """
        self.overlay().show()

    def _repr_html_(self) -> str | None:
        """What a notebook shows: the overlay, or the likeliest classes; None leaves it to repr."""
        if self.image is not None and self.found_mask is not None:
            buffer = io.BytesIO()
            self.overlay().save(buffer, format="PNG")
            data = base64.b64encode(buffer.getvalue()).decode("ascii")
            return f'<img alt="overlay" src="data:image/png;base64,{data}">'
        if self.label is not None:
            from html import escape

            rows = "".join(
                f"<tr><td>{escape(name)}</td><td>{probability:.1%}</td></tr>"
                for name, probability in self.top()
            )
            return f"<table>{rows}</table>"
        return None

    def __repr__(self) -> str:
        size = None if self.found_mask is None else tuple(self.found_mask.shape)
        said = f"mask of {'x'.join(map(str, size))}" if size else ""
        if self.label is not None:
            name, probability = self.top(1)[0]
            said = f"{said + ', ' if said else ''}{name} {probability:.1%}"
        return f"{type(self).__name__}({said}, {len(self.class_names)} classes)"


def mask_picture(prediction: Prediction) -> Image.Image:
    """The mask as an indexed picture: pixel values are class indices, shown in their colours.

    Raises:
        DataError: If the mask is not `(H, W)`.
    """
    if prediction.mask.ndim != 2:
        raise DataError(
            f"The mask has {prediction.mask.ndim} axes; expected (H, W); save volumes as NIfTI."
        )
    picture = Image.fromarray(prediction.mask.numpy())
    picture.putpalette([channel for colour in prediction.palette for channel in colour])
    return picture
