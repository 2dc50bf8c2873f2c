"""Local response normalisation, of the time before batch normalisation."""

from functools import reduce

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name everybody reads


class LocalResponseNorm(nn.Module):
    """Each value divided by how loud the n channels around it are at the same position.

    x / (1 + (alpha / n) Σ x²)^beta, the sum over n neighbouring channels. Equal to
    `nn.LocalResponseNorm`, but made of operations that keep positions apart from channels, so that
    it takes bfloat16 on CPU and its receptive field of one position can be read from the graph.

    Args:
        num_channels: n, an odd number.
        alpha: Weight of the neighbours.
        beta: Power of the divisor.

    Shape:
        `(B, C, *S)` to the same.

    Source: Krizhevsky et al., "ImageNet Classification with Deep Convolutional Neural Networks",
        NeurIPS 2012.
    """

    def __init__(self, num_channels: int = 5, *, alpha: float = 1e-4, beta: float = 0.75) -> None:
        super().__init__()
        self.num_channels = num_channels
        self.alpha = alpha
        self.beta = beta

    def forward(self, x: Tensor) -> Tensor:
        reach = self.num_channels // 2
        squares = F.pad(x.square(), (0, 0) * (x.dim() - 2) + (reach, reach))
        neighbours = (squares.narrow(1, first, x.shape[1]) for first in range(self.num_channels))
        loudness = reduce(torch.add, neighbours)
        return x / (1 + self.alpha / self.num_channels * loudness) ** self.beta
