"""Padding as TensorFlow has it: at a stride above 1 it depends on the input's length."""

from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name everybody reads


class SamePad(nn.Module):
    """Zeros around the input, so that a convolution without padding gives ceil(length / stride).

    An odd number of zeros has its larger half behind. A kernel of 3 at a stride of 2 so begins at
    the first position of an even length, and one before it of an odd length.

    Args:
        kernel_size: Odd length of the kernel of the convolution that follows, along every axis.
        stride: Its step.

    Shape:
        `(B, C, *S)` to the same with at most `kernel_size - 1` positions more along each axis.

    Source: TensorFlow's documentation of `tf.nn`, "Notes on padding", SAME.
    """

    def __init__(self, kernel_size: int, *, stride: int = 1) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        padding: list[int] = []
        for length in reversed(x.shape[2:]):
            # ceil(length / stride) windows reach so far; kernels are no shorter than their step.
            last = (length + self.stride - 1) // self.stride - 1
            more = last * self.stride + self.kernel_size - length
            padding += [more // 2, more - more // 2]
        return F.pad(x, padding)

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}"
