"""A feature pyramid network for segmentation: one wide map per size, all brought to the finest.

Source: Kirillov et al., "Panoptic Feature Pyramid Networks", CVPR 2019; the pyramid, Lin et al.,
    "Feature Pyramid Networks for Object Detection", CVPR 2017.
"""

from torch import Tensor, nn

from atrous.blocks.conv import ConvNormAct
from atrous.blocks.decoder_level import repeat_to_size
from atrous.blocks.nd import CHANNEL_DROPOUT, CONV
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

MAX_SIZES = 4
"""So many of the encoder's sizes are used, the coarsest ones."""

GROUPS = 32
"""Of the group normalisation, as in the paper."""


def group_norm(channels: int, *, spatial_dims: SpatialDims) -> nn.Module:  # noqa: ARG001 - a Norm
    """Group normalisation with 32 groups, in which an image does not depend on its batch."""
    return nn.GroupNorm(GROUPS, channels)


class FPNDecoder(nn.Module):
    """Laterals added from coarse to fine; each sum convolved, resized to the finest, and added.

    ```
    map 32 ── 1x1 ──┬──────────────── 3x3, up ── 3x3, up ── 3x3, up ──┐
                  repeat 2x                                            │
    map 16 ── 1x1 ─(+)┬────────────── 3x3, up ── 3x3, up ─────────────(+)── dropout ── 1x1
                    repeat 2x                                          │
    map 8 ─── 1x1 ───(+)┬──────────── 3x3, up ─────────────────────────┤
                      repeat 2x                                        │
    map 4 ─── 1x1 ─────(+)─────────── 3x3 ─────────────────────────────┘
    ```

    Args:
        encoder: For its channels and reductions.
        num_classes: Channels of the logits.
        pyramid_channels: Channels of the pyramid.
        width: Channels of the convolutions after it; a multiple of 32.
        align_corners: How maps are resized, see `resize_linear`.
        spatial_dims: 2 for images, 3 for volumes.

    Raises:
        ShapeError: If there are no classes.
    """

    def __init__(
        self,
        encoder: Encoder,
        *,
        num_classes: int,
        pyramid_channels: int = 256,
        width: int = 128,
        align_corners: bool = False,
        spatial_dims: SpatialDims = 2,
    ) -> None:
        super().__init__()
        check_classes(num_classes)
        # The stem's map, at reduction 2, is left out where there are coarser ones enough.
        self.indices = tuple(reversed(coarsest_of_each(encoder.reductions)[-MAX_SIZES:]))
        self.laterals = nn.ModuleList(
            CONV[spatial_dims](encoder.out_channels[index], pyramid_channels, 1)
            for index in self.indices
        )
        self.branches = nn.ModuleList(
            nn.ModuleList(
                ConvNormAct(
                    width if step else pyramid_channels,
                    width,
                    3,
                    norm=group_norm,
                    spatial_dims=spatial_dims,
                )
                for step in range(max(1, num_ups))
            )
            for num_ups in reversed(range(len(self.indices)))
        )
        self.dropout = CHANNEL_DROPOUT[spatial_dims](0.2)
        self.head = CONV[spatial_dims](width, num_classes, 1)
        self.align_corners = align_corners
        initialise_decoder(self, self.head)

    def forward(self, maps: list[Tensor], size: Size) -> Tensor:  # noqa: ARG002 - as any decoder
        sizes = [tuple(maps[index].shape[2:]) for index in self.indices]
        pyramid: list[Tensor] = []
        for index, lateral in zip(self.indices, self.laterals, strict=True):
            level = lateral(maps[index])
            if pyramid:
                level = level + repeat_to_size(pyramid[-1], tuple(level.shape[2:]))
            pyramid.append(level)
        total: Tensor | None = None
        for start, (y, branch) in enumerate(zip(pyramid, self.branches, strict=True)):
            assert isinstance(branch, nn.ModuleList)  # the constructor makes no other
            for step, conv in enumerate(branch, start=start + 1):
                y = conv(y)
                if step < len(sizes):
                    y = resize_linear(y, sizes[step], align_corners=self.align_corners)
            total = y if total is None else total + y
        assert total is not None  # an encoder has a map
        return self.head(self.dropout(total))


def fpn(
    *,
    encoder: str = "resnet34",
    num_classes: int = 21,
    in_channels: int = 3,
    output_stride: int = 32,
    align_corners: bool = False,
    num_labels: int | None = None,
    has_auxiliary: bool = False,
    spatial_dims: SpatialDims = 2,
) -> Segmenter | JointSegmenter:
    """A feature pyramid network over an encoder: 23,157,973 parameters at the defaults.

    Source: Kirillov et al., "Panoptic Feature Pyramid Networks", CVPR 2019.
    """
    built = segmentation_encoder(
        encoder, in_channels=in_channels, output_stride=output_stride, spatial_dims=spatial_dims
    )
    segmenter = Segmenter(
        built,
        FPNDecoder(
            built, num_classes=num_classes, align_corners=align_corners, spatial_dims=spatial_dims
        ),
        auxiliary=auxiliary_head(
            built,
            num_classes=num_classes,
            has_auxiliary=has_auxiliary,
            spatial_dims=spatial_dims,
        ),
        align_corners=align_corners,
        spatial_dims=spatial_dims,
    )
    return with_diagnosis(segmenter, num_labels)
