"""LR-ASPP: the lightest head of all, one gate and two 1x1 convolutions to classes.

Source: Howard et al., "Searching for MobileNetV3", ICCV 2019; with the mean of the whole map in
    place of a pooling by 49x49, as in torchvision.
"""

from torch import Tensor, nn

from atrous.blocks.conv import ConvNormAct
from atrous.blocks.nd import ADAPTIVE_AVG_POOL, CONV
from atrous.blocks.resize import resize_linear
from atrous.errors import ShapeError
from atrous.networks.encoder import Encoder, refuse_volumes
from atrous.networks.encoders.for_segmentation import segmentation_encoder
from atrous.networks.encoders.torchvision import Tap, TorchvisionEncoder
from atrous.networks.segmenters.joint import JointSegmenter, with_diagnosis
from atrous.networks.segmenters.segmenter import (
    Segmenter,
    auxiliary_head,
    check_classes,
    initialise_decoder,
    map_at,
)
from atrous.types import Size, SpatialDims

WIDTH = 128
"""Channels of the gated map."""

MOBILENET = "mobilenet_v3_large"
"""Its own encoder, see `mobilenet_v3_encoder`; no other segmenter knows the name."""

LOW_REDUCTION = 8
"""Where the fine map is taken."""


class LRASPPDecoder(nn.Module):
    """The coarsest map, gated by its mean, scored, and the scores of a finer map added.

    ```
    coarsest ─┬─ 1x1 ── norm ── act ──(×)── resize ── 1x1 ──(+)── logits
              └─ mean ── 1x1 ── sigmoid ┘                    │
    map 8 ── 1x1 ────────────────────────────────────────────┘
    ```

    Args:
        encoder: For its channels and reductions.
        num_classes: Channels of the logits.
        spatial_dims: 2 for images, 3 for volumes.

    Raises:
        ShapeError: If there are no classes.
    """

    def __init__(
        self, encoder: Encoder, *, num_classes: int, spatial_dims: SpatialDims = 2
    ) -> None:
        super().__init__()
        check_classes(num_classes)
        self.low = map_at(encoder.reductions[:-1] or encoder.reductions, LOW_REDUCTION)
        coarsest = encoder.out_channels[-1]
        self.high = ConvNormAct(coarsest, WIDTH, 1, spatial_dims=spatial_dims)
        self.gate = nn.Sequential(
            ADAPTIVE_AVG_POOL[spatial_dims](1),
            CONV[spatial_dims](coarsest, WIDTH, 1, bias=False),
            nn.Sigmoid(),
        )
        self.low_score = CONV[spatial_dims](encoder.out_channels[self.low], num_classes, 1)
        self.high_score = CONV[spatial_dims](WIDTH, num_classes, 1)
        initialise_decoder(self, self.low_score, self.high_score)

    def forward(self, maps: list[Tensor], size: Size) -> Tensor:  # noqa: ARG002 - as any decoder
        low, high = maps[self.low], maps[-1]
        gated = self.high(high) * self.gate(high)
        resized = resize_linear(gated, tuple(low.shape[2:]), align_corners=False)
        return self.low_score(low) + self.high_score(resized)


def lraspp_over(
    encoder: Encoder,
    *,
    num_classes: int,
    has_auxiliary: bool = False,
    spatial_dims: SpatialDims = 2,
) -> Segmenter:
    """LR-ASPP over an encoder, best one whose last map stays at reduction 16; nothing is padded."""
    auxiliary = auxiliary_head(
        encoder, num_classes=num_classes, has_auxiliary=has_auxiliary, spatial_dims=spatial_dims
    )
    decoder = LRASPPDecoder(encoder, num_classes=num_classes, spatial_dims=spatial_dims)
    return Segmenter(encoder, decoder, divisor=1, auxiliary=auxiliary, spatial_dims=spatial_dims)


def mobilenet_v3_encoder(
    *, in_channels: int = 3, spatial_dims: SpatialDims = 2
) -> TorchvisionEncoder:
    """Torchvision's MobileNetV3-Large as its segmenters have it: dilated, with maps at 8 and 16.

    Raises:
        ShapeError: If `spatial_dims` is not 2.
    """
    refuse_volumes("torchvision's mobilenet_v3_large", spatial_dims)
    from torchvision.models import mobilenet_v3_large

    backbone = mobilenet_v3_large(weights=None, dilated=True)
    if in_channels != backbone.features[0][0].in_channels:
        backbone.features[0][0] = nn.Conv2d(in_channels, 16, 3, stride=2, padding=1, bias=False)
    taps = (
        Tap("features.4", channels=40, reduction=8, has_channels_last=False),
        Tap("features.16", channels=960, reduction=16, has_channels_last=False),
    )
    return TorchvisionEncoder(backbone, taps, in_channels=in_channels)


def lraspp(
    *,
    encoder: str = MOBILENET,
    num_classes: int = 21,
    in_channels: int = 3,
    output_stride: int = 16,
    num_labels: int | None = None,
    has_auxiliary: bool = False,
    spatial_dims: SpatialDims = 2,
) -> Segmenter | JointSegmenter:
    """LR-ASPP over a dilated encoder: 3,221,538 parameters at the defaults.

    Raises:
        ShapeError: If its own encoder, `mobilenet_v3_large`, is wanted at another output stride
            than 16, or for volumes.

    Source: Howard et al., "Searching for MobileNetV3", ICCV 2019; details as in torchvision.
    """
    built: Encoder
    if encoder == MOBILENET:
        if output_stride != 16:
            raise ShapeError(
                f"{MOBILENET} has an output stride of 16 here, but got {output_stride}; use 16, or "
                f"another encoder, such as torchvision:{MOBILENET} with 32."
            )
        built = mobilenet_v3_encoder(in_channels=in_channels, spatial_dims=spatial_dims)
    else:
        built = segmentation_encoder(
            encoder, in_channels=in_channels, output_stride=output_stride, spatial_dims=spatial_dims
        )
    segmenter = lraspp_over(
        built, num_classes=num_classes, has_auxiliary=has_auxiliary, spatial_dims=spatial_dims
    )
    return with_diagnosis(segmenter, num_labels)
