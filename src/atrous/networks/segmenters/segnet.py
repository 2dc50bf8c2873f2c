"""SegNet: a decoder without skip connections that is told where each maximum was.

Source: Badrinarayanan et al., "SegNet: A Deep Convolutional Encoder-Decoder Architecture for Image
    Segmentation", PAMI 2017.
"""

from collections.abc import Callable, Mapping
from typing import Final

from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name everybody reads

from atrous.blocks.conv import batch_norm
from atrous.blocks.nd import CONV, same_padding
from atrous.blocks.vgg import VGGBlock
from atrous.errors import ShapeError
from atrous.networks.encoder import StagedEncoder
from atrous.networks.encoders.for_segmentation import segmentation_encoder
from atrous.networks.segmenters.joint import JointSegmenter, with_diagnosis
from atrous.networks.segmenters.segmenter import (
    Segmenter,
    auxiliary_head,
    check_classes,
    initialise_decoder,
)
from atrous.types import SpatialDims

_POOL: Final[Mapping[SpatialDims, Callable[..., tuple[Tensor, Tensor]]]] = {
    2: F.max_pool2d_with_indices,
    3: F.max_pool3d_with_indices,
}
_UNPOOL: Final[Mapping[SpatialDims, Callable[..., Tensor]]] = {
    2: F.max_unpool2d,
    3: F.max_unpool3d,
}
_MAX_POOLS = (nn.MaxPool2d, nn.MaxPool3d)


class SegNetDecoder(nn.Module):
    """The encoder in reverse: each block after the unpooling that answers the pool.

    ```
    coarsest ── unpool by indices ── 3x3 … ── unpool ── 3x3 … ── … ── 3x3 ── logits
    ```

    Args:
        encoder: A VGG, none of whose pools has lost its stride.
        num_classes: Channels of the logits.
        spatial_dims: 2 for images, 3 for volumes.

    Raises:
        ShapeError: If there are no classes, or the encoder is no such VGG.
    """

    def __init__(
        self, encoder: StagedEncoder, *, num_classes: int, spatial_dims: SpatialDims = 2
    ) -> None:
        super().__init__()
        check_classes(num_classes)
        depths = [_num_convs(stage) for stage in encoder.stages]
        finer = [encoder.out_channels[0], *encoder.out_channels[:-1]]
        blocks = []
        # Of each block the last convolution narrows; of the last block it gives the logits.
        for index in reversed(range(len(depths))):
            is_last = index == 0
            wide, narrow, depth = encoder.out_channels[index], finer[index], depths[index]
            block = nn.Sequential()
            if depth > 1:
                block.append(
                    VGGBlock(
                        wide, wide, num_convs=depth - 1, norm=batch_norm, spatial_dims=spatial_dims
                    )
                )
            if not is_last:
                block.append(
                    VGGBlock(wide, narrow, num_convs=1, norm=batch_norm, spatial_dims=spatial_dims)
                )
            blocks.append(block)
        self.blocks = nn.ModuleList(blocks)
        self.head = CONV[spatial_dims](finer[0], num_classes, 3, padding=same_padding(3))
        self.spatial_dims: SpatialDims = spatial_dims
        initialise_decoder(self, self.head)

    def forward(self, x: Tensor, indices: list[Tensor], before: list[tuple[int, ...]]) -> Tensor:
        """Logits of the coarsest map, the pools' indices, and the sizes before each pool."""
        unpool = _UNPOOL[self.spatial_dims]
        for block, places, size in zip(
            self.blocks, reversed(indices), reversed(before), strict=True
        ):
            x = block(unpool(x, places, 2, output_size=size))
        return self.head(x)


def _num_convs(stage: nn.Module) -> int:
    """Convolutions of a VGG's stage.

    Raises:
        ShapeError: If the stage is not a block and a pool of stride 2.
    """
    block, pool = getattr(stage, "block", None), getattr(stage, "pool", None)
    if not isinstance(block, VGGBlock) or not isinstance(pool, _MAX_POOLS):
        raise ShapeError(
            "SegNet needs an encoder whose every stage ends in a max-pool 2x2, of which it takes "
            "the indices, but got another; use a VGG with output_stride=32."
        )
    return len(block)


class SegNet(Segmenter):
    """A VGG without its linear layers, and its mirror image.

    The indices say where in each window the maximum was, not what was there: no map of the encoder
    reaches the decoder. Sizes that are no multiple of 32 are not padded; a row that a pool left out
    is zero when it comes back.

    Args:
        encoder: A VGG, whose tensors keep their names.
        num_classes: Channels of the logits.
        has_auxiliary: Whether there is a further head on the last map but one.
        spatial_dims: 2 for images, 3 for volumes.

    Shape:
        `(B, in_channels, *S)` to logits `(B, num_classes, *S)`, for any S.

    Raises:
        ShapeError: If there are no classes, or the encoder is no VGG.
    """

    encoder: StagedEncoder

    def __init__(
        self,
        encoder: StagedEncoder,
        *,
        num_classes: int,
        has_auxiliary: bool = False,
        spatial_dims: SpatialDims = 2,
    ) -> None:
        decoder = SegNetDecoder(encoder, num_classes=num_classes, spatial_dims=spatial_dims)
        auxiliary = auxiliary_head(
            encoder, num_classes=num_classes, has_auxiliary=has_auxiliary, spatial_dims=spatial_dims
        )
        super().__init__(
            encoder, decoder, divisor=1, auxiliary=auxiliary, spatial_dims=spatial_dims
        )

    def run(self, padded: Tensor) -> tuple[list[Tensor], Tensor]:
        self.encoder.check_input(padded)
        maps, indices, before = [], [], []
        x = padded
        for stage in self.encoder.stages:
            x = stage.get_submodule("block")(x)
            before.append(tuple(x.shape[2:]))
            x, places = _POOL[self.spatial_dims](x, 2)
            maps.append(x)
            indices.append(places)
        return maps, self.decoder(x, indices, before)


def segnet(
    *,
    encoder: str = "vgg16_bn",
    num_classes: int = 21,
    in_channels: int = 3,
    output_stride: int = 32,
    num_labels: int | None = None,
    has_auxiliary: bool = False,
    spatial_dims: SpatialDims = 2,
) -> Segmenter | JointSegmenter:
    """SegNet over a VGG: 29,455,125 parameters at the defaults.

    Raises:
        ShapeError: If the encoder is no VGG, or `output_stride` is not 32: a dilated VGG has pools
            without stride, whose indices say nothing.

    Source: Badrinarayanan et al., "SegNet", PAMI 2017.
    """
    built = segmentation_encoder(
        encoder, in_channels=in_channels, output_stride=output_stride, spatial_dims=spatial_dims
    )
    if not isinstance(built, StagedEncoder):
        raise ShapeError(
            f"SegNet takes the indices of a VGG's pools, but got {encoder}; use a VGG, such as "
            f"vgg16_bn."
        )
    segmenter = SegNet(
        built, num_classes=num_classes, has_auxiliary=has_auxiliary, spatial_dims=spatial_dims
    )
    return with_diagnosis(segmenter, num_labels)
