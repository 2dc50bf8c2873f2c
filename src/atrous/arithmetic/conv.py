"""Convolution on paper: sizes, parameters and multiply-accumulates."""

from dataclasses import dataclass
from math import prod
from typing import Literal, TypeAlias

from atrous.arithmetic.axis import SlidingAxis
from atrous.arithmetic.layer import LearnedLayerSpec, layer_expression
from atrous.arithmetic.settings import by, check_channels, check_flag, check_spatial_dims, per_axis
from atrous.errors import ShapeError
from atrous.types import Size

PaddingMode: TypeAlias = Literal["zeros", "reflect", "replicate", "circular"]
PADDING_MODES: tuple[PaddingMode, ...] = ("zeros", "reflect", "replicate", "circular")


@dataclass(frozen=True, slots=True, kw_only=True)
class ConvSpec(LearnedLayerSpec):
    """Settings of one convolution, in torch's words; a number stands for all spatial axes.

    Attributes:
        padding: Positions added on both sides, or `"same"` (keeps the size at stride 1; an odd
            total puts the extra one after the input), or `"valid"` (none).
        padding_mode: What the padding holds. It changes no count, but `"reflect"` and
            `"circular"` cannot pad by more than the input has.

    Raises:
        ShapeError: If torch would refuse the settings.

    Example:
        The deck's first layer. Its formula gives 2,592; the 2,616 it prints are torch's count,
        which has one bias per output channel.

        >>> conv = ConvSpec(in_channels=12, out_channels=24, kernel_size=3)
        >>> conv.num_weights, conv.num_biases, conv.num_params
        (2592, 24, 2616)
        >>> conv.output_size((64, 64)), conv.macs((64, 64))
        ((62, 62), 9963648)

    Source: `torch.nn.Conv2d`, sections "Shape" and "Variables".
    """

    in_channels: int
    out_channels: int
    kernel_size: int | Size
    stride: int | Size = 1
    padding: int | Size | Literal["same", "valid"] = 0
    dilation: int | Size = 1
    groups: int = 1
    bias: bool = True
    padding_mode: PaddingMode = "zeros"
    spatial_dims: int = 2

    def __post_init__(self) -> None:
        check_spatial_dims("The convolution", self.spatial_dims)
        check_channels(
            self.name,
            in_channels=self.in_channels,
            out_channels=self.out_channels,
            groups=self.groups,
        )
        check_flag(self.name, "bias", self.bias)
        if self.padding_mode not in PADDING_MODES:
            raise ShapeError(
                f"{self.name} has padding_mode={self.padding_mode!r}, but torch knows "
                f"{', '.join(map(repr, PADDING_MODES))}; choose one of these."
            )
        _ = self.axes  # building them checks the rest

    @property
    def name(self) -> str:
        return f"Conv{self.spatial_dims}d"

    @property
    def axes(self) -> tuple[SlidingAxis, ...]:
        kernels = self._lengths("kernel_size", self.kernel_size, minimum=1)
        strides = self._lengths("stride", self.stride, minimum=1)
        dilations = self._lengths("dilation", self.dilation, minimum=1)
        paddings = self._paddings(kernels, strides, dilations)
        return tuple(
            SlidingAxis(
                kernel_size=kernel,
                stride=stride,
                dilation=dilation,
                padding_before=before,
                padding_after=after,
            )
            for kernel, stride, dilation, (before, after) in zip(
                kernels, strides, dilations, paddings, strict=True
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
                "dilation": (self.dilation, 1),
                "groups": (self.groups, 1),
                "bias": (self.bias, True),
                "padding_mode": (self.padding_mode, "zeros"),
            },
        )

    def macs(self, size: Size) -> int:
        """Multiply-accumulates for one sample, counted at the *output* grid; FLOPs are twice this.

        Raises:
            ShapeError: If the layer cannot take an input of that size.
        """
        return prod(self.output_size(size)) * self.num_weights

    def output_size(self, size: Size) -> Size:
        """Spatial size after the layer, in positions per axis.

        Raises:
            ShapeError: If the padded input is smaller than the kernel, or too small to be padded
                by reflection or wrapping.
        """
        lengths = LearnedLayerSpec.output_size(self, size)
        reach = {"reflect": 1, "circular": 0}.get(self.padding_mode)
        if reach is None:
            return lengths
        for axis, length in zip(self.axes, size, strict=True):
            if axis.padding_after > length - reach:
                raise ShapeError(
                    f"{self.expression} pads an input of {by(size)} by {axis.padding_after}, but "
                    f"padding_mode={self.padding_mode!r} can add at most {length - reach} there; "
                    "use a larger input or less padding."
                )
        return lengths

    def _lengths(self, setting: str, value: object, *, minimum: int) -> Size:
        # Torch expands a tuple of one itself, but for the kernel (whose length says how many
        # dimensions there are) and for padding done by a layer of its own.
        is_expanded = setting != "kernel_size" and (
            setting != "padding" or self.padding_mode == "zeros"
        )
        return per_axis(
            self.name,
            setting,
            value,
            spatial_dims=self.spatial_dims,
            minimum=minimum,
            repeats_single=is_expanded,
        )

    def _paddings(
        self, kernels: Size, strides: Size, dilations: Size
    ) -> tuple[tuple[int, int], ...]:
        if not isinstance(self.padding, str):
            return tuple((n, n) for n in self._lengths("padding", self.padding, minimum=0))
        if self.padding == "valid":
            return ((0, 0),) * self.spatial_dims
        if self.padding != "same":
            raise ShapeError(
                f"{self.name} has padding={self.padding!r}, but as words torch knows 'same' and "
                "'valid'; use one of these or a number."
            )
        if any(stride != 1 for stride in strides):
            raise ShapeError(
                f"{self.name} has padding='same' with stride={self.stride}, but 'same' needs "
                "stride 1; give the padding as a number."
            )
        totals = [d * (k - 1) for k, d in zip(kernels, dilations, strict=True)]
        if self.padding_mode != "zeros" and _is_single(self.dilation) and any(totals[1:]):
            # Torch pads only as many axes as the tuple names, so that the others shrink.
            raise ShapeError(
                f"{self.name} has padding='same', padding_mode={self.padding_mode!r} and "
                f"dilation={self.dilation}, a tuple of one number, with which torch pads the first "
                f"axis alone; give the dilation as a number, or {self.spatial_dims} numbers."
            )
        return tuple((total // 2, total - total // 2) for total in totals)


def _is_single(setting: int | Size) -> bool:
    """Whether a setting is a tuple of one number, which torch expands in most places only."""
    return not isinstance(setting, int) and len(setting) == 1
