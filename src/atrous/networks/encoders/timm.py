"""timm's backbones under the encoder contract; the only file that knows timm."""

from collections.abc import Mapping
from difflib import get_close_matches
from itertools import product
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from atrous._extras import require
from atrous.errors import ShapeError, UnknownNameError
from atrous.networks.encoder import CheckedEncoder, Encoder, refuse_volumes
from atrous.types import SpatialDims

_FAILURES = (RuntimeError, TypeError, AssertionError, ValueError, NotImplementedError)
"""What timm's constructors raise for settings that a backbone does not have."""


class TimmEncoder(CheckedEncoder):
    """A timm model built with `features_only`.

    Args:
        backbone: Gives a list of maps, and `feature_info` about them.
        has_channels_last: Whether the maps come as `(B, H, W, C)`; they are turned then.
        in_channels: Channels of the image.
        divisor: Of the lengths that the backbone takes.

    Shape:
        `(B, in_channels, H, W)` to a list of maps, see `atrous.networks.encoder.Encoder`.
    """

    def __init__(
        self, backbone: nn.Module, *, has_channels_last: bool, in_channels: int, divisor: int
    ) -> None:
        info: Any = backbone.feature_info
        super().__init__(
            out_channels=info.channels(),
            reductions=info.reduction(),
            in_channels=in_channels,
            minimum_size=divisor,
            divisor=divisor,
        )
        self.backbone = backbone
        self.has_channels_last = has_channels_last

    def forward(self, x: Tensor) -> list[Tensor]:
        self.check_input(x)
        maps = self.backbone(x)
        return [m.permute(0, 3, 1, 2) for m in maps] if self.has_channels_last else list(maps)


def timm_encoder(
    name: str,
    *,
    in_channels: int = 3,
    spatial_dims: SpatialDims = 2,
    output_stride: int = 32,
) -> Encoder:
    """An untrained timm backbone as an encoder.

    Args:
        name: As timm calls it, such as `efficientnet_b0`.
        in_channels: Channels of the image.
        spatial_dims: 2; timm's backbones are for images.
        output_stride: Last reduction, for the backbones that timm can dilate.

    Raises:
        MissingExtraError: If timm is not installed.
        UnknownNameError: If timm has no such model.
        ShapeError: If the backbone gives no feature maps of that kind, or takes one size only.
    """
    timm = require("timm", extra="zoo")
    refuse_volumes(f"timm's {name}", spatial_dims)
    if not timm.is_model(name):
        # timm knows a thousand: name those that are like it.
        near = get_close_matches(name, timm.list_models(), n=10, cutoff=0.4)
        raise UnknownNameError("timm model", name, [*near, "…"])
    options: dict[str, object] = {} if output_stride == 32 else {"output_stride": output_stride}
    divisor = None
    if getattr(timm.get_pretrained_cfg(name), "fixed_input_size", False):
        more, divisor = _any_size(timm, name)
        options |= more
    try:
        backbone = _create(timm, name, options, in_channels=in_channels)
    except _FAILURES as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ShapeError(
            f"timm's {name} gives no feature maps with in_channels={in_channels} and "
            f"output_stride={output_stride} ({reason}); use another backbone or output_stride=32."
        ) from error
    layout = str(getattr(backbone, "output_fmt", "NCHW"))
    encoder = TimmEncoder(
        backbone,
        has_channels_last=layout.endswith("NHWC"),
        in_channels=in_channels,
        divisor=divisor or _reductions(backbone)[-1],
    )
    if output_stride != 32 and encoder.reductions[-1] > output_stride:
        raise ShapeError(
            f"timm's {name} stays at reductions {encoder.reductions}, also for output_stride="
            f"{output_stride}; use another backbone or output_stride=32."
        )
    return encoder


def _create(
    timm: ModuleType, name: str, options: Mapping[str, object], *, in_channels: int = 3
) -> nn.Module:
    return timm.create_model(
        name, pretrained=False, features_only=True, in_chans=in_channels, **options
    )


def _reductions(backbone: nn.Module) -> list[int]:
    info: Any = backbone.feature_info
    return list(info.reduction())


def _any_size(timm: ModuleType, name: str) -> tuple[dict[str, object], int]:
    """How a backbone of one usual size takes others: options for it, and a divisor of lengths.

    Many transformers can be asked to; those with windows take multiples of their usual size.

    Raises:
        ShapeError: If it takes its usual size only.
    """
    usual = timm.get_pretrained_cfg(name).input_size[-1]
    for options, is_by_usual in product(({"dynamic_img_size": True}, {}), (False, True)):
        try:
            # On the meta device nothing is computed: only whether the shapes fit.
            with torch.device("meta"), torch.no_grad():
                backbone = _create(timm, name, options).eval()
                reductions = _reductions(backbone)
                divisor = usual if is_by_usual else reductions[-1]
                size = (2 * divisor, 3 * divisor)
                maps = backbone(torch.empty(1, 3, *size))
        except _FAILURES:
            continue
        expected = [tuple(length // reduction for length in size) for reduction in reductions]
        if any(divisor % reduction for reduction in reductions):
            continue
        if all(set(want) <= set(m.shape[1:]) for want, m in zip(expected, maps, strict=True)):
            return dict(options), divisor
    raise ShapeError(
        f"timm's {name} takes images of {usual}x{usual} only, so it is no encoder for other sizes; "
        f"use another backbone, such as timm:convnext_atto."
    )
