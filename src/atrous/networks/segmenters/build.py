"""The encoder of a segmenter, by name."""

from torch import nn

from atrous.networks.backbones import ENCODERS, create_encoder
from atrous.networks.encoder import Encoder, initialise
from atrous.types import SpatialDims


def segmentation_encoder(
    name: str, *, in_channels: int, output_stride: int, spatial_dims: SpatialDims
) -> Encoder:
    """An untrained encoder by name, with the weights that its classifier would start from.

    Raises:
        UnknownNameError: If no encoder has that name.
        ShapeError: If it does not exist for these dimensions or this stride.
    """
    encoder = create_encoder(
        name, in_channels=in_channels, output_stride=output_stride, spatial_dims=spatial_dims
    )
    if name in ENCODERS:  # those of other libraries come with weights of their own choice
        assert isinstance(encoder, nn.Module)
        initialise(encoder)
    return encoder
