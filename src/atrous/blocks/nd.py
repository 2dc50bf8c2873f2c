"""The only place where 2D and 3D differ: one small table per kind of layer."""

from collections.abc import Mapping
from typing import Final, Literal

from torch import nn

from atrous.types import SpatialDims

CONV: Final[Mapping[SpatialDims, type[nn.Conv2d] | type[nn.Conv3d]]] = {
    2: nn.Conv2d,
    3: nn.Conv3d,
}
CONV_TRANSPOSE: Final[Mapping[SpatialDims, type[nn.ConvTranspose2d] | type[nn.ConvTranspose3d]]] = {
    2: nn.ConvTranspose2d,
    3: nn.ConvTranspose3d,
}
BATCH_NORM: Final[Mapping[SpatialDims, type[nn.BatchNorm2d] | type[nn.BatchNorm3d]]] = {
    2: nn.BatchNorm2d,
    3: nn.BatchNorm3d,
}
MAX_POOL: Final[Mapping[SpatialDims, type[nn.MaxPool2d] | type[nn.MaxPool3d]]] = {
    2: nn.MaxPool2d,
    3: nn.MaxPool3d,
}
AVG_POOL: Final[Mapping[SpatialDims, type[nn.AvgPool2d] | type[nn.AvgPool3d]]] = {
    2: nn.AvgPool2d,
    3: nn.AvgPool3d,
}
ADAPTIVE_AVG_POOL: Final[
    Mapping[SpatialDims, type[nn.AdaptiveAvgPool2d] | type[nn.AdaptiveAvgPool3d]]
] = {
    2: nn.AdaptiveAvgPool2d,
    3: nn.AdaptiveAvgPool3d,
}
LINEAR_MODE: Final[Mapping[SpatialDims, Literal["bilinear", "trilinear"]]] = {
    2: "bilinear",
    3: "trilinear",
}


def same_padding(kernel_size: int, dilation: int = 1) -> int:
    """Padding that keeps the spatial size at stride 1, for an odd kernel."""
    return dilation * (kernel_size - 1) // 2


CHANNEL_DROPOUT: Final[Mapping[SpatialDims, type[nn.Dropout2d] | type[nn.Dropout3d]]] = {
    2: nn.Dropout2d,
    3: nn.Dropout3d,
}
