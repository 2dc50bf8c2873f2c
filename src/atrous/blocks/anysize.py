"""Let a network that halves its input k times take any size."""

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the name everybody reads

from atrous.errors import ShapeError
from atrous.types import Size


def pad_to_multiple(x: Tensor, divisor: int) -> Tensor:
    """`x` with zeros after its last rows and columns, so that every spatial length divides.

    Zeros are what the convolutions' own padding holds, so the new border is one more of the kind
    that the network knows. A length that divides already is left alone: the same tensor comes back.

    Shape:
        `(B, C, *S)` to `(B, C, *ceil(S / divisor) * divisor)`.

    Example:
        >>> pad_to_multiple(torch.ones(1, 1, 5, 8), 8).shape
        torch.Size([1, 1, 8, 8])
    """
    if 0 in x.shape:
        raise ShapeError(f"An input of shape {tuple(x.shape)} is empty; every length must be >= 1.")
    missing = [-length % divisor for length in x.shape[2:]]
    if not any(missing):
        return x
    pads = [pad for length in reversed(missing) for pad in (0, length)]
    return F.pad(x, pads)


def crop_to_size(x: Tensor, size: Size | torch.Size) -> Tensor:
    """The first `size` positions of every spatial axis: what `pad_to_multiple` added is cut off.

    Shape:
        `(B, C, *S)` to `(B, C, *size)`.
    """
    if x.shape[2:] == torch.Size(size):
        return x
    window = tuple(slice(length) for length in size)
    return x[(slice(None), slice(None), *window)]
