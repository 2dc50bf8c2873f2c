"""Bring a map to another size, by sampling between its positions or by averaging over them."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name everybody reads

from atrous.blocks.nd import CONV_TRANSPOSE, LINEAR_MODE
from atrous.errors import ShapeError
from atrous.types import Size, SpatialDims

# Size is the number of spatial axes of a map and so what tells 2D from 3D, as in `nd.py`.
_POOL: Final[Mapping[int, Callable[..., Tensor]]] = MappingProxyType(
    {2: F.adaptive_avg_pool2d, 3: F.adaptive_avg_pool3d}
)


def is_free(x: Tensor) -> bool:
    """Whether the graph of what is done to `x` must hold for other sizes too.

    So it is while a network is traced or exported with free lengths: a shortcut that holds for one
    size only would be burned into the graph, which then answers wrongly at all others.
    """
    if torch.jit.is_tracing():  # type: ignore[attr-defined, no-untyped-call]
        return True
    return torch.compiler.is_compiling() and any(isinstance(n, torch.SymInt) for n in x.shape)


def at_least(length: int, least: int) -> int:
    """The greater of two lengths, of which the first may be free in a graph.

    Example:
        >>> at_least(5, 8), at_least(9, 8)
        (8, 9)
    """
    if isinstance(length, Tensor):  # as lengths are while a network is traced
        return (length + least + abs(length - least)) // 2
    return torch.sym_max(length, least) if isinstance(length, torch.SymInt) else max(length, least)


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
    if not is_free(x) and tuple(x.shape[2:]) == tuple(size):
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
    if is_free(x):
        return _pool_freely(x, size)
    if tuple(x.shape[2:]) == tuple(size):
        return x
    return _POOL[x.ndim - 2](x, tuple(size))


class PoolToSize(nn.Module):
    """`pool_to_size` as a layer: adaptive average pooling that also holds in graphs for every size.

    Args:
        size: Spatial size of the output.

    Shape:
        `(B, C, *S)` to `(B, C, *size)`.
    """

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.size = size

    def forward(self, x: Tensor) -> Tensor:
        return pool_to_size(x, self.size)

    def extra_repr(self) -> str:
        return "x".join(map(str, self.size))


def _pool_freely(x: Tensor, size: Size) -> Tensor:
    """The same as products with the windows' weights, axis by axis, which hold for free lengths.

    torch's own op is taken apart for other engines with as many taps as the windows of one size
    have, so that a graph of it answers wrongly at all others.
    """
    for axis, wanted in enumerate(size, start=2):
        length = x.shape[axis]
        window = torch.arange(wanted, device=x.device)[:, None]
        start, stop = window * length // wanted, ((window + 1) * length + wanted - 1) // wanted
        place = torch.arange(length, device=x.device)
        weights = ((place >= start) & (place < stop)).to(x.dtype) / (stop - start)
        x = (x.movedim(axis, -1) @ weights.transpose(0, 1)).movedim(-1, axis)
    return x


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
    if not is_free(x) and 0 in x.shape:
        raise ShapeError(f"An input of shape {tuple(x.shape)} is empty; every length must be >= 1.")
    # Of positive numbers only: ONNX divides and takes remainders of negative ones towards zero.
    missing = [(divisor - length % divisor) % divisor for length in x.shape[2:]]
    if not is_free(x) and not any(missing):
        return x
    pads = [pad for length in reversed(missing) for pad in (0, length)]
    return F.pad(x, pads)


def crop_to_size(x: Tensor, size: Size | torch.Size) -> Tensor:
    """The first `size` positions of every spatial axis: what `pad_to_multiple` added is cut off.

    Shape:
        `(B, C, *S)` to `(B, C, *size)`.
    """
    if is_free(x):
        for axis, length in enumerate(size, start=2):
            # Not a view, whose strides would tie the graph to x's; and an op that ONNX has.
            x = x.index_select(axis, torch.arange(length, device=x.device))
        return x
    if tuple(x.shape[2:]) == tuple(size):
        return x
    window = tuple(slice(length) for length in size)
    return x[(slice(None), slice(None), *window)]


class BilinearUp(nn.Module):
    """The map at twice its size, by a transposed convolution 4x4 of stride 2.

    Away from the border it gives at first what linear interpolation with `align_corners=False`
    gives; beyond the border it takes zeros. With C channels: 16C² weights, in 3D 64C².

    Args:
        channels: Channels in and out.
        spatial_dims: 2 for images, 3 for volumes.

    Shape:
        `(B, channels, *S)` to `(B, channels, *2 S)`.

    Source: Long et al., "Fully Convolutional Networks for Semantic Segmentation", CVPR 2015.
    """

    def __init__(self, channels: int, *, spatial_dims: SpatialDims = 2) -> None:
        super().__init__()
        self.conv = CONV_TRANSPOSE[spatial_dims](
            channels, channels, 4, stride=2, padding=1, bias=False
        )
        line = torch.tensor([0.25, 0.75, 0.75, 0.25])
        kernel = line
        for _ in range(spatial_dims - 1):
            kernel = kernel.unsqueeze(-1) * line
        with torch.no_grad():
            self.conv.weight.zero_()
            for channel in range(channels):
                self.conv.weight[channel, channel] = kernel

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)
