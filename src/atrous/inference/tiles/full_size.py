"""Wraps a segmenter so that its logits have the input's spatial size: what tiles are made of."""

from typing import Final

from torch import Tensor, nn

from atrous.networks.mask_resize import MaskResize, resize_logits

WRAPPED: Final = "network."
"""How names of layers begin inside a `FullSize`."""


class FullSize(nn.Module):
    """Wraps a segmenter: logits of masks resized to the input, and logits of labels if it has any.

    Args:
        network: Gives logits of masks, or a pair of logits of masks and of labels.
        resize: As on its card: how masks get to the image's size.
        masks_only: Leave the labels out: what a halo is for.

    Shape:
        `(B, C, *S)` to masks' logits `(B, K, *S)`, and labels' `(B, L)` of a network for both.
    """

    def __init__(self, network: nn.Module, *, resize: MaskResize, masks_only: bool = False) -> None:
        super().__init__()
        self.network = network
        self.resize = resize
        self.masks_only = masks_only

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """As the class says."""
        output = self.network(x)
        masks, labels = (output, None) if isinstance(output, Tensor) else output
        masks = resize_logits(masks, tuple(x.shape[2:]), resize=self.resize)
        return masks if labels is None or self.masks_only else (masks, labels)
