"""A U-Net whose encoder is residual and starts at full size: for small or thin things in volumes.

The encoders of classifiers halve the image before they look at it, which costs the borders of what
is a few voxels thick. This one keeps the full size for its first stage and is narrow in return.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn

from atrous.blocks.conv import ConvNormAct
from atrous.blocks.decoder_level import repeat_to_size
from atrous.blocks.nd import CONV
from atrous.blocks.residual import ResidualBlock
from atrous.errors import ShapeError
from atrous.networks.encoder import StagedEncoder, initialise
from atrous.networks.segmenters.segmenter import Segmenter, check_classes, initialise_decoder
from atrous.types import Size, SpatialDims


def residual_unet_encoder(
    *,
    in_channels: int = 1,
    width: int = 16,
    num_stages: int = 4,
    num_blocks: int = 1,
    stem_width: int | None = None,
    spatial_dims: SpatialDims = 3,
) -> StagedEncoder:
    """A 3x3 stem and stages of residual blocks at reductions 1, 2, 4 and so on.

    Args:
        in_channels: Channels of the image or volume.
        width: Channels at full size; they double with every stage.
        num_stages: How many, 2 or more.
        num_blocks: Residual blocks of each stage.
        stem_width: Channels at full size instead, where the first stage then is the stem alone, and
            the others are as they were. Most of the time goes by at full size: with a width of 16,
            a stem of 8 takes half as long for the whole network.
        spatial_dims: 3 for volumes, 2 for images.

    Raises:
        ShapeError: If there are no such stages, blocks or channels.
    """
    smallest = width if stem_width is None else min(width, stem_width)
    if num_stages < 2 or num_blocks < 1 or smallest < 1:
        raise ShapeError(
            f"A residual U-Net of {num_stages} stages with {num_blocks} blocks, {width} channels "
            f"and a stem_width of {stem_width}; expected at least 2 stages, 1 block and 1 channel; "
            "change the arguments."
        )
    widths = [width * 2**index for index in range(num_stages)]
    if stem_width is not None:
        widths[0] = stem_width
    stem = ConvNormAct(in_channels, widths[0], 3, spatial_dims=spatial_dims)
    stages: list[nn.Module] = []
    for index, channels in enumerate(widths):
        before = widths[max(0, index - 1)]
        blocks = [
            ResidualBlock(
                channels if repeat else before,
                channels,
                stride=2 if index and not repeat else 1,
                spatial_dims=spatial_dims,
            )
            for repeat in range(num_blocks if index or stem_width is None else 0)
        ]
        stages.append(nn.Sequential(*([] if index else [stem]), *blocks))
    return StagedEncoder(
        stages,
        out_channels=widths,
        reductions=[2**index for index in range(num_stages)],
        in_channels=in_channels,
        minimum_size=1,
        spatial_dims=spatial_dims,
    )


class ResidualUNetDecoder(nn.Module):
    """From the coarsest map to the finest, one convolution a level.

    ```
    y ── 1x1, half the channels ── repeat to skip's size ── concat ── 3x3 ── norm ── act ── …
    skip ──────────────────────────────────────────────────────┘
    ```

    The 1x1 comes before the repeating, where positions are few: after it gives the same.

    Args:
        encoder: For its channels.
        num_classes: Channels of the logits.
        has_auxiliary: Whether the coarser levels have heads too.
        spatial_dims: 3 for volumes, 2 for images.
    """

    def __init__(
        self,
        encoder: StagedEncoder,
        *,
        num_classes: int,
        has_auxiliary: bool,
        spatial_dims: SpatialDims,
    ) -> None:
        super().__init__()
        widths = tuple(reversed(encoder.out_channels))
        self.narrow = nn.ModuleList(
            CONV[spatial_dims](before, after, 1, bias=False) for before, after in pairwise(widths)
        )
        self.convs = nn.ModuleList(
            ConvNormAct(2 * after, after, 3, spatial_dims=spatial_dims) for after in widths[1:]
        )
        self.head = CONV[spatial_dims](widths[-1], num_classes, 1)
        self.early_heads = nn.ModuleList(
            CONV[spatial_dims](channels, num_classes, 1)
            for channels in (widths[1:-1] if has_auxiliary else ())
        )
        initialise_decoder(self, self.head, *self.early_heads)

    def forward(self, maps: list[Tensor], size: Size) -> Tensor:  # noqa: ARG002 - as any decoder
        return self.head(self.levels(maps)[-1])

    def levels(self, maps: list[Tensor]) -> list[Tensor]:
        """What leaves every level, coarsest first."""
        y, left = maps[-1], []
        for narrow, conv, skip in zip(self.narrow, self.convs, reversed(maps[:-1]), strict=True):
            y = repeat_to_size(narrow(y), tuple(skip.shape[2:]))
            y = conv(torch.cat([y, skip], dim=1))
            left.append(y)
        return left


class ResidualUNet(Segmenter):
    """The encoder above and its decoder, with heads at the coarser levels for training alone.

    Args:
        encoder: See `residual_unet_encoder`.
        num_classes: Channels of the logits.
        has_auxiliary: Whether `forward_with_auxiliary` gives logits of the coarser levels too
            (deep supervision).
        spatial_dims: 3 for volumes, 2 for images.

    Shape:
        `(B, in_channels, *S)` to logits `(B, num_classes, *S)`, for any S.

    Raises:
        ShapeError: If there are no classes.

    Source: Ronneberger et al., "U-Net", MICCAI 2015; residual stages, one convolution a level and
        heads at every level as in Isensee et al., "nnU-Net Revisited", MICCAI 2024, with batch for
        instance norms: the receptive field stays finite, so tiles can be exact.
    """

    decoder: ResidualUNetDecoder

    def __init__(
        self,
        encoder: StagedEncoder,
        *,
        num_classes: int,
        has_auxiliary: bool = False,
        spatial_dims: SpatialDims = 3,
    ) -> None:
        check_classes(num_classes)
        decoder = ResidualUNetDecoder(
            encoder,
            num_classes=num_classes,
            has_auxiliary=has_auxiliary,
            spatial_dims=spatial_dims,
        )
        super().__init__(encoder, decoder, spatial_dims=spatial_dims)

    def forward_with_auxiliary(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """The logits, and those of the coarser levels from the finest on, all of the same size."""
        padded = self.pad(x)
        size = tuple(padded.shape[2:])
        *coarse, finest = self.decoder.levels(self.encoder(padded))
        early = [
            self._fit(head(level), size, x)
            for head, level in zip(self.decoder.early_heads, coarse, strict=False)
        ]
        return self._fit(self.decoder.head(finest), size, x), early[::-1]


def residual_unet(
    *,
    num_classes: int = 3,
    in_channels: int = 1,
    width: int = 16,
    num_stages: int = 4,
    num_blocks: int = 1,
    stem_width: int | None = None,
    has_auxiliary: bool = False,
    spatial_dims: SpatialDims = 3,
) -> ResidualUNet:
    """A residual U-Net for volumes: 1,198,691 parameters at the defaults."""
    encoder = residual_unet_encoder(
        in_channels=in_channels,
        width=width,
        num_stages=num_stages,
        num_blocks=num_blocks,
        stem_width=stem_width,
        spatial_dims=spatial_dims,
    )
    initialise(encoder)
    return ResidualUNet(
        encoder, num_classes=num_classes, has_auxiliary=has_auxiliary, spatial_dims=spatial_dims
    )
