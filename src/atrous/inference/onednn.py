"""Convolutions of volumes by oneDNN at every size.

For one sample with small maps (channels x D x H up to 20480) torch takes a plain kernel instead,
which is several times slower; and as the whole and its parts differ in size, it would also round
them differently.
"""

import torch
from torch import Tensor, nn


class OneDNNConv3d(nn.Module):
    """A 3D convolution for inference, by oneDNN where the input is float32 and on the CPU.

    Args:
        conv: Padded with zeros, by numbers; its tensors are shared.

    Shape:
        As the convolution's.
    """

    def __init__(self, conv: nn.Conv3d) -> None:
        super().__init__()
        assert not isinstance(conv.padding, str)
        self.conv = conv
        self.padding = conv.padding

    def forward(self, x: Tensor) -> Tensor:
        conv = self.conv
        # Tensors without numbers, as analysis runs them, are no plain ones: it sees a convolution.
        if type(x) is not Tensor or x.device.type != "cpu" or x.dtype != torch.float32:
            return conv(x)
        return torch.mkldnn_convolution(
            x, conv.weight, conv.bias, self.padding, conv.stride, conv.dilation, conv.groups
        )


def use_onednn(network: nn.Module) -> nn.Module:
    """The network, its 3D convolutions replaced in place; those of one tap are fast as they are."""
    if not torch.backends.mkldnn.is_available():
        return network
    for parent in list(network.modules()):
        if isinstance(parent, OneDNNConv3d):
            continue
        for name, child in parent.named_children():
            if isinstance(child, nn.Conv3d) and _is_replaceable(child):
                setattr(parent, name, OneDNNConv3d(child))
    return network


def _is_replaceable(conv: nn.Conv3d) -> bool:
    return (
        type(conv) is nn.Conv3d
        and max(conv.kernel_size) > 1
        and conv.padding_mode == "zeros"
        and not isinstance(conv.padding, str)
    )
