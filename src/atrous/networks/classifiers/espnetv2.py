"""ESPNetv2 of width 0.5, 1.0, 1.25, 1.5 and 2.0.

Source: Mehta et al., "ESPNetv2: A Light-weight, Power Efficient, and General Purpose Convolutional
    Neural Network", CVPR 2019; wiring and constants from the authors' code.
"""

from collections.abc import Mapping
from functools import partial
from itertools import pairwise
from types import MappingProxyType
from typing import Final

from torch import Tensor, nn

from atrous.blocks.conv import ConvNormAct, prelu
from atrous.blocks.esp.eesp import EESPBlock, StridedEESPBlock, dilations_within
from atrous.blocks.pool import average_pool
from atrous.errors import ShapeError
from atrous.networks.classifiers.classifier import Classifier, LinearHead
from atrous.networks.encoder import CheckedEncoder
from atrous.types import SpatialDims

WIDTHS: Final[Mapping[str, tuple[int, int, int, int, int, int]]] = MappingProxyType(
    {
        "0_5": (16, 32, 64, 128, 256, 1024),
        "1_0": (32, 64, 128, 256, 512, 1024),
        "1_25": (32, 80, 160, 320, 640, 1024),
        "1_5": (32, 96, 192, 384, 768, 1024),
        "2_0": (32, 128, 256, 512, 1024, 1280),
    }
)
"""Channels of levels 1 to 5, and of the convolution before the mean over all positions."""

REPEATS = (0, 3, 7, 3)
"""Blocks of levels 2 to 5 behind the one that halves the size."""

STRIDED_FIELDS = (13, 11, 9, 7)
FIELDS = (11, 9, 7, 5)
"""Widest field of a branch in the strided block of levels 2 to 5, and in the blocks behind it."""

GROUPS = 4


class ESPNetv2Encoder(CheckedEncoder):
    """Five levels, at reductions 2, 4, 8, 16, 32; the image reinforces levels 2 to 4.

    Args:
        width: A key of `WIDTHS`.
        num_levels: Levels to build, 1 to 5; segmentation does with 4.
        in_channels: Channels of the image.
        spatial_dims: 2 for images, 3 for volumes.

    Shape:
        `(B, in_channels, *S)` to a list of maps `(B, out_channels[i], *ceil(S / reductions[i]))`.

    Raises:
        ShapeError: If there is no such number of levels.
    """

    def __init__(
        self,
        width: str,
        *,
        num_levels: int = 5,
        in_channels: int = 3,
        spatial_dims: SpatialDims = 2,
    ) -> None:
        if not 1 <= num_levels <= 5:
            raise ShapeError(f"ESPNetv2 has 1 to 5 levels, but got num_levels={num_levels}.")
        widths = WIDTHS[width][:num_levels]
        super().__init__(
            out_channels=widths,
            reductions=(2, 4, 8, 16, 32)[:num_levels],
            in_channels=in_channels,
            spatial_dims=spatial_dims,
        )
        self.halve_image = average_pool(stride=2, spatial_dims=spatial_dims)
        self.stem = ConvNormAct(
            in_channels, widths[0], 3, stride=2, act=prelu, spatial_dims=spatial_dims
        )
        self.levels = nn.ModuleList(
            _Level(
                channels,
                next_channels,
                strided_field=STRIDED_FIELDS[index],
                field=FIELDS[index],
                repeats=REPEATS[index],
                # The last level is as coarse as it gets: the authors leave the image out.
                image_channels=in_channels if index < 3 else None,
                spatial_dims=spatial_dims,
            )
            for index, (channels, next_channels) in enumerate(pairwise(widths))
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        self.check_input(x)
        image = self.halve_image(x)
        maps = [self.stem(x)]
        for level in self.levels:
            image = self.halve_image(image)
            maps.append(level(maps[-1], image))
        return maps


class _Level(nn.Module):
    """A block that halves the size and the blocks behind it."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        strided_field: int,
        field: int,
        repeats: int,
        image_channels: int | None,
        spatial_dims: SpatialDims,
    ) -> None:
        super().__init__()
        self.down = StridedEESPBlock(
            in_channels,
            out_channels,
            dilations=dilations_within(strided_field),
            image_channels=image_channels,
            spatial_dims=spatial_dims,
        )
        self.blocks = nn.Sequential(
            *(
                EESPBlock(
                    out_channels,
                    out_channels,
                    dilations=dilations_within(field),
                    spatial_dims=spatial_dims,
                )
                for _ in range(repeats)
            )
        )

    def forward(self, x: Tensor, image: Tensor) -> Tensor:
        return self.blocks(self.down(x, None if self.down.reinforce is None else image))


def _espnetv2(
    width: str, *, num_classes: int, in_channels: int, spatial_dims: SpatialDims
) -> Classifier:
    encoder = ESPNetv2Encoder(width, in_channels=in_channels, spatial_dims=spatial_dims)
    coarsest, expanded = WIDTHS[width][-2:]
    unit = partial(ConvNormAct, act=prelu, spatial_dims=spatial_dims)
    before = nn.Sequential(
        unit(coarsest, coarsest, 3, groups=coarsest),
        unit(coarsest, expanded, 1, groups=GROUPS),
    )
    head = LinearHead(expanded, num_classes, dropout=0.2, before=before, spatial_dims=spatial_dims)
    return Classifier(encoder, head)


def espnetv2_0_5(
    *, num_classes: int = 1000, in_channels: int = 3, spatial_dims: SpatialDims = 2
) -> Classifier:
    """ESPNetv2 of width 0.5: 1,239,722 parameters at the defaults.

    The authors count 1,241,332, with 1,610 that their code builds and never uses.
    """
    return _espnetv2(
        "0_5", num_classes=num_classes, in_channels=in_channels, spatial_dims=spatial_dims
    )


def espnetv2_1_0(
    *, num_classes: int = 1000, in_channels: int = 3, spatial_dims: SpatialDims = 2
) -> Classifier:
    """ESPNetv2 of width 1.0: 1,666,942 parameters at the defaults.

    The authors count 1,670,072, with 3,130 that their code builds and never uses.
    """
    return _espnetv2(
        "1_0", num_classes=num_classes, in_channels=in_channels, spatial_dims=spatial_dims
    )


def espnetv2_1_25(
    *, num_classes: int = 1000, in_channels: int = 3, spatial_dims: SpatialDims = 2
) -> Classifier:
    """ESPNetv2 of width 1.25: 1,961,542 parameters at the defaults.

    The authors count 1,965,440, with 3,898 that their code builds and never uses.
    """
    return _espnetv2(
        "1_25", num_classes=num_classes, in_channels=in_channels, spatial_dims=spatial_dims
    )


def espnetv2_1_5(
    *, num_classes: int = 1000, in_channels: int = 3, spatial_dims: SpatialDims = 2
) -> Classifier:
    """ESPNetv2 of width 1.5: 2,310,190 parameters at the defaults.

    The authors count 2,314,856, with 4,666 that their code builds and never uses.
    """
    return _espnetv2(
        "1_5", num_classes=num_classes, in_channels=in_channels, spatial_dims=spatial_dims
    )


def espnetv2_2_0(
    *, num_classes: int = 1000, in_channels: int = 3, spatial_dims: SpatialDims = 2
) -> Classifier:
    """ESPNetv2 of width 2.0: 3,491,934 parameters at the defaults.

    The authors count 3,498,136, with 6,202 that their code builds and never uses.
    """
    return _espnetv2(
        "2_0", num_classes=num_classes, in_channels=in_channels, spatial_dims=spatial_dims
    )
