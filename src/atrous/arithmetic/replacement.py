"""What a cheaper convolution in place of a standard one would cost."""

from dataclasses import dataclass, replace
from fractions import Fraction

from atrous.arithmetic.conv import ConvSpec
from atrous.arithmetic.settings import by
from atrous.errors import ShapeError
from atrous.types import Size


@dataclass(frozen=True, slots=True, kw_only=True)
class Replacement:
    """A standard convolution and the layers that would take its place, same shapes in and out."""

    standard: ConvSpec
    layers: tuple[ConvSpec, ...]

    @property
    def num_weights(self) -> int:
        """Weights of the new layers."""
        return sum(layer.num_weights for layer in self.layers)

    @property
    def num_params(self) -> int:
        """Weights and biases of the new layers."""
        return sum(layer.num_params for layer in self.layers)

    @property
    def weight_share(self) -> Fraction:
        """Weights of the new layers as a part of the standard one's."""
        return Fraction(self.num_weights, self.standard.num_weights)

    def macs(self, size: Size) -> int:
        """Multiply-accumulates of the new layers for one sample of this input size.

        Raises:
            ShapeError: If the first layer cannot take an input of that size.
        """
        total = 0
        for layer in self.layers:
            total += layer.macs(size)
            size = layer.output_size(size)
        return total


def depthwise_separable(standard: ConvSpec) -> Replacement:
    """A depth-wise convolution with the same window, then a point-wise one that mixes channels.

    It takes 1/out_channels + 1/taps of the weights and operations. Both new layers have biases if
    the standard one has.

    Raises:
        ShapeError: If the convolution has groups, for which that share does not hold.

    Example:
        The deck's depth-wise demo has no point-wise layer and 12 outputs; this is its 12 to 24.

        >>> swap = depthwise_separable(ConvSpec(in_channels=12, out_channels=24, kernel_size=3))
        >>> [layer.num_weights for layer in swap.layers], swap.standard.num_weights
        ([108, 288], 2592)
        >>> swap.weight_share
        Fraction(11, 72)
    """
    if standard.groups != 1:
        raise ShapeError(
            f"{standard.expression} has groups={standard.groups}, but a depth-wise separable pair "
            "replaces a convolution without groups; start from groups=1."
        )
    depthwise = replace(standard, out_channels=standard.in_channels, groups=standard.in_channels)
    pointwise = ConvSpec(
        in_channels=standard.in_channels,
        out_channels=standard.out_channels,
        kernel_size=1,
        bias=standard.bias,
        spatial_dims=standard.spatial_dims,
    )
    return Replacement(standard=standard, layers=(depthwise, pointwise))


def dilated(standard: ConvSpec, *, kernel_size: int = 3) -> Replacement:
    """A dilated convolution with fewer taps on the same field.

    Raises:
        ShapeError: If no dilation makes `kernel_size` taps span exactly the standard kernel.

    Example:
        >>> swap = dilated(ConvSpec(in_channels=12, out_channels=24, kernel_size=5))
        >>> swap.layers[0].expression, swap.weight_share
        ('Conv2d(12, 24, (3, 3), dilation=(2, 2))', Fraction(9, 25))
    """
    spans = standard.effective_kernel_size
    if kernel_size < 2 or any((span - 1) % (kernel_size - 1) or span == 1 for span in spans):
        raise ShapeError(
            f"{standard.expression} has a field of {by(spans)}, but {kernel_size} taps span "
            f"d * {kernel_size - 1} + 1 at dilation d; choose another kernel_size."
        )
    dilations = tuple((span - 1) // (kernel_size - 1) for span in spans)
    layer = replace(standard, kernel_size=(kernel_size,) * len(spans), dilation=dilations)
    return Replacement(standard=standard, layers=(layer,))


def dense_equivalent(dilated_conv: ConvSpec) -> Replacement:
    """A dilated convolution as the replacement of the dense kernel that fills the same field.

    Example:
        >>> conv = ConvSpec(in_channels=12, out_channels=12, kernel_size=3, dilation=2)
        >>> swap = dense_equivalent(conv)
        >>> swap.standard.num_params, swap.num_params
        (3612, 1308)
    """
    dense = replace(dilated_conv, kernel_size=dilated_conv.effective_kernel_size, dilation=1)
    return Replacement(standard=dense, layers=(dilated_conv,))
