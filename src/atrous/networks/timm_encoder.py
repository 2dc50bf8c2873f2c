"""timm's backbones under the encoder contract; the only file that knows timm."""

from difflib import get_close_matches
from typing import Any

from torch import Tensor, nn

from atrous._extras import require
from atrous.errors import ShapeError, UnknownNameError
from atrous.networks.encoder import CheckedEncoder, Encoder, refuse_volumes
from atrous.types import SpatialDims


class TimmEncoder(CheckedEncoder):
    """A timm model built with `features_only`.

    Args:
        backbone: Gives a list of maps, and `feature_info` about them.
        has_channels_last: Whether the maps come as `(B, H, W, C)`; they are turned then.
        in_channels: Channels of the image.

    Shape:
        `(B, in_channels, H, W)` to a list of maps, see `atrous.networks.encoder.Encoder`.
    """

    def __init__(self, backbone: nn.Module, *, has_channels_last: bool, in_channels: int) -> None:
        info: Any = backbone.feature_info
        super().__init__(
            out_channels=info.channels(),
            reductions=info.reduction(),
            in_channels=in_channels,
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
        ShapeError: If the backbone gives no feature maps of that kind.
    """
    timm = require("timm", extra="zoo")
    refuse_volumes(f"timm's {name}", spatial_dims)
    if not timm.is_model(name):
        # timm knows a thousand: name those that are like it.
        near = get_close_matches(name, timm.list_models(), n=10, cutoff=0.4)
        raise UnknownNameError("timm model", name, [*near, "…"])
    options = {} if output_stride == 32 else {"output_stride": output_stride}
    try:
        backbone = timm.create_model(
            name, pretrained=False, features_only=True, in_chans=in_channels, **options
        )
    except (RuntimeError, TypeError, AssertionError, ValueError, NotImplementedError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ShapeError(
            f"timm's {name} gives no feature maps with in_channels={in_channels} and "
            f"output_stride={output_stride} ({reason}); use another backbone or output_stride=32."
        ) from error
    layout = str(getattr(backbone, "output_fmt", "NCHW"))
    encoder = TimmEncoder(
        backbone, has_channels_last=layout.endswith("NHWC"), in_channels=in_channels
    )
    if output_stride != 32 and encoder.reductions[-1] > output_stride:
        raise ShapeError(
            f"timm's {name} stays at reductions {encoder.reductions}, also for output_stride="
            f"{output_stride}; use another backbone or output_stride=32."
        )
    return encoder
