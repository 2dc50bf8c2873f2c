"""What a segmenter says of one image."""

from dataclasses import dataclass

import torch
from torch import Tensor

from atrous.types import Colour


@dataclass(frozen=True, slots=True, kw_only=True)
class Classification:
    """Probabilities and what they are of."""

    probabilities: Tensor
    """`(C,)` float32, summing to 1."""
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """A mask and what its numbers mean."""

    mask: Tensor
    """`(*S)` uint8 class indices, of the size of the image that was given."""
    class_names: tuple[str, ...]
    palette: tuple[Colour, ...]
    probabilities: Tensor | None = None
    """`(C, *S)` float32 of the same size, where they were asked for; `(1, *S)` of one class where
    only that one was."""
    spacing: tuple[float, ...] | None = None
    """Physical size of a pixel along each axis of S, where the image has one."""
    label_probabilities: Tensor | None = None
    """`(L,)` float32, of the labels of the whole image, where the network gives both."""
    label_names: tuple[str, ...] = ()
    """One for each of `label_probabilities`."""

    @property
    def label(self) -> Classification | None:
        """What a network for both says of the whole image; None of others.

        Example:
            >>> Prediction(
            ...     mask=torch.zeros(2, 2, dtype=torch.uint8), class_names=("stroma",),
            ...     palette=((255, 150, 255),), label_probabilities=torch.tensor([0.25, 0.75]),
            ...     label_names=("benign", "invasive"),
            ... ).label.top(1)
            [('invasive', 0.75)]
        """
        if self.label_probabilities is None:
            return None
        return Classification(probabilities=self.label_probabilities, class_names=self.label_names)

    def shares(self) -> dict[str, float]:
        """Part of the image that each class covers, by class name; they sum to 1.

        Example:
            >>> mask = torch.tensor([[0, 0], [0, 1]], dtype=torch.uint8)
            >>> Prediction(
            ...     mask=mask, class_names=("road", "car"), palette=((0, 0, 0), (255, 0, 0))
            ... ).shares()
            {'road': 0.75, 'car': 0.25}
        """
        counts = torch.bincount(self.mask.flatten(), minlength=len(self.class_names))
        return {
            name: count / self.mask.numel()
            for name, count in zip(self.class_names, counts.tolist(), strict=True)
        }
