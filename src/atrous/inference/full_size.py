"""A network that answers at its input's size, whatever it does inside: what tiles are made of."""

from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name everybody reads

from atrous.networks.mask_size import MaskResize

_LINEAR = {4: "bilinear", 5: "trilinear"}


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
        logits = output if isinstance(output, Tensor) else output[0]
        if logits.shape[2:] != x.shape[2:]:
            if self.resize == "nearest":
                logits = F.interpolate(logits, size=x.shape[2:], mode="nearest-exact")
            else:
                logits = F.interpolate(
                    logits, size=x.shape[2:], mode=_LINEAR[x.ndim], align_corners=False
                )
        return logits if isinstance(output, Tensor) else (logits, output[1])
