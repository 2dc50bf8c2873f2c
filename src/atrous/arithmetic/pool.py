"""Max and average pooling on paper."""

from dataclasses import dataclass
from typing import Literal

from atrous.arithmetic.axis import SlidingAxis
from atrous.arithmetic.layer import LayerSpec, layer_expression
from atrous.arithmetic.settings import by, check_flag, check_spatial_dims, per_axis
from atrous.errors import ShapeError
from atrous.types import Size


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolSpec(LayerSpec):
    """Settings of one pooling layer, in torch's words; it learns nothing.

    Attributes:
        kind: `"max"` or `"average"`.
        stride: The kernel size where it is None or, as in torch, an empty tuple.
        dilation: For max pooling only.
        ceil_mode: Also place a last window that hangs over the end, unless it would start in the
            padding after the input.

    Raises:
        ShapeError: If torch would refuse the settings.

    Example:
        >>> pool = PoolSpec(kind="max", kernel_size=3, stride=2, ceil_mode=True)
        >>> pool.output_size((112, 112)), pool.num_params
        ((56, 56), 0)

    Source: `torch.nn.MaxPool2d` and `torch.nn.AvgPool2d`, section "Shape".
    """

    kind: Literal["max", "average"]
    kernel_size: int | Size
    stride: int | Size | None = None
    padding: int | Size = 0
    dilation: int | Size = 1
    ceil_mode: bool = False
    spatial_dims: int = 2

    def __post_init__(self) -> None:
        if self.kind not in ("max", "average"):
            raise ShapeError(
                f"The pooling layer has kind={self.kind!r}, but it must be 'max' or 'average'; "
                "choose one of these."
            )
        check_spatial_dims("The pooling layer", self.spatial_dims)
        check_flag(self.name, "ceil_mode", self.ceil_mode)
        for axis in self.axes:
            if axis.padding_before > axis.kernel_size // 2:
                raise ShapeError(
                    f"{self.name} has padding={self.padding} with kernel_size={self.kernel_size}, "
                    "but a pool is padded by at most half its kernel (dilation not counted); "
                    "lower the padding."
                )
            if self.kind == "average" and axis.dilation != 1:
                raise ShapeError(
                    f"{self.name} has dilation={self.dilation}, but average pooling knows no "
                    "dilation; leave it out or use max pooling."
                )

    @property
    def name(self) -> str:
        return f"{'Max' if self.kind == 'max' else 'Avg'}Pool{self.spatial_dims}d"

    @property
    def axes(self) -> tuple[SlidingAxis, ...]:
        stride = self.kernel_size if self.stride in (None, ()) else self.stride
        return tuple(
            SlidingAxis(
                kernel_size=kernel,
                stride=stride,
                dilation=dilation,
                padding_before=padding,
                padding_after=padding,
                ceil_mode=self.ceil_mode,
            )
            for kernel, stride, dilation, padding in zip(
                self._lengths("kernel_size", self.kernel_size, minimum=1),
                self._lengths("stride", stride, minimum=1),
                self._lengths("dilation", self.dilation, minimum=1),
                self._lengths("padding", self.padding, minimum=0),
                strict=True,
            )
        )

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
            (self.kernel_size,),
            {
                "stride": (self.stride, None),
                "padding": (self.padding, 0),
                "dilation": (self.dilation, 1),
                "ceil_mode": (self.ceil_mode, False),
            },
        )

    def macs(self, size: Size) -> int:
        """Zero: comparing and averaging use no learned number.

        Raises:
            ShapeError: If the layer cannot take an input of that size.
        """
        self.output_size(size)
        return 0

    def output_size(self, size: Size) -> Size:
        """Spatial size after the layer, in positions per axis.

        Raises:
            ShapeError: If the padded input is smaller than the window (with `ceil_mode` a smaller
                one can do), or, for `AvgPool3d`, if the input without its padding is.
        """
        lengths = LayerSpec.output_size(self, size)
        # Torch checks this for three axes only.
        if (self.kind, self.spatial_dims) == ("average", 3) and any(
            length < axis.kernel_size for axis, length in zip(self.axes, size, strict=True)
        ):
            raise ShapeError(
                f"{self.expression} is wider than its input of {by(size)}, but AvgPool3d needs an "
                "input of at least kernel_size without the padding; use a larger input."
            )
        return lengths

    def _lengths(self, setting: str, value: object, *, minimum: int) -> Size:
        return per_axis(self.name, setting, value, spatial_dims=self.spatial_dims, minimum=minimum)
