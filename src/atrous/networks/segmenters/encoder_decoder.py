"""The three steps from a classifier to a segmenter: vanilla, a decoder, a decoder with skips."""

from itertools import pairwise

from torch import Tensor, nn

from atrous.blocks.decoder_level import DecoderLevel, Join, SkipLevel
from atrous.blocks.nd import CONV, same_padding
from atrous.networks.encoder import Encoder
from atrous.networks.segmenters.segmenter import (
    Segmenter,
    auxiliary_head,
    coarsest_of_each,
    initialise_decoder,
)
from atrous.types import Size, SpatialDims

DECODER_WIDTH = 16
"""Channels of the decoders at full size, and so many times the reduction at coarser sizes."""


class CoarsestDecoder(nn.Module):
    """Logits from the coarsest map alone.

    Args:
        before: What the map passes first.
        head: From what that gives to classes.
    """

    def __init__(self, before: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.before = before
        self.head = head
        initialise_decoder(self, head)

    def forward(self, maps: list[Tensor], size: Size) -> Tensor:  # noqa: ARG002 - as any decoder
        return self.head(self.before(maps[-1]))


class Vanilla(Segmenter):
    """Step 1: a 1x1 convolution on the coarsest map, and its logits resized to the input's size.

    ```
    image ── encoder ── coarsest map ── before ── 1x1 ── resize ── logits
    ```

    What is smaller than a position of the coarsest map is lost.

    Args:
        encoder: Any.
        num_classes: Channels of the logits.
        before: What the coarsest map passes first, such as a context module; None for nothing.
        channels: That `before` gives; None for the encoder's.
        divisor: See `Segmenter`.
        has_auxiliary: Whether there is a further head on the last map but one.
        align_corners: How logits are resized, see `resize_linear`.
        spatial_dims: 2 for images, 3 for volumes.

    Shape:
        `(B, in_channels, *S)` to logits `(B, num_classes, *S)`, for any S.

    Raises:
        ShapeError: If there are no classes.

    Example:
        >>> from atrous.networks.encoders.catalog import create_encoder
        >>> model = Vanilla(create_encoder("espnetv2_0_5"), num_classes=5)
    """

    def __init__(
        self,
        encoder: Encoder,
        *,
        num_classes: int,
        before: nn.Module | None = None,
        channels: int | None = None,
        divisor: int | None = None,
        has_auxiliary: bool = False,
        align_corners: bool = False,
        spatial_dims: SpatialDims = 2,
    ) -> None:
        auxiliary = auxiliary_head(
            encoder, num_classes=num_classes, has_auxiliary=has_auxiliary, spatial_dims=spatial_dims
        )
        head = CONV[spatial_dims](channels or encoder.out_channels[-1], num_classes, 1)
        super().__init__(
            encoder,
            CoarsestDecoder(before or nn.Identity(), head),
            divisor=divisor,
            auxiliary=auxiliary,
            align_corners=align_corners,
            spatial_dims=spatial_dims,
        )


class LevelDecoder(nn.Module):
    """From the coarsest map through every finer size of the encoder's maps to the full one.

    Args:
        encoder: For its channels and reductions.
        num_classes: Channels of the logits.
        join: How the encoder's maps of each size join; None for no skip connections.
        width: Channels at full size; at a size `reduction` times smaller so many times more.
        spatial_dims: 2 for images, 3 for volumes.
    """

    def __init__(
        self,
        encoder: Encoder,
        *,
        num_classes: int,
        join: Join | None,
        width: int,
        spatial_dims: SpatialDims,
    ) -> None:
        super().__init__()
        *finer, coarsest = coarsest_of_each(encoder.reductions)
        self.finer = tuple(reversed(finer))
        widths = [
            encoder.out_channels[coarsest],
            *(width * encoder.reductions[index] for index in self.finer),
        ]
        self.levels = nn.ModuleList(
            DecoderLevel(before, after, spatial_dims=spatial_dims)
            if join is None
            else SkipLevel(
                before, encoder.out_channels[index], after, join=join, spatial_dims=spatial_dims
            )
            for index, (before, after) in zip(self.finer, pairwise(widths), strict=True)
        )
        self.last = DecoderLevel(widths[-1], width, spatial_dims=spatial_dims)
        self.head = CONV[spatial_dims](width, num_classes, 3, padding=same_padding(3))
        self.has_skips = join is not None
        initialise_decoder(self, self.head)

    def forward(self, maps: list[Tensor], size: Size) -> Tensor:
        y = maps[-1]
        for level, index in zip(self.levels, self.finer, strict=True):
            # Without skips only the length of the finer map is used, never what it holds.
            y = level(y, maps[index] if self.has_skips else tuple(maps[index].shape[2:]))
        return self.head(self.last(y, size))


class EncoderDecoder(Segmenter):
    """Step 2: a decoder that doubles the size and convolves, level by level, without skips.

    ```
    image ── encoder ── coarsest map ── [ repeat 2x ── 3x3 ── 3x3 ] … ── 3x3 ── logits
    ```

    Args:
        encoder: Any.
        num_classes: Channels of the logits.
        width: Channels of the decoder at full size, see `LevelDecoder`.
        has_auxiliary: Whether there is a further head on the last map but one.
        spatial_dims: 2 for images, 3 for volumes.

    Shape:
        `(B, in_channels, *S)` to logits `(B, num_classes, *S)`, for any S.

    Raises:
        ShapeError: If there are no classes.
    """

    def __init__(
        self,
        encoder: Encoder,
        *,
        num_classes: int,
        width: int = DECODER_WIDTH,
        has_auxiliary: bool = False,
        spatial_dims: SpatialDims = 2,
    ) -> None:
        auxiliary = auxiliary_head(
            encoder, num_classes=num_classes, has_auxiliary=has_auxiliary, spatial_dims=spatial_dims
        )
        decoder = LevelDecoder(
            encoder, num_classes=num_classes, join=None, width=width, spatial_dims=spatial_dims
        )
        super().__init__(encoder, decoder, auxiliary=auxiliary, spatial_dims=spatial_dims)


class SkipEncoderDecoder(Segmenter):
    """Step 3: the same decoder, and at each size the encoder's map of that size joins.

    ```
    image ── encoder ──┬─ coarsest map ── repeat 2x ──┐
                       ├─ finer map ──────────────── join ── 3x3 ── 3x3 ── repeat 2x ──┐
                       └─ …  ──────────────────────────────────────────────────────── join ── …
    ```

    With `concat` it is a U-Net over the encoder.

    Args:
        encoder: Any.
        num_classes: Channels of the logits.
        join: `add`, after a 1x1 that makes the channels equal, or `concat`.
        width: Channels of the decoder at full size, see `LevelDecoder`.
        has_auxiliary: Whether there is a further head on the last map but one.
        spatial_dims: 2 for images, 3 for volumes.

    Shape:
        `(B, in_channels, *S)` to logits `(B, num_classes, *S)`, for any S.

    Raises:
        ShapeError: If there are no classes, or no such join.
    """

    def __init__(
        self,
        encoder: Encoder,
        *,
        num_classes: int,
        join: Join = "add",
        width: int = DECODER_WIDTH,
        has_auxiliary: bool = False,
        spatial_dims: SpatialDims = 2,
    ) -> None:
        auxiliary = auxiliary_head(
            encoder, num_classes=num_classes, has_auxiliary=has_auxiliary, spatial_dims=spatial_dims
        )
        decoder = LevelDecoder(
            encoder, num_classes=num_classes, join=join, width=width, spatial_dims=spatial_dims
        )
        super().__init__(encoder, decoder, auxiliary=auxiliary, spatial_dims=spatial_dims)
