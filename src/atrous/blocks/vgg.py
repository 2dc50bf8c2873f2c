"""VGG's block: a stack of 3x3 convolutions."""

from torch import Tensor, nn

from atrous.blocks.conv import Activation, ConvBiasAct, Norm, relu
from atrous.errors import ShapeError
from atrous.types import SpatialDims


class VGGBlock(nn.Sequential):
    """A stack of n 3x3 convolutions that sees what one of size 2n + 1 sees, for fewer weights.

    ```
    x ── 3x3 ── act ── 3x3 ── act ── …          n times
    ```

    With M channels in and N out: 9MN + 9(n - 1)N² weights. At equal width C, two cost 18C² and
    see 5x5 (one 5x5 convolution: 25C²); three cost 27C² and see 7x7 (one 7x7: 49C²).

    Args:
        in_channels: Channels in.
        out_channels: Channels out of each convolution.
        num_convs: n, at least 1: VGG's networks stack 1 to 4.
        dilation: Distance of neighbouring taps; the field becomes 2 n dilation + 1.
        norm: Builds the normalisation between convolution and activation; None for none, as
            published. The convolutions keep their bias either way.
        act: Builds each activation.
        spatial_dims: 2 for images, 3 for volumes.

    Shape:
        `(B, in_channels, *S)` to `(B, out_channels, *S)`.

    Raises:
        ShapeError: If `num_convs` is less than 1.

    Source: Simonyan and Zisserman, "Very Deep Convolutional Networks for Large-Scale Image
        Recognition", ICLR 2015.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        num_convs: int = 2,
        dilation: int = 1,
        norm: Norm | None = None,
        act: Activation = relu,
        spatial_dims: SpatialDims = 2,
    ) -> None:
        if num_convs < 1:
            raise ShapeError(f"A VGG block stacks at least one convolution, but got {num_convs}.")
        super().__init__(
            *(
                ConvBiasAct(
                    out_channels if index else in_channels,
                    out_channels,
                    3,
                    dilation=dilation,
                    norm=norm,
                    act=act,
                    spatial_dims=spatial_dims,
                )
                for index in range(num_convs)
            )
        )

    def forward(self, x: Tensor) -> Tensor:
        # Layer by layer, not unit by unit: who calls a unit keeps its input alive until its last
        # layer is done, and of VGG's large maps that costs memory and time.
        for unit in self:
            assert isinstance(unit, ConvBiasAct)
            for layer in unit:
                x = layer(x)
        return x
