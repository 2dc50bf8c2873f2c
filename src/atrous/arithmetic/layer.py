"""What every layer description can answer, whatever kind of layer it describes."""

from abc import ABC, abstractmethod
from math import prod
from typing import Final

from atrous.arithmetic.axis import LayerAxis
from atrous.arithmetic.settings import by, check_size
from atrous.errors import ShapeError
from atrous.types import Size

BYTES_PER_FLOAT32: Final = 4


class LayerSpec(ABC):
    """Settings of one layer, and what follows from them on paper.

    Subclasses are frozen dataclasses whose fields are torch's arguments under torch's names.
    """

    __slots__ = ()

    @property
    @abstractmethod
    def name(self) -> str:
        """Torch's name of the layer, such as `Conv2d`."""

    @property
    @abstractmethod
    def axes(self) -> tuple[LayerAxis, ...]:
        """The layer along each spatial axis, in the tensor's order."""

    @property
    @abstractmethod
    def channels_in(self) -> int | None:
        """Channels the layer takes; None where it takes any number."""

    @property
    @abstractmethod
    def channels_out(self) -> int | None:
        """Channels the layer gives; None where it gives as many as it takes."""

    @property
    @abstractmethod
    def num_weights(self) -> int:
        """Learned numbers without the biases."""

    @property
    @abstractmethod
    def num_biases(self) -> int:
        """Learned numbers that are added: one per output channel, or none."""

    @property
    @abstractmethod
    def expression(self) -> str:
        """The layer as torch code, leaving out what is at its default."""

    @abstractmethod
    def macs(self, size: Size) -> int:
        """Multiply-accumulates for one sample of this input size, biases not counted.

        Raises:
            ShapeError: If the layer cannot take an input of that size.
        """

    @property
    def num_params(self) -> int:
        """All learned numbers: weights and biases."""
        return self.num_weights + self.num_biases

    @property
    def effective_kernel_size(self) -> Size:
        """Positions from the first to the last tap on each axis: `dilation * (k - 1) + 1`."""
        return tuple(axis.effective_kernel_size for axis in self.axes)

    def output_size(self, size: Size) -> Size:
        """Spatial size after the layer, in positions per axis.

        Raises:
            ShapeError: If the layer cannot take an input of that size.
        """
        check_size(self.name, size, spatial_dims=len(self.axes))
        lengths = tuple(a.output_length(n) for a, n in zip(self.axes, size, strict=True))
        if min(lengths) < 1:
            raise ShapeError(
                f"{self.expression} on an input of {by(size)} would give an output of "
                f"{by(lengths)}, but every axis must keep at least 1; use a larger input, more "
                "padding (less, if transposed), or a smaller kernel_size or dilation."
            )
        return lengths


class LearnedLayerSpec(LayerSpec):
    """A layer with a kernel of weights: `in_channels * out_channels * taps / groups` of them."""

    __slots__ = ()

    in_channels: int
    out_channels: int
    groups: int
    bias: bool

    @property
    def channels_in(self) -> int:
        return self.in_channels

    @property
    def channels_out(self) -> int:
        return self.out_channels

    @property
    def num_weights(self) -> int:
        taps = prod(axis.kernel_size for axis in self.axes)
        return self.in_channels * self.out_channels * taps // self.groups

    @property
    def num_biases(self) -> int:
        return self.out_channels if self.bias else 0


def activation_bytes(
    channels: int, size: Size, *, bytes_per_number: int = BYTES_PER_FLOAT32
) -> int:
    """Memory of one feature map `(1, C, *S)`, in bytes; float32 unless told otherwise.

    Example:
        >>> activation_bytes(24, (62, 62))
        369024
    """
    return channels * prod(size) * bytes_per_number


def layer_expression(
    name: str,
    positional: tuple[object, ...],
    keywords: dict[str, tuple[object, object]],
) -> str:
    """A layer as torch code.

    Args:
        name: Torch's class.
        positional: Arguments that are always written.
        keywords: Value and default by name; those at their default are left out.
    """
    written = [repr(value) for value in positional]
    written += [
        f"{key}={value!r}" for key, (value, default) in keywords.items() if value != default
    ]
    return f"{name}({', '.join(written)})"
