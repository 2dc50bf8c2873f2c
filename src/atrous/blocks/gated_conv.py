"""A grouped convolution whose output channels are weighted by what the whole map holds."""

from math import gcd

from torch import Tensor, nn

from atrous.blocks.conv import Activation, ConvNormAct, Norm, batch_norm, prelu
from atrous.blocks.nd import ADAPTIVE_AVG_POOL, CONV
from atrous.types import SpatialDims


class GatedConv(nn.Module):
    """The authors' "efficient point-wise convolution": 3x3 in groups, times a gate per channel.

    ```
    x ──┬─ 3x3, gcd(M, N) groups ── norm ── act ──(×)──
        └─ mean of all positions ── 1x1 ── sigmoid ─┘
    ```

    With M channels in and N out: 9MN / gcd(M, N) + MN weights.

    Args:
        in_channels: Channels M in.
        out_channels: Channels N out.
        norm: Builds the normalisation.
        act: Builds the activation.
        spatial_dims: 2 for images, 3 for volumes.

    Shape:
        `(B, in_channels, *S)` to `(B, out_channels, *S)`.

    Source: the authors' code for ESPNetv2 and DiCENet (Mehta et al., CVPR 2019 and PAMI 2020).
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        norm: Norm = batch_norm,
        act: Activation = prelu,
        spatial_dims: SpatialDims = 2,
    ) -> None:
        super().__init__()
        self.conv = ConvNormAct(
            in_channels,
            out_channels,
            3,
            groups=gcd(in_channels, out_channels),
            norm=norm,
            act=act,
            spatial_dims=spatial_dims,
        )
        self.gate = nn.Sequential(
            ADAPTIVE_AVG_POOL[spatial_dims](1),
            CONV[spatial_dims](in_channels, out_channels, 1, bias=False),
            nn.Sigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x) * self.gate(x)
