"""The parts of the breast-biopsy network: an encoder that sees the image again, two decoders.

Source: Mehta et al., "Learning to Segment Breast Biopsy Whole Slide Images", WACV 2018; layers and
    links from the authors' released description.
"""

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn

from atrous.blocks.conv import ConvNormAct, NormAct
from atrous.blocks.nd import CONV, CONV_TRANSPOSE
from atrous.blocks.pool import average_pool
from atrous.blocks.resize import crop_to_size, pad_to_multiple
from atrous.networks.classifiers.resnet import resnet_encoder
from atrous.networks.encoder import CheckedEncoder
from atrous.types import SpatialDims

DIVISOR = 32
"""Input lengths are padded inside to a multiple of this: the encoder halves five times."""


class InputAwareEncoder(CheckedEncoder):
    """A ResNet-18 to whose first two maps the averaged image is added, through convolutions.

    The residual network is kept whole in `resnet`, so that weights of ImageNet load into it.

    Args:
        in_channels: Channels of the image.
        spatial_dims: 2 for images, 3 for volumes.

    Shape:
        `(B, in_channels, *S)` to a list of six maps `(B, out_channels[i], *S / reductions[i])`; the
        second and third are both at reduction 4, before and after the first residual stage.
    """

    def __init__(self, *, in_channels: int = 3, spatial_dims: SpatialDims = 2) -> None:
        super().__init__(
            out_channels=(64, 64, 64, 128, 256, 512),
            reductions=(2, 4, 4, 8, 16, 32),
            in_channels=in_channels,
            spatial_dims=spatial_dims,
        )
        self.resnet = resnet_encoder("resnet18", in_channels=in_channels, spatial_dims=spatial_dims)
        self.halve_image = average_pool(stride=2, spatial_dims=spatial_dims)
        self.image_units = nn.ModuleList(
            nn.Sequential(
                CONV[spatial_dims](in_channels, 64, 1),
                ConvNormAct(64, 64, 3, spatial_dims=spatial_dims),
            )
            for _ in range(2)
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        self.check_input(x)
        stem, first, *rest = self.resnet.stages
        pool, *blocks = first.children()
        half = self.halve_image(x)
        map1 = stem(x) + self.image_units[0](half)
        pooled = pool(map1) + self.image_units[1](self.halve_image(half))
        maps = [map1, pooled]
        for stage in (nn.Sequential(*blocks), *rest):
            maps.append(stage(maps[-1]))
        return maps


# The decoders' four sums are at reductions 16, 8, 4, 2. Which of the encoder's six maps have that
# size, and which finer ones reach the sum of the dense decoder through a link.
_SAME_SIZE = ((4,), (3,), (1, 2), (0,))
_LINKED = ((0, 1, 2, 3), (0, 1, 2), (0,), ())


class DenseDecoder(nn.Module):
    """Doubles the size five times; before each, all finer maps of the encoder are added too.

    A finer map comes through a 1x1 convolution whose stride brings it to the size of the sum.

    Args:
        encoder: Six maps, see `InputAwareEncoder`.
        num_classes: Channels out.
        spatial_dims: 2 for images, 3 for volumes.

    Shape:
        Six maps to `(B, num_classes, *S)`, S the size of the image.
    """

    def __init__(
        self, encoder: InputAwareEncoder, *, num_classes: int, spatial_dims: SpatialDims = 2
    ) -> None:
        super().__init__()
        widths = (512, 256, 128, 64, 64, 64)
        self.ups = nn.ModuleList(
            _up(before, after, spatial_dims=spatial_dims) for before, after in pairwise(widths)
        )
        self.links = nn.ModuleList(
            nn.ModuleList(
                ConvNormAct(
                    encoder.out_channels[index],
                    width,
                    1,
                    stride=encoder.reductions[same[0]] // encoder.reductions[index],
                    spatial_dims=spatial_dims,
                )
                for index in linked
            )
            for width, same, linked in zip(widths[1:-1], _SAME_SIZE, _LINKED, strict=True)
        )
        self.head = ConvNormAct(widths[-1], num_classes, 1, spatial_dims=spatial_dims)

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        first, *ups = self.ups
        y = first(maps[-1])
        for up, links, same, linked in zip(ups, self.links, _SAME_SIZE, _LINKED, strict=True):
            for index in same:
                y = y + maps[index]
            for link, index in zip(links.children(), linked, strict=True):
                y = y + link(maps[index])
            y = up(y)
        return self.head(y)


class SparseDecoder(nn.Module):
    """Every map of the encoder as classes, doubled and added up from coarse to fine.

    The size is doubled by transposed 1x1 convolutions of stride 2, which leave holes; the sum with
    the other decoder and the 3x3 convolution after it fill them.

    Args:
        encoder: Six maps, see `InputAwareEncoder`.
        num_classes: Channels out.
        spatial_dims: 2 for images, 3 for volumes.

    Shape:
        Six maps to `(B, num_classes, *S)`, S the size of the image.
    """

    def __init__(
        self, encoder: InputAwareEncoder, *, num_classes: int, spatial_dims: SpatialDims = 2
    ) -> None:
        super().__init__()
        *finer, coarsest = encoder.out_channels
        self.heads = nn.ModuleList(CONV[spatial_dims](width, num_classes, 1) for width in finer)
        self.first = CONV_TRANSPOSE[spatial_dims](
            coarsest, num_classes, 1, stride=2, output_padding=1
        )
        self.ups = nn.ModuleList(
            _up(num_classes, num_classes, kernel_size=1, spatial_dims=spatial_dims)
            for _ in _SAME_SIZE
        )

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        y = self.first(maps[-1])
        for up, same in zip(self.ups, _SAME_SIZE, strict=True):
            for index in same:
                y = y + self.heads[index](maps[index])
            y = up(y)
        return y


class InputAwareNetwork(nn.Module):
    """The encoder, both decoders and a branch at full size, added up and convolved: one view.

    Shape:
        `(B, in_channels, *S)` to `(B, num_classes, *S)`, for any S; these are no logits yet, but
        activations that are never negative.
    """

    def __init__(
        self, *, num_classes: int, in_channels: int = 3, spatial_dims: SpatialDims = 2
    ) -> None:
        super().__init__()
        self.encoder = InputAwareEncoder(in_channels=in_channels, spatial_dims=spatial_dims)
        self.dense = DenseDecoder(self.encoder, num_classes=num_classes, spatial_dims=spatial_dims)
        self.sparse = SparseDecoder(
            self.encoder, num_classes=num_classes, spatial_dims=spatial_dims
        )
        self.finest = ConvNormAct(in_channels, num_classes, 3, spatial_dims=spatial_dims)
        self.merge = ConvNormAct(num_classes, num_classes, 3, spatial_dims=spatial_dims)

    def forward(self, x: Tensor) -> Tensor:
        padded = pad_to_multiple(x, DIVISOR)
        maps = self.encoder(padded)
        y = self.merge(self.dense(maps) + self.finest(padded) + self.sparse(maps))
        return crop_to_size(y, x.shape[2:])


def _up(
    in_channels: int, out_channels: int, *, kernel_size: int = 3, spatial_dims: SpatialDims
) -> nn.Sequential:
    return nn.Sequential(
        CONV_TRANSPOSE[spatial_dims](
            in_channels,
            out_channels,
            kernel_size,
            stride=2,
            padding=kernel_size // 2,
            output_padding=1,
            bias=False,
        ),
        NormAct(out_channels, spatial_dims=spatial_dims),
    )
