"""A moving average of the weights while they are trained: steadier than any single step's."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

_WARM_UP = 10
"""The decay after n steps is at most (1 + n) / (10 + n), so that the random start fades soon."""


def moving_average(network: nn.Module, decay: float) -> AveragedModel:
    """An exponential moving average of parameters and statistics; `.module` is the network.

    `update_parameters(network)` after every step takes the step's weights in.

    Source: Tarvainen and Valpola, "Mean teachers are better role models", 2017; the warm-up of the
        decay is TensorFlow's.
    """
    return AveragedModel(network, multi_avg_fn=_exponential(decay), use_buffers=True)


def _exponential(
    decay: float,
) -> Callable[[Sequence[Tensor], Sequence[Tensor], Tensor | int], None]:
    @torch.no_grad()
    def average(
        averages: Sequence[Tensor], current: Sequence[Tensor], num_averaged: Tensor | int
    ) -> None:
        count = int(num_averaged)
        share = 1 - min(decay, (1 + count) / (_WARM_UP + count))
        if averages[0].is_floating_point():
            torch._foreach_lerp_(list(averages), list(current), share)
        else:  # counters, of which there is no average
            torch._foreach_copy_(list(averages), list(current))

    return average
