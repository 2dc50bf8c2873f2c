"""ESPNetv2 for segmentation in its first form, of 2018.

Source: Mehta et al., "ESPNetv2", CVPR 2019; wiring from the authors' first code and checkpoints.
"""

import torch
from torch import Tensor, nn

from atrous.blocks.conv import ConvNormAct, NormAct, prelu
from atrous.blocks.esp.eesp import EESPBlock, dilations_within
from atrous.blocks.nd import CONV
from atrous.blocks.pyramids.halving import HalvingPyramid
from atrous.blocks.resize import crop_to_size, double_linear, pad_to_multiple
from atrous.errors import ShapeError
from atrous.networks.classifiers.espnetv2 import ESPNetv2Encoder
from atrous.networks.encoder import initialise
from atrous.networks.segmenters.espnetv2 import DIVISOR, segmentation_encoder
from atrous.types import SpatialDims

FIELD = 7
"""Widest field of a branch in the decoder's EESP block."""


class ESPNetv2Segmenter2018(nn.Module):
    """The encoder's first four levels, one pyramid at reduction 8, and few channels from there on.

    ```
    reduction 16   map4 ── 1x1 ── up 2x
                                   │
    reduction 8    map3 ──────── concat ── EESP ── halving pyramid ── 1x1, C ──┬── (auxiliary)
                                                           norm, act ── up 2x ─┘
                                                                         │
    reduction 4    map2 ────────────────────────────────────────────── concat ── 1x1, C ── up 2x
                                                                                             │
    reduction 2    map1 ────────────────────────────────────────────────────────────────── concat
                                                                 logits ── up 2x ── 1x1, C ──┘
    ```

    Args:
        encoder: Four levels, at reductions 2, 4, 8, 16.
        num_classes: C, channels of the logits.
        dropout: Share of channels set to zero before each layer of logits, in training.
        spatial_dims: 2 for images, 3 for volumes.

    Shape:
        `(B, in_channels, *S)` to logits `(B, num_classes, *S)`, for any S.

    Raises:
        ShapeError: If there are no classes.
    """

    def __init__(
        self,
        encoder: ESPNetv2Encoder,
        *,
        num_classes: int,
        dropout: float = 0.2,
        spatial_dims: SpatialDims = 2,
    ) -> None:
        super().__init__()
        if num_classes < 1:
            raise ShapeError(f"A segmenter needs at least one class, but got {num_classes}.")
        finest, second, third, coarsest = encoder.out_channels
        self.encoder = encoder
        self.reduce4 = ConvNormAct(coarsest, third, 1, act=prelu, spatial_dims=spatial_dims)
        self.merge3 = nn.Sequential(
            EESPBlock(
                2 * third,
                third,
                dilations=dilations_within(FIELD),
                is_residual=False,
                spatial_dims=spatial_dims,
            ),
            HalvingPyramid(third, spatial_dims=spatial_dims),
        )
        self.dropout = nn.Dropout2d(dropout) if spatial_dims == 2 else nn.Dropout3d(dropout)
        self.head3 = CONV[spatial_dims](third, num_classes, 1, bias=False)
        self.join3 = NormAct(num_classes, act=prelu, spatial_dims=spatial_dims)
        self.merge2 = ConvNormAct(
            second + num_classes, num_classes, 1, act=prelu, spatial_dims=spatial_dims
        )
        self.head1 = CONV[spatial_dims](finest + num_classes, num_classes, 1, bias=False)
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        return self._logits_and_coarse(x)[0]

    def forward_with_auxiliary(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """The logits, and those of reduction 8 brought to the same size, for a second loss."""
        logits, coarse = self._logits_and_coarse(x)
        for _ in range(3):  # one step of 8 would sample other positions
            coarse = _double(coarse)
        return logits, [crop_to_size(coarse, x.shape[2:])]

    def _logits_and_coarse(self, x: Tensor) -> tuple[Tensor, Tensor]:
        map1, map2, map3, map4 = self.encoder(pad_to_multiple(x, DIVISOR))
        y = self.merge3(torch.cat([map3, _double(self.reduce4(map4))], dim=1))
        coarse = self.head3(self.dropout(y))
        y = self.merge2(torch.cat([map2, _double(self.join3(coarse))], dim=1))
        y = self.head1(self.dropout(torch.cat([map1, _double(y)], dim=1)))
        return crop_to_size(_double(y), x.shape[2:]), coarse


def _double(x: Tensor) -> Tensor:
    return double_linear(x, align_corners=True)


def espnetv2_seg_2018(
    *,
    num_classes: int = 20,
    in_channels: int = 3,
    width: str = "1_0",
    spatial_dims: SpatialDims = 2,
) -> ESPNetv2Segmenter2018:
    """ESPNetv2 for segmentation in its form of 2018: 340,558 parameters at the defaults.

    The authors count 340,782, with 224 that their code builds and never uses.

    Raises:
        UnknownNameError: If `width` is not one of the encoder's.

    Source: Mehta et al., "ESPNetv2", CVPR 2019; the authors' first code.
    """
    encoder = segmentation_encoder(width, in_channels=in_channels, spatial_dims=spatial_dims)
    return ESPNetv2Segmenter2018(
        encoder,
        num_classes=num_classes,
        dropout=0.1 if width == "0_5" else 0.2,
        spatial_dims=spatial_dims,
    )
