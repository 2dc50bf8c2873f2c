"""Resizing by a whole factor on paper: which inputs an output is a mean of."""

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from atrous.arithmetic.axis import TransposedAxis
from atrous.arithmetic.layer import LayerSpec, layer_expression
from atrous.arithmetic.settings import check_spatial_dims, per_axis
from atrous.errors import ShapeError
from atrous.types import Size

UpsampleMode: TypeAlias = Literal["nearest", "linear", "bilinear", "trilinear"]
LINEAR_DIMS: Final[dict[str, int]] = {"linear": 1, "bilinear": 2, "trilinear": 3}
"""Spatial axes that each mode between neighbours is for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UpsampleSpec(LayerSpec):
    """Enlarging a map by whole factors; it learns nothing.

    Along each axis it reads as a transposed convolution with the factor s as stride does: `nearest`
    as one with kernel s, the linear modes as one with the triangle of `2s` taps, or `2s - 1` if s
    is odd, around each input.

    Attributes:
        scale_factor: Outputs per input, for all axes or for each.
        mode: `"nearest"`, or `"linear"`, `"bilinear"`, `"trilinear"` for 1, 2, 3 axes.

    Raises:
        ShapeError: If a factor is no whole number of at least 1, or the mode is for other axes.

    Example:
        >>> up = UpsampleSpec(scale_factor=2, mode="bilinear")
        >>> up.output_size((28, 28)), [axis.reads(1) for axis in up.axes]
        ((56, 56), [[0, 1], [0, 1]])

    Source: `torch.nn.Upsample`, with `align_corners=False`.
    """

    scale_factor: int | Size
    mode: UpsampleMode = "nearest"
    spatial_dims: int = 2

    def __post_init__(self) -> None:
        check_spatial_dims(self.name, self.spatial_dims)
        dims = LINEAR_DIMS.get(self.mode, self.spatial_dims)
        if self.mode != "nearest" and self.mode not in LINEAR_DIMS:
            raise ShapeError(
                f"Upsample has mode={self.mode!r}, but on paper it is followed for nearest, "
                f"{', '.join(LINEAR_DIMS)}; use one of them, or measure a model by atrous profile."
            )
        if dims != self.spatial_dims:
            raise ShapeError(
                f"Upsample has mode={self.mode!r}, which is for {dims} spatial axes, but the map "
                f"has {self.spatial_dims}; choose the mode for {self.spatial_dims}."
            )
        per_axis(
            self.name, "scale_factor", self.scale_factor, spatial_dims=self.spatial_dims, minimum=1
        )

    @property
    def name(self) -> str:
        return "Upsample"

    @property
    def factors(self) -> Size:
        """Outputs per input along each axis."""
        return per_axis(
            self.name, "scale_factor", self.scale_factor, spatial_dims=self.spatial_dims, minimum=1
        )

    @property
    def axes(self) -> tuple[TransposedAxis, ...]:
        return tuple(self._axis(factor) for factor in self.factors)

    def _axis(self, factor: int) -> TransposedAxis:
        if self.mode == "nearest":
            return TransposedAxis(kernel_size=factor, stride=factor)
        taps = 2 * factor - factor % 2
        return TransposedAxis(kernel_size=taps, stride=factor, padding=(taps - factor) // 2)

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
        return layer_expression(
            self.name,
            (),
            {"scale_factor": (self.scale_factor, None), "mode": (self.mode, "nearest")},
        )

    def macs(self, size: Size) -> int:
        """Zero: means of neighbours are not counted.

        Raises:
            ShapeError: If the layer cannot take an input of that size.
        """
        self.output_size(size)
        return 0
