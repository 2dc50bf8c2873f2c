"""What a classifier says of one image."""

from dataclasses import dataclass

from torch import Tensor


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
