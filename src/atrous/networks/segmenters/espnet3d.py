"""3D-ESPNet with pyramidal refinement: ESP blocks for volumes.

Source: Mehta et al., "3D-ESPNet with Pyramidal Refinement for Volumetric Brain Tumor Image
    Segmentation", BrainLes 2018; wiring and constants from the authors' code.
"""

from fractions import Fraction
from functools import partial

import torch
from torch import Tensor, nn

from atrous.blocks.conv import ConvNormAct, batch_norm
from atrous.blocks.esp.medical import NormedESPBlock
from atrous.blocks.nd import CONV
from atrous.blocks.pyramids.halving import PyramidPooling
from atrous.blocks.pyramids.kernels import KernelPyramid
from atrous.blocks.resize import double_linear, pool_to_size, resize_linear
from atrous.errors import ShapeError
from atrous.networks.encoder import CheckedEncoder, initialise
from atrous.types import Size, SpatialDims

DIVISOR = 8
"""The encoder halves three times, and the decoder doubles by exactly 2."""

FRACTIONS = (Fraction(1, 5), Fraction(2, 5), Fraction(3, 5), Fraction(4, 5))
"""Pooled sizes of the pyramidal refinement."""

# The normalisation at the end of an ESP block is the only one that the authors left at the usual
# eps. Their momentum of 0.95 is not followed, see `ynet_encoder`.
_norm = partial(batch_norm, eps=1e-3)


