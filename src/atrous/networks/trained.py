"""Encoders that have been trained already."""

from pathlib import Path

from torch import nn

from atrous.errors import DataError
from atrous.networks.convert import convert_checkpoint
from atrous.networks.encoder import Encoder
from atrous.networks.encoders import catalog
from atrous.networks.shipped import resolve_weights
from atrous.networks.weights import load_weights, misfits
from atrous.types import SpatialDims

_PREFIX = "encoder."
"""Of an encoder's tensors, in classifiers and in segmenters."""


def create_encoder(
    name: str,
    *,
    in_channels: int = 3,
    spatial_dims: SpatialDims = 2,
    output_stride: int = 32,
    weights: str | Path | None = None,
) -> Encoder:
    """Build an encoder by name, untrained or with the weights of a trained network.

    Args:
        name: One of our own, such as `resnet18`; `timm:NAME` for a backbone of timm,
            `torchvision:NAME` for one of torchvision.
        in_channels: Channels of the image.
        spatial_dims: 2 for images, 3 for volumes; backbones of others are for images only.
        output_stride: 32, or 8 or 16 for the last reduction of an encoder that can be dilated.
        weights: `imagenet` for weights of an installed package or torchvision's; a weights file or
            checkpoint of a network with this encoder; None for random ones. Only of our own
            encoders.

    Raises:
        UnknownNameError: If no encoder has that name; the message suggests the nearest.
        ShapeError: If the encoder does not exist for these dimensions or this stride.
        DataError: If the weights cannot be read, or do not fit to the last tensor.
        MissingExtraError: If timm, or the package of the weights, is asked for and not installed.

    Example:
        >>> create_encoder("resnet18", output_stride=8).reductions
        (2, 4, 8, 8, 8)
    """
    encoder = catalog.create_encoder(
        name, in_channels=in_channels, spatial_dims=spatial_dims, output_stride=output_stride
    )
    if weights is not None:
        if name not in catalog.ENCODERS:
            raise DataError(
                f"weights is {weights}, but {name} is another library's backbone; expected one of "
                "our own encoders; give it its weights by that library."
            )
        assert isinstance(encoder, nn.Module)
        path = resolve_weights(f"imagenet:{name}" if weights == "imagenet" else str(weights))
        _load(encoder, name, path)
    return encoder


def _load(encoder: nn.Module, name: str, path: Path) -> None:
    is_ours = path.suffix == ".safetensors"
    trained = (load_weights(path) if is_ours else convert_checkpoint(path)).network.state_dict()
    given = {
        key.removeprefix(_PREFIX): tensor
        for key, tensor in trained.items()
        if key.startswith(_PREFIX)
    }
    if wrong := misfits(given, encoder.state_dict()):
        raise DataError(
            f"{path} does not fit {name}: {wrong[0]}, and {len(wrong) - 1} more; expected a "
            "network with this encoder, built for as many channels and dimensions; name another."
        )
    encoder.load_state_dict(given)
