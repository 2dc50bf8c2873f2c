"""The segmenters by name: one literal dict, and a function that builds from it."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from atrous.errors import UnknownNameError
from atrous.networks.segmenters.deeplab import deeplabv3, deeplabv3plus
from atrous.networks.segmenters.fcn import fcn, fcn8s, fcn16s, fcn32s
from atrous.networks.segmenters.fpn import fpn
from atrous.networks.segmenters.joint import JointSegmenter
from atrous.networks.segmenters.linknet import linknet
from atrous.networks.segmenters.lraspp import lraspp
from atrous.networks.segmenters.pspnet import pspnet
from atrous.networks.segmenters.segmenter import Segmenter
from atrous.networks.segmenters.segnet import segnet
from atrous.networks.segmenters.unet import (
    encoder_decoder,
    skip_encoder_decoder,
    unet,
    vanilla,
)
from atrous.types import SpatialDims

SEGMENTERS: Final[Mapping[str, Callable[..., Segmenter | JointSegmenter]]] = MappingProxyType(
    {
        "vanilla": vanilla,
        "encoder_decoder": encoder_decoder,
        "skip_encoder_decoder": skip_encoder_decoder,
        "fcn32s": fcn32s,
        "fcn16s": fcn16s,
        "fcn8s": fcn8s,
        "fcn": fcn,
        "segnet": segnet,
        "linknet": linknet,
        "unet": unet,
        "fpn": fpn,
        "deeplabv3": deeplabv3,
        "deeplabv3plus": deeplabv3plus,
        "pspnet": pspnet,
        "lraspp": lraspp,
    }
)
"""The three steps, and their best-known forms."""


def create_segmenter(
    name: str,
    *,
    encoder: str | None = None,
    num_classes: int = 21,
    in_channels: int = 3,
    output_stride: int | None = None,
    num_labels: int | None = None,
    has_auxiliary: bool = False,
    spatial_dims: SpatialDims = 2,
) -> Segmenter | JointSegmenter:
    """Build an untrained segmenter by name over an encoder by name.

    Args:
        name: A key of `SEGMENTERS`.
        encoder: What `create_encoder` takes; None for the one that the segmenter is known with.
        num_classes: Channels of the mask logits.
        in_channels: Channels of the image.
        output_stride: Last reduction of the encoder, 8 or 16 for one that can be dilated; None for
            the one that the segmenter is known with.
        num_labels: Labels of the image as a whole; the segmenter then answers with a pair of mask
            logits and label logits. None for masks only.
        has_auxiliary: Whether there is a further head, see `Segmenter.forward_with_auxiliary`.
        spatial_dims: 2 for images, 3 for volumes.

    Raises:
        UnknownNameError: If there is no such segmenter or encoder.
        ShapeError: If they do not fit each other, or there are no classes or labels.

    Example:
        >>> import torch
        >>> model = create_segmenter("fpn", encoder="shufflenet_v2_x0_5", num_classes=4).eval()
        >>> model(torch.rand(1, 3, 33, 47)).shape
        torch.Size([1, 4, 33, 47])
    """
    if name not in SEGMENTERS:
        raise UnknownNameError("segmenter", name, SEGMENTERS)
    chosen: dict[str, str | int] = {}
    if encoder is not None:
        chosen["encoder"] = encoder
    if output_stride is not None:
        chosen["output_stride"] = output_stride
    return SEGMENTERS[name](
        **chosen,
        num_classes=num_classes,
        in_channels=in_channels,
        num_labels=num_labels,
        has_auxiliary=has_auxiliary,
        spatial_dims=spatial_dims,
    )