class ESPNet3DEncoder(CheckedEncoder):
    """A 7x7x7 stem and three stages of ESP blocks, at reductions 2, 4, 8.

    Args:
        in_channels: Channels of the volume, such as its modalities.
        spatial_dims: 3 for volumes, 2 for images.

    Shape:
        `(B, in_channels, *S)` to a list of maps `(B, out_channels[i], *ceil(S / reductions[i]))`.
    """

    def __init__(self, *, in_channels: int = 4, spatial_dims: SpatialDims = 3) -> None:
        super().__init__(
            out_channels=(32, 128, 256),
            reductions=(2, 4, 8),
            in_channels=in_channels,
            minimum_size=1,
            spatial_dims=spatial_dims,
        )
        esp = partial(NormedESPBlock, reduce_norm=_norm, spatial_dims=spatial_dims)
        self.stem = ConvNormAct(in_channels, 16, 7, stride=2, norm=_norm, spatial_dims=spatial_dims)
        self.stage1 = nn.Sequential(esp(16, 32), esp(32, 32))
        self.stage2 = nn.Sequential(esp(32, 128, stride=2), esp(128, 128), esp(128, 128))
        self.stage3 = nn.Sequential(
            esp(128, 256, stride=2), esp(256, 256), esp(256, 256), esp(256, 256)
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        self.check_input(x)
        map1 = self.stage1(self.stem(x))
        map2 = self.stage2(map1)
        return [map1, map2, self.stage3(map2)]


class ESPNet3D(nn.Module):
    """The encoder, a decoder of ESP blocks, and a refinement that looks at several sizes.

    ```
    reduction 8   map3 ── 3x3x3 ── up 2x
                                    │
    reduction 4   map2 ────────── concat ── 3 ESP ── 3x3x3 ── up 2x
                                                                │
    reduction 2   map1 ────────────────────────────────────── concat ── 3 ESP ── 3x3x3, C ─┐
                       ┌─ kernel pyramid ── pyramid pooling ── 3x3x3, C ── kernel pyramid ─┘
                       └─ nearest 2x ── 7x7x7, C ── 1x1x1, C ── logits
    ```

    C is the number of classes. The volume is first brought to a working size that divides by 8, by
    averaging (which repeats voxels where there are too few), and the logits are sampled back.

    Args:
        encoder: Three maps, at reductions 2, 4, 8.
        num_classes: C.
        align_corners: How maps are resized. The authors trained with True, the only way that their
            framework had; run on a later one, their code does it with False.
        spatial_dims: 3 for volumes, 2 for images.

    Shape:
        `(B, in_channels, *S)` to logits `(B, num_classes, *S)`, for any S.

    Raises:
        ShapeError: If there are no classes.
    """

    def __init__(
        self,
        encoder: ESPNet3DEncoder,
        *,
        num_classes: int,
        align_corners: bool = True,
        spatial_dims: SpatialDims = 3,
    ) -> None:
        super().__init__()
        if num_classes < 1:
            raise ShapeError(f"A segmenter needs at least one class, but got {num_classes}.")
        unit = partial(ConvNormAct, norm=_norm, spatial_dims=spatial_dims)
        esp = partial(NormedESPBlock, reduce_norm=_norm, spatial_dims=spatial_dims)
        kernels = partial(KernelPyramid, norm=_norm, spatial_dims=spatial_dims)
        channels1, channels2, channels3 = encoder.out_channels
        self.encoder = encoder
        self.up3 = unit(channels3, channels2, 3)
        self.merge2 = nn.Sequential(
            esp(2 * channels2, channels2), esp(channels2, channels2), esp(channels2, channels2)
        )
        self.up2 = unit(channels2, channels1, 3)
        self.merge1 = nn.Sequential(
            esp(2 * channels1, channels1), esp(channels1, channels1), esp(channels1, channels1)
        )
        self.reduce = nn.Sequential(unit(channels1, num_classes, 3), kernels(num_classes))
        self.pool = PyramidPooling(
            num_classes,
            num_classes,
            fractions=FRACTIONS,
            kernel_size=3,
            align_corners=align_corners,
            norm=_norm,
            spatial_dims=spatial_dims,
        )
        self.refine = nn.Sequential(
            unit(self.pool.out_channels, num_classes, 3),
            kernels(num_classes),
            nn.Upsample(scale_factor=2, mode="nearest"),
            unit(num_classes, num_classes, 7),
            CONV[spatial_dims](num_classes, num_classes, 1, bias=False),
        )
        self.align_corners = align_corners
        initialise(self)

    def forward(self, x: Tensor, *, working_size: Size | None = None) -> Tensor:
        """Logits of the volume's size.

        Args:
            x: The volume.
            working_size: Size that the network works at, multiples of 8; None for the volume's own,
                rounded up. The authors average the logits of None and of 144 along every axis.

        Raises:
            ShapeError: If the working size is no multiple of 8, or of other axes.
        """
        self.encoder.check_input(x)
        size = tuple(x.shape[2:])
        map1, map2, map3 = self.encoder(pool_to_size(x, _working_size(size, working_size)))
        y = self.merge2(torch.cat([self._double(self.up3(map3)), map2], dim=1))
        y = self.merge1(torch.cat([self._double(self.up2(y)), map1], dim=1))
        logits = self.refine(self.pool(self.reduce(y)))
        return resize_linear(logits, size, align_corners=self.align_corners)

    def _double(self, x: Tensor) -> Tensor:
        return double_linear(x, align_corners=self.align_corners)


def _working_size(size: Size, wanted: Size | None) -> Size:
    if wanted is None:
        return tuple((length + DIVISOR - 1) // DIVISOR * DIVISOR for length in size)
    if len(wanted) != len(size) or any(length < 1 or length % DIVISOR for length in wanted):
        raise ShapeError(
            f"Got a working size of {tuple(wanted)} for an input of size {size}; expected "
            f"{len(size)} multiples of {DIVISOR}."
        )
    return tuple(wanted)


def espnet3d(
    *,
    num_classes: int = 4,
    in_channels: int = 4,
    align_corners: bool = True,
    spatial_dims: SpatialDims = 3,
) -> ESPNet3D:
    """3D-ESPNet: 3,626,584 parameters at the defaults.

    Source: Mehta et al., "3D-ESPNet with Pyramidal Refinement for Volumetric Brain Tumor Image
        Segmentation", BrainLes 2018.
    """
    encoder = ESPNet3DEncoder(in_channels=in_channels, spatial_dims=spatial_dims)
    return ESPNet3D(
        encoder, num_classes=num_classes, align_corners=align_corners, spatial_dims=spatial_dims
    )
