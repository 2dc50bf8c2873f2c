"""Transposed convolution on paper."""

from dataclasses import dataclass
from math import prod

from atrous.arithmetic.axis import TransposedAxis
from atrous.arithmetic.layer import LearnedLayerSpec, layer_expression
from atrous.arithmetic.settings import check_channels, check_flag, check_spatial_dims, per_axis
from atrous.errors import ShapeError
from atrous.types import Size


@dataclass(frozen=True, slots=True, kw_only=True)
class TransposedConvSpec(LearnedLayerSpec):
    """Settings of one transposed convolution, in torch's words.

    Attributes:
        padding: Positions cut off both ends of the output.
        output_padding: Positions added to the end of the output, which tells apart the input
            sizes that one strided convolution maps to the same output size.

    Raises:
        ShapeError: If torch would refuse the settings.

    Example:
        U-Net's step up doubles the size. Each input position multiplies the whole kernel once, so
        its operations are counted at the input grid.

        >>> up = TransposedConvSpec(in_channels=128, out_channels=64, kernel_size=2, stride=2)
        >>> up.output_size((28, 28)), up.num_params, up.macs((28, 28))
        ((56, 56), 32832, 25690112)

    Source: `torch.nn.ConvTranspose2d`, sections "Shape" and "Variables".
    """

    in_channels: int
    out_channels: int
    kernel_size: int | Size
    stride: int | Size = 1
    padding: int | Size = 0
    output_padding: int | Size = 0
    groups: int = 1
    bias: bool = True
    dilation: int | Size = 1
    spatial_dims: int = 2

    def __post_init__(self) -> None:
        check_spatial_dims("The transposed convolution", self.spatial_dims)
        check_channels(
            self.name,
            in_channels=self.in_channels,
            out_channels=self.out_channels,
            groups=self.groups,
        )
        check_flag(self.name, "bias", self.bias)
        for axis in self.axes:
            if axis.output_padding >= max(axis.stride, axis.dilation):
                raise ShapeError(
                    f"{self.name} has output_padding={self.output_padding}, but on every axis it "
                    f"must be smaller than the stride ({self.stride}) or the dilation "
                    f"({self.dilation}); lower it."
                )

    @property
    def name(self) -> str:
        return f"ConvTranspose{self.spatial_dims}d"

    @property
    def axes(self) -> tuple[TransposedAxis, ...]:
        return tuple(
            TransposedAxis(
                kernel_size=kernel,
                stride=stride,
                dilation=dilation,
                padding=padding,
                output_padding=output_padding,
            )
            for kernel, stride, dilation, padding, output_padding in zip(
                self._lengths("kernel_size", self.kernel_size, minimum=1),
                self._lengths("stride", self.stride, minimum=1),
                self._lengths("dilation", self.dilation, minimum=1),
                self._lengths("padding", self.padding, minimum=0),
                self._lengths("output_padding", self.output_padding, minimum=0),
                strict=True,
            )
        )

    @property
    def expression(self) -> str:
        return layer_expression(
            self.name,
            (self.in_channels, self.out_channels, self.kernel_size),
            {
                "stride": (self.stride, 1),
                "padding": (self.padding, 0),
                "output_padding": (self.output_padding, 0),
                "groups": (self.groups, 1),
                "bias": (self.bias, True),
                "dilation": (self.dilation, 1),
            },
        )

    def macs(self, size: Size) -> int:
        """Multiply-accumulates for one sample, counted at the *input* grid; FLOPs are twice this.

        What is cut off by `padding` is counted too.

        Raises:
            ShapeError: If the layer cannot take an input of that size.
        """
        self.output_size(size)  # refuses sizes that leave nothing
        return prod(size) * self.num_weights

    def _lengths(self, setting: str, value: object, *, minimum: int) -> Size:
        return per_axis(
            self.name,
            setting,
            value,
            spatial_dims=self.spatial_dims,
            minimum=minimum,
            repeats_single=setting != "kernel_size",
        )
