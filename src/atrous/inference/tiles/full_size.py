"""A network that answers at its input's size, whatever it does inside: what tiles are made of."""

from torch import Tensor, nn

from atrous.networks.mask_resize import MaskResize, resize_logits


class FullSize(nn.Module):
    """Wraps a segmenter: logits of masks resized to the input, and logits of labels if it has any.

    Args:
        network: Gives logits of masks, or a pair of logits of masks and of labels.
        resize: As on its card: how masks get to the image's size.

    Shape:
        `(B, C, *S)` to masks' logits `(B, K, *S)`, and labels' `(B, L)` of a network for both.
    """

    def __init__(self, network: nn.Module, *, resize: MaskResize) -> None:
        super().__init__()
        self.network = network
        self.resize = resize

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """As the class says."""
        output = self.network(x)
        if isinstance(output, Tensor):
            return resize_logits(output, tuple(x.shape[2:]), resize=self.resize)
        masks, labels = output
        return resize_logits(masks, tuple(x.shape[2:]), resize=self.resize), labels
