"""Bring a map to another size, by sampling between its positions or by averaging over them."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the name everybody reads

from atrous.blocks.nd import LINEAR_MODE
from atrous.types import Size

# Size is the number of spatial axes of a map and so what tells 2D from 3D, as in `nd.py`.
_POOL: Final[Mapping[int, Callable[..., Tensor]]] = MappingProxyType(
    {2: F.adaptive_avg_pool2d, 3: F.adaptive_avg_pool3d}
)


def resize_linear(x: Tensor, size: Size, *, align_corners: bool) -> Tensor:
    """The map sampled bi- or trilinearly at `size` positions; itself if it has that size.

    Args:
        x: A map of any size.
        size: Spatial size wanted.
        align_corners: Whether the first and last positions stay where they are, as the frameworks
            of 2018 had it, or the outer edges of the first and last pixels do.

    Shape:
        `(B, C, *S)` to `(B, C, *size)`.

    Example:
        >>> import torch
        >>> x = torch.tensor([[[[0.0, 3.0]]]])
        >>> resize_linear(x, (1, 4), align_corners=True).flatten().tolist()
        [0.0, 1.0, 2.0, 3.0]
    """
    if tuple(x.shape[2:]) == tuple(size):
        return x
    mode = LINEAR_MODE[2 if x.ndim == 4 else 3]
    return F.interpolate(x, size=tuple(size), mode=mode, align_corners=align_corners)


def double_linear(x: Tensor, *, align_corners: bool) -> Tensor:
    """The map at twice its size, sampled linearly.

    Shape:
        `(B, C, *S)` to `(B, C, *2 S)`.
    """
    return resize_linear(
        x, tuple(2 * length for length in x.shape[2:]), align_corners=align_corners
    )


def pool_to_size(x: Tensor, size: Size) -> Tensor:
    """The map averaged over `size` windows that cover it evenly; itself if it has that size.

    A size larger than the map's repeats positions.

    Shape:
        `(B, C, *S)` to `(B, C, *size)`.

    Example:
        >>> import torch
        >>> pool_to_size(torch.tensor([[[[0.0, 2.0, 4.0, 6.0]]]]), (1, 2)).flatten().tolist()
        [1.0, 5.0]
    """
    if tuple(x.shape[2:]) == tuple(size):
        return x
    return _POOL[x.ndim - 2](x, tuple(size))
