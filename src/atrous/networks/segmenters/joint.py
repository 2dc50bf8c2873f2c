"""Name the image as a whole besides its parts: a diagnosis head on a segmenter's encoder."""

from torch import Tensor, nn

from atrous.errors import ShapeError
from atrous.networks.classifiers.classifier import LinearHead
from atrous.networks.encoder import initialise
from atrous.networks.segmenters.segmenter import Segmenter


class JointSegmenter(nn.Module):
    """A segmenter, and on its encoder's coarsest map a head that names the image.

    ```
    image ── encoder ──┬── decoder ── mask logits
                       └── mean ── linear ── label logits
    ```

    Both learn one encoder: what the masks teach it serves the diagnosis, as in Y-Net.

    Args:
        segmenter: Any.
        num_labels: Length of the image's logits.
        dropout: Share of the means set to zero in training.

    Shape:
        `(B, in_channels, *S)` to mask logits `(B, num_classes, *S)` and label logits
        `(B, num_labels)`, for any S.

    Raises:
        ShapeError: If there are no labels.

    Source: the idea, Mehta et al., "Y-Net: Joint Segmentation and Classification for Diagnosis of
        Breast Biopsy Images", MICCAI 2018; there the branch has stages of its own.
    """

    def __init__(self, segmenter: Segmenter, *, num_labels: int, dropout: float = 0.0) -> None:
        super().__init__()
        if num_labels < 1:
            raise ShapeError(
                f"A diagnosis head needs at least one label of images, but got {num_labels}."
            )
        self.segmenter = segmenter
        self.diagnosis = LinearHead(
            segmenter.encoder.out_channels[-1],
            num_labels,
            dropout=dropout,
            spatial_dims=segmenter.spatial_dims,
        )
        initialise(self.diagnosis)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        maps, masks = self.segmenter.maps_and_logits(x)
        return masks, self.diagnosis(maps[-1])

    def forward_with_auxiliary(self, x: Tensor) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Mask and label logits, and what the segmenter's auxiliary head gives."""
        maps, masks = self.segmenter.maps_and_logits(x)
        return masks, self.diagnosis(maps[-1]), self.segmenter.auxiliary_logits(maps, x)


def with_diagnosis(segmenter: Segmenter, num_labels: int | None) -> Segmenter | JointSegmenter:
    """The segmenter itself, or with a head of `num_labels` where that is not None."""
    return segmenter if num_labels is None else JointSegmenter(segmenter, num_labels=num_labels)
