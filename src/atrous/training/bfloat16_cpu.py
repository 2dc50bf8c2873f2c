"""Where bfloat16 on CPUs cannot be trusted."""

from typing import Any, Final

import torch
from torch import nn

from atrous.errors import DataError

FEWEST_POSITIONS: Final = 27
"""Of a map that a strided convolution sees in bfloat16 on a CPU. With 1x2x1, 2x3x2 and 2x4x2, torch
2.15 on a CPU with AMX gives values or gradients that are far off or no numbers; with 3x3x3 and more
they are right."""


def refuse_tiny_maps(network: nn.Module) -> None:
    """Let strided 3D convolutions of a network stop where torch computes them wrongly.

    They raise a DataError under autocast on a CPU, when they see a map of so few positions.
    """
    for name, module in network.named_modules():
        if isinstance(module, nn.Conv3d) and max(module.stride) > 1:
            module.register_forward_pre_hook(_Refusal(name))


class _Refusal:
    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, _module: nn.Module, args: tuple[Any, ...]) -> None:
        size = args[0].shape[2:]
        if size.numel() < FEWEST_POSITIONS and torch.is_autocast_enabled("cpu"):
            found = "x".join(str(length) for length in size)
            raise DataError(
                f"precision is bfloat16 on a CPU, and the strided convolution {self.name} sees a "
                f"map of {found}, where torch's numbers are wrong; expected {FEWEST_POSITIONS} "
                "positions at least; set precision to float32, or a larger size."
            )
