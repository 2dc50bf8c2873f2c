"""Layers at one position on paper: activations, dropout, batch normalisation."""

from dataclasses import dataclass

from atrous.arithmetic.axis import SlidingAxis
from atrous.arithmetic.layer import LayerSpec, layer_expression
from atrous.arithmetic.settings import check_flag, check_size, whole
from atrous.types import Size


class PointwiseSpec(LayerSpec):
    """A layer whose every output reads the input at its own position, `(B, C, *S)` or `(B, F)`.

    Subclasses hold `spatial_dims`: 0 for features without positions, else 1 to 3.
    """

    __slots__ = ()

    spatial_dims: int

    @property
    def axes(self) -> tuple[SlidingAxis, ...]:
        return (SlidingAxis(kernel_size=1),) * self.spatial_dims

    def macs(self, size: Size) -> int:
        """Zero: element-wise arithmetic is not counted.

        Raises:
            ShapeError: If `size` has another number of axes, or a length below 1.
        """
        self.output_size(size)
        return 0

    def output_size(self, size: Size) -> Size:
        """Spatial size after the layer, in positions per axis: that before it.

        Raises:
            ShapeError: If `size` has another number of axes, or a length below 1.
        """
        check_size(self.name, size, spatial_dims=self.spatial_dims)
        return size


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivationSpec(PointwiseSpec):
    """An activation, dropout or the identity.

    Attributes:
        kind: Torch's class, such as `ReLU`.
        num_parameters: Learned slopes, of `PReLU` alone: one for all channels or one for each.
        spatial_dims: Axes of the map it stands behind; 0 behind `Flatten` or `Linear`.

    Raises:
        ShapeError: If `num_parameters` is no whole number.

    Example:
        >>> relu = ActivationSpec(kind="ReLU")
        >>> relu.num_params, relu.output_size((64, 48)), relu.macs((64, 48))
        (0, (64, 48), 0)

    Source: `torch.nn`, section "Non-linear Activations".
    """

    kind: str
    num_parameters: int = 0
    spatial_dims: int = 2

    def __post_init__(self) -> None:
        whole(self.kind, "num_parameters", self.num_parameters, minimum=0)

    @property
    def name(self) -> str:
        return self.kind

    @property
    def channels_in(self) -> int | None:
        return self.num_parameters if self.num_parameters > 1 else None

    @property
    def channels_out(self) -> int | None:
        return self.channels_in

    @property
    def num_weights(self) -> int:
        return self.num_parameters

    @property
    def num_biases(self) -> int:
        return 0

    @property
    def expression(self) -> str:
        return layer_expression(
            self.kind, (), {"num_parameters": (self.num_parameters, min(self.num_parameters, 1))}
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchNormSpec(PointwiseSpec):
    """Batch normalisation: a learned scale and shift for each channel.

    Attributes:
        num_features: Channels.
        affine: Whether scale and shift are learned.
        track_running_stats: Whether mean and variance of each channel are kept for inference.
        map_dims: Axes in the name, as in `BatchNorm2d`.
        spatial_dims: Axes of the map it stands behind; `BatchNorm1d` also takes features, with 0.

    Raises:
        ShapeError: If torch would refuse the settings.

    Example:
        >>> norm = BatchNormSpec(num_features=24)
        >>> norm.num_weights, norm.num_biases, norm.num_buffers
        (24, 24, 49)

    Source: Ioffe and Szegedy, "Batch Normalization", ICML 2015; `torch.nn.BatchNorm2d`.
    """

    num_features: int
    affine: bool = True
    track_running_stats: bool = True
    map_dims: int = 2
    spatial_dims: int = 2

    def __post_init__(self) -> None:
        whole(self.name, "num_features", self.num_features, minimum=1)
        check_flag(self.name, "affine", self.affine)
        check_flag(self.name, "track_running_stats", self.track_running_stats)

    @property
    def name(self) -> str:
        return f"BatchNorm{self.map_dims}d"

    @property
    def channels_in(self) -> int:
        return self.num_features

    @property
    def channels_out(self) -> int:
        return self.num_features

    @property
    def num_weights(self) -> int:
        return self.num_features if self.affine else 0

    @property
    def num_biases(self) -> int:
        return self.num_features if self.affine else 0

    @property
    def num_buffers(self) -> int:
        """Numbers kept but not learned: a mean and a variance per channel, and a count of steps."""
        return 2 * self.num_features + 1 if self.track_running_stats else 0

    @property
    def expression(self) -> str:
        return layer_expression(
            self.name,
            (self.num_features,),
            {
                "affine": (self.affine, True),
                "track_running_stats": (self.track_running_stats, True),
            },
        )
