"""The encoder of a segmenter, by name."""

from torch import nn

from atrous.errors import ShapeError
from atrous.networks.encoder import Encoder, StagedEncoder, initialise
from atrous.networks.encoders.catalog import ENCODERS, create_encoder
from atrous.types import SpatialDims


def segmentation_encoder(
    name: str,
    *,
    in_channels: int,
    output_stride: int,
    num_maps: int | None = None,
    spatial_dims: SpatialDims,
) -> Encoder:
    """An untrained encoder by name, with the weights that its classifier would start from.

    Args:
        name: Of the encoder.
        in_channels: Channels of the image.
        output_stride: Of the whole encoder.
        num_maps: How many of its stages are kept, from the finest on; None for all. Fewer see less
            around a pixel, so a slide's tiles need less halo.
        spatial_dims: 2 for images, 3 for volumes.

    Raises:
        UnknownNameError: If no encoder has that name.
        ShapeError: If it does not exist for these dimensions or this stride, or has not so many
            stages.
    """
    encoder = create_encoder(
        name, in_channels=in_channels, output_stride=output_stride, spatial_dims=spatial_dims
    )
    if name in ENCODERS:  # those of other libraries come with weights of their own choice
        assert isinstance(encoder, nn.Module)
        initialise(encoder)
    return encoder if num_maps is None else _first_stages(name, encoder, num_maps)


def _first_stages(name: str, encoder: Encoder, num_maps: int) -> StagedEncoder:
    """The same stages up to a map, under the same names."""
    if not isinstance(encoder, StagedEncoder):
        raise ShapeError(
            f"{name} is not built of stages that could be left out; leave num_maps out, or use an "
            "encoder such as shufflenet_v2_x0_5 or resnet18."
        )
    if not 1 <= num_maps <= len(encoder.stages):
        raise ShapeError(
            f"num_maps={num_maps}, but {name} has {len(encoder.stages)} stages; expected 1 to "
            f"{len(encoder.stages)}."
        )
    return StagedEncoder(
        encoder.stages[:num_maps],
        out_channels=encoder.out_channels[:num_maps],
        reductions=encoder.reductions[:num_maps],
        in_channels=encoder.in_channels,
        spatial_dims=encoder.spatial_dims,
    )
