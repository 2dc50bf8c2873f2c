"""LinkNet: a light decoder that adds the encoder's maps to its own.

Source: Chaurasia and Culurciello, "LinkNet: Exploiting Encoder Representations for Efficient
    Semantic Segmentation", VCIP 2017.
"""

from itertools import pairwise

from torch import Tensor, nn

from atrous.blocks.conv import ConvNormAct, batch_norm, relu
from atrous.blocks.nd import CONV_TRANSPOSE
from atrous.blocks.resize import resize_linear
from atrous.networks.encoder import Encoder
from atrous.networks.encoders.for_segmentation import segmentation_encoder
from atrous.networks.segmenters.joint import JointSegmenter, with_diagnosis
from atrous.networks.segmenters.segmenter import (
    Segmenter,
    auxiliary_head,
    check_classes,
    coarsest_of_each,
    initialise_decoder,
)
from atrous.types import Size, SpatialDims

FINEST_REDUCTION = 4
"""Finer maps than this stay unused; the head makes the last two doublings."""


class UpConvNormAct(nn.Sequential):
    """A transposed 3x3 convolution, its normalisation and activation.

    Shape:
        `(B, in_channels, *S)` to `(B, out_channels, *stride S)`, for stride 1 or 2.
    """

    def __init__(
        self, in_channels: int, out_channels: int, *, stride: int, spatial_dims: SpatialDims
    ) -> None:
        super().__init__()
        self.conv = CONV_TRANSPOSE[spatial_dims](
            in_channels,
            out_channels,
            3,
            stride=stride,
            padding=1,
            output_padding=stride - 1,
            bias=False,
        )
        self.norm = batch_norm(out_channels, spatial_dims=spatial_dims)
        self.act = relu(out_channels)


class LinkNetLevel(nn.Sequential):
    """1x1 to a quarter, transposed 3x3, 1x1 to the channels of the map that will be added.

    With M channels in, m = M/4 and N out: Mm + 9m² + mN weights.

    Shape:
        `(B, in_channels, *S)` to `(B, out_channels, *stride S)`, for stride 1 or 2.
    """

    def __init__(
        self, in_channels: int, out_channels: int, *, stride: int, spatial_dims: SpatialDims
    ) -> None:
        super().__init__()
        width = max(1, in_channels // 4)
        self.reduce = ConvNormAct(in_channels, width, 1, spatial_dims=spatial_dims)
        self.up = UpConvNormAct(width, width, stride=stride, spatial_dims=spatial_dims)
        self.expand = ConvNormAct(width, out_channels, 1, spatial_dims=spatial_dims)


class LinkNetDecoder(nn.Module):
    """From the coarsest map by levels that double, adding the encoder's map after each.

    ```
    map 32 ── level, up 2x ──(+)── level, up 2x ──(+)── level, up 2x ──(+)── level ── up, 3x3, up
    map 16 ───────────────────┘                    │                    │
    map 8 ─────────────────────────────────────────┘                    │
    map 4 ──────────────────────────────────────────────────────────────┘
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
        every = coarsest_of_each(encoder.reductions)
        coarse = [i for i in every if encoder.reductions[i] >= FINEST_REDUCTION]
        used = list(reversed(coarse or every[-1:]))
        channels = [encoder.out_channels[index] for index in used]
        self.skips = tuple(used[1:])
        self.levels = nn.ModuleList(
            LinkNetLevel(before, after, stride=2, spatial_dims=spatial_dims)
            for before, after in pairwise(channels)
        )
        finest, width = channels[-1], max(1, channels[-1] // 2)
        self.last = LinkNetLevel(finest, finest, stride=1, spatial_dims=spatial_dims)
        self.up = UpConvNormAct(finest, width, stride=2, spatial_dims=spatial_dims)
        self.conv = ConvNormAct(width, width, 3, spatial_dims=spatial_dims)
        self.head = CONV_TRANSPOSE[spatial_dims](width, num_classes, 2, stride=2)
        initialise_decoder(self, self.head)

    def forward(self, maps: list[Tensor], size: Size) -> Tensor:  # noqa: ARG002 - as any decoder
        y = maps[-1]
        for level, index in zip(self.levels, self.skips, strict=True):
            skip = maps[index]
            y = resize_linear(level(y), tuple(skip.shape[2:]), align_corners=False) + skip
        return self.head(self.conv(self.up(self.last(y))))


def linknet(
    *,
    encoder: str = "resnet18",
    num_classes: int = 21,
    in_channels: int = 3,
    output_stride: int = 32,
    num_maps: int | None = None,
    num_labels: int | None = None,
    has_auxiliary: bool = False,
    spatial_dims: SpatialDims = 2,
) -> Segmenter | JointSegmenter:
    """LinkNet over an encoder: 11,535,893 parameters at the defaults.

    With `num_maps` only so many of the encoder's stages are built, from the finest on.

    Source: Chaurasia and Culurciello, "LinkNet", VCIP 2017.
    """
    built = segmentation_encoder(
        encoder,
        in_channels=in_channels,
        output_stride=output_stride,
        num_maps=num_maps,
        spatial_dims=spatial_dims,
    )
    segmenter = Segmenter(
        built,
        LinkNetDecoder(built, num_classes=num_classes, spatial_dims=spatial_dims),
        auxiliary=auxiliary_head(
            built,
            num_classes=num_classes,
            has_auxiliary=has_auxiliary,
            spatial_dims=spatial_dims,
        ),
        spatial_dims=spatial_dims,
    )
    return with_diagnosis(segmenter, num_labels)
