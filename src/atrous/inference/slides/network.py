"""A predictor as slides need it: windows of 8 bits in, masks of their size out."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from atrous.inference.predictor import Predictor
from atrous.inference.tiles.full_size import FullSize
from atrous.networks.preprocessing.images import preprocess

Pixels = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class SlideNetwork:
    """Runs windows; what the card says of sizes does not hold, since a slide has a scale."""

    predictor: Predictor

    @property
    def num_classes(self) -> int:
        """Of the masks."""
        return len(self.predictor.card.class_names)

    def masks(self) -> nn.Module:
        """The plain network up to its masks at the input's size, in eval mode, for analysis."""
        predictor = self.predictor
        resize = predictor.card.mask_resize
        return FullSize(predictor.network, resize=resize, masks_only=True).eval()

    @torch.inference_mode()
    def run(self, windows: Sequence[Pixels]) -> tuple[Tensor, Tensor | None]:
        """Logits of the masks `(B, C, H, W)`, and probabilities of labels `(B, L)` if any.

        Args:
            windows: RGB `(H, W, 3)` of 8 bits and one size.
        """
        card, device = self.predictor.card, self.predictor.device
        x = torch.from_numpy(np.stack(windows)).permute(0, 3, 1, 2).to(device).float().div_(255)
        facts = replace(card.preprocessing, size=None, shorter_side=None)
        x = preprocess(x, facts).contiguous(memory_format=torch.channels_last)
        output = FullSize(self.predictor.fast_network, resize=card.mask_resize)(x)
        if isinstance(output, Tensor):
            return output, None
        masks, labels = output
        return masks, labels.softmax(1).cpu()
