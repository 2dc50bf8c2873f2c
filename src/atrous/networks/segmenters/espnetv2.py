"""ESPNetv2 for segmentation, as its authors published it last.

Source: Mehta et al., "ESPNetv2: A Light-weight, Power Efficient, and General Purpose Convolutional
    Neural Network", CVPR 2019; the decoder from the authors' later code and checkpoints.
"""

from itertools import pairwise

from torch import Tensor, nn

from atrous.blocks.conv import NormAct, prelu
from atrous.blocks.gated_conv import GatedConv
from atrous.blocks.pyramids.efficient import EfficientPyramidPooling
from atrous.blocks.resize import crop_to_size, double_linear, pad_to_multiple, resize_linear
from atrous.errors import ShapeError, UnknownNameError
from atrous.networks.classifiers.espnetv2 import WIDTHS, ESPNetv2Encoder
from atrous.networks.encoder import initialise
from atrous.types import SpatialDims

DIVISOR = 16
"""Input lengths are padded inside to a multiple of this: the decoder doubles by exactly 2."""

NUM_LEVELS = 4
"""Of the encoder's five; the decoder starts at reduction 16."""


class ESPNetv2Segmenter(nn.Module):
    """The encoder's first four levels, and a light decoder that looks at several sizes per level.

    ```
    reduction 16   map4 ── efficient pyramid, 4D ── up 2x
                                                     │
    reduction 8    map3 ── gated 3x3, 4D ───────────(+)── norm, act ── pyramid, 3D ── up 2x
                                                                                       │
    reduction 4    map2 ── gated 3x3, 3D ─────────────────────────────────────────────(+)── …
                                                     ┌──────────────────────────────────────┘
                                                     └─ norm, act ── pyramid, 2D ── up 2x
                                                                                     │
    reduction 2    map1 ── gated 3x3, 2D ───────────────────────────────────────────(+)── …
                                                     ┌────────────────────────────────────┘
                                                     └─ norm, act ── pyramid, classes ── up 2x
    ```

    D is the decoder's width; the pyramids' narrow maps have half as many channels as there are
    classes, 1 to D.

    Args:
        encoder: Four levels, at reductions 2, 4, 8, 16.
        num_classes: Channels of the logits.
        decoder_width: D.
        spatial_dims: 2 for images, 3 for volumes.

    Shape:
        `(B, in_channels, *S)` to logits `(B, num_classes, *S)`, for any S.

    Raises:
        ShapeError: If there are no classes, or D is less than 1.
    """

    def __init__(
        self,
        encoder: ESPNetv2Encoder,
        *,
        num_classes: int,
        decoder_width: int = 16,
        spatial_dims: SpatialDims = 2,
    ) -> None:
        super().__init__()
        if num_classes < 1 or decoder_width < 1:
            raise ShapeError(
                f"ESPNetv2 for segmentation needs at least one class and a decoder width of at "
                f"least 1, but got num_classes={num_classes} and decoder_width={decoder_width}."
            )
        *skips, coarsest = encoder.out_channels
        widths = (4 * decoder_width, 3 * decoder_width, 2 * decoder_width, num_classes)
        # The authors give 0 to a network of one class; it would have no convolution left.
        narrow = max(1, min(num_classes // 2, decoder_width))
        self.encoder = encoder
        self.coarsest = EfficientPyramidPooling(
            coarsest, widths[0], width=narrow, spatial_dims=spatial_dims
        )
        self.levels = nn.ModuleList(
            _DecoderLevel(
                skip,
                before,
                after,
                narrow=narrow,
                is_last=index == len(skips) - 1,
                spatial_dims=spatial_dims,
            )
            for index, (skip, (before, after)) in enumerate(
                zip(reversed(skips), pairwise(widths), strict=True)
            )
        )
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        padded = pad_to_multiple(x, DIVISOR)
        *skips, coarsest = self.encoder(padded)
        y = self.coarsest(coarsest)
        for level, skip in zip(self.levels, reversed(skips), strict=True):
            y = level(y, skip)
        logits = resize_linear(y, tuple(padded.shape[2:]), align_corners=True)
        return crop_to_size(logits, x.shape[2:])


class _DecoderLevel(nn.Module):
    """The coarser map doubled, the encoder's map of that size added, and a pyramid over both."""

    def __init__(
        self,
        skip_channels: int,
        in_channels: int,
        out_channels: int,
        *,
        narrow: int,
        is_last: bool,
        spatial_dims: SpatialDims,
    ) -> None:
        super().__init__()
        self.skip = GatedConv(skip_channels, in_channels, spatial_dims=spatial_dims)
        self.join = NormAct(in_channels, act=prelu, spatial_dims=spatial_dims)
        self.pyramid = EfficientPyramidPooling(
            in_channels, out_channels, width=narrow, is_last=is_last, spatial_dims=spatial_dims
        )

    def forward(self, y: Tensor, skip: Tensor) -> Tensor:
        joined = self.join(double_linear(y, align_corners=True) + self.skip(skip))
        return self.pyramid(joined)


def espnetv2_seg(
    *,
    num_classes: int = 21,
    in_channels: int = 3,
    width: str = "1_0",
    decoder_width: int = 16,
    spatial_dims: SpatialDims = 2,
) -> ESPNetv2Segmenter:
    """ESPNetv2 for segmentation: 233,797 parameters at the defaults.

    The authors count 234,021, with 224 that their code builds and never uses. Their networks for
    Pascal VOC and Cityscapes have a `decoder_width` of 16, those for COCO 32.

    Raises:
        UnknownNameError: If `width` is not one of the encoder's.

    Source: Mehta et al., "ESPNetv2", CVPR 2019.
    """
    encoder = segmentation_encoder(width, in_channels=in_channels, spatial_dims=spatial_dims)
    return ESPNetv2Segmenter(
        encoder, num_classes=num_classes, decoder_width=decoder_width, spatial_dims=spatial_dims
    )


def segmentation_encoder(
    width: str, *, in_channels: int, spatial_dims: SpatialDims
) -> ESPNetv2Encoder:
    """The part of ESPNetv2 that its segmentation networks have: levels 1 to 4.

    Raises:
        UnknownNameError: If `width` is not one of `espnetv2.WIDTHS`.
    """
    if width not in WIDTHS:
        raise UnknownNameError("width of ESPNetv2", width, WIDTHS)
    return ESPNetv2Encoder(
        width, num_levels=NUM_LEVELS, in_channels=in_channels, spatial_dims=spatial_dims
    )
