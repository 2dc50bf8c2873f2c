"""What a segmenter says of one image."""

from dataclasses import dataclass

import torch
from torch import Tensor

from atrous.types import Colour


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """A mask and what its numbers mean."""

    mask: Tensor
    """`(*S)` uint8 class indices, of the size of the image that was given."""
    class_names: tuple[str, ...]
    palette: tuple[Colour, ...]
    probabilities: Tensor | None = None
    """`(C, *S)` float32 of the same size, where they were asked for."""
    spacing: tuple[float, ...] | None = None
    """Physical size of a pixel along each axis of S, where the image has one."""

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
