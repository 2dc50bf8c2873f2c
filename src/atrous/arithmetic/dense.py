"""Features without positions on paper: what flattens a map, and the linear layer behind it."""

from dataclasses import dataclass
from math import prod

from atrous.arithmetic.axis import SlidingAxis
from atrous.arithmetic.layer import LayerSpec, layer_expression
from atrous.arithmetic.settings import check_flag, check_size, whole
from atrous.types import Size


@dataclass(frozen=True, slots=True, kw_only=True)
class FlattenSpec(LayerSpec):
    """All channels and positions of a map as one row of features: `(B, C, *S)` to `(B, C * S)`.

    Example:
        >>> FlattenSpec().output_size((7, 7)), FlattenSpec().features(512, (7, 7))
        ((), 25088)

    Source: `torch.nn.Flatten`.
    """

    spatial_dims: int = 2

    @property
    def name(self) -> str:
        return "Flatten"

    @property
    def axes(self) -> tuple[SlidingAxis, ...]:
        """A feature reads the position that it was."""
        return (SlidingAxis(kernel_size=1),) * self.spatial_dims

    @property
    def channels_in(self) -> None:
        return None

    @property
    def channels_out(self) -> None:
        return None

    @property
    def num_weights(self) -> int:
        return 0

    @property
    def num_biases(self) -> int:
        return 0

    @property
    def expression(self) -> str:
        return "Flatten()"

    def features(self, channels: int, size: Size) -> int:
        """Features that a map of so many channels and this size becomes."""
        return channels * prod(size)

    def macs(self, size: Size) -> int:
        """Zero: nothing is multiplied.

        Raises:
            ShapeError: If `size` has another number of axes, or a length below 1.
        """
        self.output_size(size)
        return 0

    def output_size(self, size: Size) -> Size:
        """No axes are left.

        Raises:
            ShapeError: If `size` has another number of axes, or a length below 1.
        """
        check_size(self.name, size, spatial_dims=self.spatial_dims)
        return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LinearSpec(LayerSpec):
    """A linear layer on features: every output is a weighted sum of all inputs.

    Behind `Flatten` it is a convolution whose kernel is as large as the map.

    Attributes:
        in_features: Numbers in.
        out_features: Numbers out.
        bias: Whether a learned number is added to each output.

    Raises:
        ShapeError: If torch would refuse the settings.

    Example:
        >>> layer = LinearSpec(in_features=512, out_features=10)
        >>> layer.num_weights, layer.num_biases, layer.macs(())
        (5120, 10, 5120)

    Source: `torch.nn.Linear`.
    """

    in_features: int
    out_features: int
    bias: bool = True

    def __post_init__(self) -> None:
        whole(self.name, "in_features", self.in_features, minimum=1)
        whole(self.name, "out_features", self.out_features, minimum=1)
        check_flag(self.name, "bias", self.bias)

    @property
    def name(self) -> str:
        return "Linear"

    @property
    def axes(self) -> tuple[SlidingAxis, ...]:
        """None: features have no positions."""
        return ()

    @property
    def channels_in(self) -> int:
        return self.in_features

    @property
    def channels_out(self) -> int:
        return self.out_features

    @property
    def num_weights(self) -> int:
        return self.in_features * self.out_features

    @property
    def num_biases(self) -> int:
        return self.out_features if self.bias else 0

    @property
    def expression(self) -> str:
        return layer_expression(
            self.name, (self.in_features, self.out_features), {"bias": (self.bias, True)}
        )

    def macs(self, size: Size) -> int:
        """Multiply-accumulates for one sample: each weight once.

        Raises:
            ShapeError: If `size` has any axes.
        """
        self.output_size(size)
        return self.num_weights

    def output_size(self, size: Size) -> Size:
        """No axes, as before it.

        Raises:
            ShapeError: If `size` has any axes.
        """
        check_size(self.name, size, spatial_dims=0)
        return ()
