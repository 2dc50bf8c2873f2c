"""The breast-biopsy network: two views of an image, each through an input-aware network.

Source: Mehta et al., "Learning to Segment Breast Biopsy Whole Slide Images", WACV 2018. Layers and
    links are those of the authors' released description; their weights are not public. Two things
    are chosen here: a convolution that a normalisation follows has no bias (theirs have one, which
    the normalisation takes off again), and an image without surroundings is given some by repeating
    its border.
"""

from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name everybody reads

from atrous.blocks.context import ContextModule
from atrous.blocks.conv import ConvNormAct
from atrous.blocks.nd import BATCH_NORM, CONV
from atrous.errors import ShapeError
from atrous.networks.encoder import initialise
from atrous.networks.segmenters.biopsy_parts import InputAwareNetwork
from atrous.types import SpatialDims

MARGIN = 64
"""Pixels of surroundings on every side that the network of the wide view sees."""


class BiopsyNetwork(nn.Module):
    """Two networks of one form, one for the image and one for the image with its surroundings.

    ```
    surroundings ── network ── centre ──(+)── context module ── 3x3 ── 1x1 ── logits
       └─ centre ── network ─────────────┘
    ```

    Args:
        num_classes: Channels of the logits.
        in_channels: Channels of the image.
        margin: Pixels of surroundings on every side; the authors have 64 around 256 x 256.
        spatial_dims: 2 for images, 3 for volumes.

    Shape:
        `(B, in_channels, *S)` to logits `(B, num_classes, *S)`, for any S.

    Raises:
        ShapeError: If there are no classes, or the margin is negative.

    Source: Mehta et al., "Learning to Segment Breast Biopsy Whole Slide Images", WACV 2018.
    """

    def __init__(
        self,
        *,
        num_classes: int,
        in_channels: int = 3,
        margin: int = MARGIN,
        spatial_dims: SpatialDims = 2,
    ) -> None:
        super().__init__()
        if num_classes < 1 or margin < 0:
            raise ShapeError(
                f"The biopsy network needs at least one class and a margin of at least 0, but got "
                f"num_classes={num_classes} and margin={margin}."
            )
        self.normalise = BATCH_NORM[spatial_dims](in_channels)
        self.wide, self.close = (
            InputAwareNetwork(
                num_classes=num_classes, in_channels=in_channels, spatial_dims=spatial_dims
            )
            for _ in range(2)
        )
        self.context = ContextModule(num_classes, spatial_dims=spatial_dims)
        self.head = nn.Sequential(
            ConvNormAct(num_classes, num_classes, 3, spatial_dims=spatial_dims),
            CONV[spatial_dims](num_classes, num_classes, 1),
        )
        self.margin = margin
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        self._check(x, least=1)
        pads = [self.margin] * (2 * (x.ndim - 2))
        return self.forward_with_surroundings(F.pad(x, pads, mode="replicate"))

    def forward_with_surroundings(self, patch: Tensor) -> Tensor:
        """Logits of the centre of a patch that was cut `margin` pixels larger on every side.

        Shape:
            `(B, in_channels, *S + 2 * margin)` to logits `(B, num_classes, *S)`.

        Raises:
            ShapeError: If the patch has no centre, or other axes or channels.
        """
        self._check(patch, least=2 * self.margin + 1)
        patch = self.normalise(patch)
        y = self._centre(self.wide(patch)) + self.close(self._centre(patch))
        return self.head(self.context(y))

    def _centre(self, x: Tensor) -> Tensor:
        window = tuple(slice(self.margin, length - self.margin) for length in x.shape[2:])
        return x[(slice(None), slice(None), *window)]

    def _check(self, x: Tensor, *, least: int) -> None:
        encoder = self.close.encoder
        axes = encoder.spatial_dims + 2
        if x.ndim != axes or x.shape[1] != encoder.in_channels or min(x.shape[2:]) < least:
            raise ShapeError(
                f"Got an input of shape {tuple(x.shape)}; expected {axes} axes, the second of "
                f"length {encoder.in_channels}, the last {encoder.spatial_dims} of at least "
                f"{least}. Convert or enlarge the input, or build the network for it."
            )


def biopsy(
    *,
    num_classes: int = 8,
    in_channels: int = 3,
    margin: int = MARGIN,
    spatial_dims: SpatialDims = 2,
) -> BiopsyNetwork:
    """The breast-biopsy network, 26,000,494 parameters at the defaults.

    Source: Mehta et al., "Learning to Segment Breast Biopsy Whole Slide Images", WACV 2018.
    """
    return BiopsyNetwork(
        num_classes=num_classes,
        in_channels=in_channels,
        margin=margin,
        spatial_dims=spatial_dims,
    )
