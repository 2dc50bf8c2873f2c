"""Dropout of whole channels, in 2D and 3D."""

from collections.abc import Mapping
from typing import Final

from torch import nn

from atrous.types import SpatialDims

CHANNEL_DROPOUT: Final[Mapping[SpatialDims, type[nn.Dropout2d] | type[nn.Dropout3d]]] = {
    2: nn.Dropout2d,
    3: nn.Dropout3d,
}
