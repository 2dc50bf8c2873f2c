"""One layer along one spatial axis: where its taps lie and how long its output is.

Convolution, pooling and transposed convolution are separable as far as *positions* go, so all that
a layer knows about sizes and receptive fields is held by one small object per axis.
"""

from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol


class LayerAxis(Protocol):
    """What sizes and receptive fields need to know of a layer along one axis."""

    @property
    def kernel_size(self) -> int:
        """Number of taps."""

    @property
    def stride(self) -> int:
        """Input steps per output step; for a transposed convolution the inverse."""

    @property
    def dilation(self) -> int:
        """Distance between neighbouring taps."""

    @property
    def padding_before(self) -> int:
        """Padding before position 0."""

    @property
    def padding_after(self) -> int:
        """Padding after the last position."""

    @property
    def effective_kernel_size(self) -> int:
        """Positions from the first to the last tap."""

    @property
    def jump_factor(self) -> Fraction:
        """Input positions that one step on the output stands for."""

    @property
    def centre(self) -> Fraction:
        """Input position under the middle of the window of output position 0."""

    def output_length(self, length: int) -> int:
        """Output positions for so many inputs; below 1 where the layer cannot be applied."""

    def reads(self, position: int) -> list[int]:
        """Input positions that one output position reads, ascending, padding included."""

    def window(self, first: int, last: int) -> tuple[int, int]:
        """First and last input position that the outputs `first` to `last` can read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SlidingAxis:
    """A window sliding over the input: convolution or pooling.

    Output position `i` reads the inputs `i * stride - padding_before + t * dilation` for each
    tap `t`.

    Example:
        >>> axis = SlidingAxis(kernel_size=3, dilation=2, padding_before=2, padding_after=2)
        >>> axis.effective_kernel_size, axis.output_length(64), axis.reads(0)
        (5, 64, [-2, 0, 2])
    """

    kernel_size: int
    stride: int = 1
    dilation: int = 1
    padding_before: int = 0
    padding_after: int = 0
    ceil_mode: bool = False

    @property
    def effective_kernel_size(self) -> int:
        return self.dilation * (self.kernel_size - 1) + 1

    @property
    def jump_factor(self) -> Fraction:
        return Fraction(self.stride)

    @property
    def centre(self) -> Fraction:
        return Fraction(self.effective_kernel_size - 1, 2) - self.padding_before

    def output_length(self, length: int) -> int:
        room = length + self.padding_before + self.padding_after - self.effective_kernel_size
        if not self.ceil_mode:
            return room // self.stride + 1
        rounded_up = -(-room // self.stride) + 1
        # A last window that would start in the padding after the input is dropped.
        starts_outside = (rounded_up - 1) * self.stride >= length + self.padding_before
        return rounded_up - starts_outside

    def reads(self, position: int) -> list[int]:
        first = position * self.stride - self.padding_before
        return list(range(first, first + self.effective_kernel_size, self.dilation))

    def window(self, first: int, last: int) -> tuple[int, int]:
        start = first * self.stride - self.padding_before
        end = last * self.stride - self.padding_before + self.effective_kernel_size - 1
        return start, end


@dataclass(frozen=True, slots=True, kw_only=True)
class TransposedAxis:
    """A transposed convolution: every input position writes a stretched kernel to the output.

    Input `i` writes to the outputs `i * stride - padding + t * dilation`. Read backwards, output
    `o` takes the inputs `(o + padding - t * dilation) / stride` that are whole, so neighbouring
    outputs (the phases of the stride) can read different numbers of inputs, or none.

    Example:
        >>> axis = TransposedAxis(kernel_size=3, stride=2, padding=1, output_padding=1)
        >>> axis.output_length(8), axis.reads(0), axis.reads(1)
        (16, [0], [0, 1])
    """

    kernel_size: int
    stride: int = 1
    dilation: int = 1
    padding: int = 0
    output_padding: int = 0

    @property
    def padding_before(self) -> int:
        return self.padding

    @property
    def padding_after(self) -> int:
        return self.padding

    @property
    def effective_kernel_size(self) -> int:
        return self.dilation * (self.kernel_size - 1) + 1

    @property
    def jump_factor(self) -> Fraction:
        return Fraction(1, self.stride)

    @property
    def centre(self) -> Fraction:
        return Fraction(2 * self.padding - self.effective_kernel_size + 1, 2 * self.stride)

    def output_length(self, length: int) -> int:
        grown = (length - 1) * self.stride + self.effective_kernel_size
        return grown - 2 * self.padding + self.output_padding

    def reads(self, position: int) -> list[int]:
        offsets = (
            position + self.padding - tap * self.dilation
            for tap in range(self.kernel_size - 1, -1, -1)
        )
        return [offset // self.stride for offset in offsets if offset % self.stride == 0]

    def window(self, first: int, last: int) -> tuple[int, int]:
        # Ceiling and floor of a division; exact where no tap falls between two inputs.
        start = -((self.effective_kernel_size - 1 - self.padding - first) // self.stride)
        return start, (last + self.padding) // self.stride
