"""Where a view of a volume lies, and its voxels: copied where that is possible, else sampled."""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the name everybody reads

from atrous._argmax import argmax_classes
from atrous.types import UNLABELLED, Size


@dataclass(frozen=True, kw_only=True, eq=False)
class VolumeGeometry:
    """A box of a volume, mirrored, magnified and turned about its middle, and bent.

    Attributes:
        starts: First voxel of the box along each axis; below 0 where the volume begins later.
            Whole numbers, unless the box is magnified or turned.
        size: Voxels of the box, and of the view.
        flips: Whether the view is mirrored, along each axis.
        angles: Radians about each axis: about D first, then H, then W.
        magnification: Along each axis; above 1 things get larger in the view.
        spacing: mm of a voxel along each axis.
        bend: `(3, d, h, w)`: how far, in mm along each axis of the volume, the view looks aside at
            points spread evenly over it; between them by cubic splines. None for not at all.
    """

    starts: tuple[float, ...]
    size: Size
    flips: tuple[bool, ...]
    angles: tuple[float, ...] = (0.0, 0.0, 0.0)
    magnification: tuple[float, ...] = (1.0, 1.0, 1.0)
    spacing: tuple[float, ...] = (1.0, 1.0, 1.0)
    bend: NDArray[np.float64] | None = None

    @property
    def is_copy(self) -> bool:
        """Whether every voxel of the view is one of the volume."""
        return self.bend is None and not any(self.angles) and set(self.magnification) == {1.0}

    @cached_property
    def displacement(self) -> NDArray[np.float32] | None:
        """`(3, *size)`: how many voxels of the volume every voxel of the view looks aside."""
        if self.bend is None:
            return None
        splines = [_spline(*pair) for pair in zip(self.size, self.bend.shape[1:], strict=True)]
        steps = np.array(self.spacing)[:, None, None, None]
        bent = np.einsum("adhw,zd,yh,xw->azyx", self.bend / steps, *splines, optimize=True)
        return bent.astype(np.float32)

    @property
    def flipped_axes(self) -> tuple[int, ...]:
        """Counted from the last, as tensors with and without channels have them."""
        axes = len(self.flips)
        return tuple(index - axes for index, is_flipped in enumerate(self.flips) if is_flipped)

    @property
    def centre(self) -> tuple[float, ...]:
        """The middle of the box, in voxels of the volume."""
        return tuple(
            start + (length - 1) / 2 for start, length in zip(self.starts, self.size, strict=True)
        )

    def matrix(self) -> NDArray[np.float64]:
        """`(3, 3)`: from voxels of the view to voxels of the volume, both about the centre."""
        turn = np.eye(len(self.angles))
        for axis, angle in enumerate(self.angles):
            first, second = [other for other in range(len(self.angles)) if other != axis]
            rotation = np.eye(len(self.angles))
            rotation[first, first] = rotation[second, second] = math.cos(angle)
            rotation[first, second], rotation[second, first] = -math.sin(angle), math.sin(angle)
            turn = rotation @ turn
        spacing = np.array(self.spacing)
        signs = np.where(self.flips, -1.0, 1.0)
        # Magnified along the view's axes first, then turned in millimetres.
        return turn * (spacing * signs / np.array(self.magnification)) / spacing[:, None]


def _spline(length: int, num_points: int) -> NDArray[np.float64]:
    """`(length, num_points)`: the share of every point in what a cubic spline is in between.

    Splines over a grid are the product of those along its axes, which is far quicker.
    """
    columns = [
        ndimage.zoom(point, length / num_points, order=3, mode="nearest", grid_mode=True)
        for point in np.eye(num_points)
    ]
    return np.stack(columns, axis=1)


def cut_image(image: Tensor, geometry: VolumeGeometry) -> Tensor:
    """The view of an image `(C, D, H, W)` float32, linearly between voxels, 0 outside."""
    if geometry.is_copy:
        return _copied(image, geometry, fill=0)
    part, grid = _part_and_grid(image, geometry)
    return _sampled(part, grid)


def cut_mask(mask: Tensor, geometry: VolumeGeometry) -> Tensor:
    """The view of a mask `(D, H, W)` uint8: the class of the largest share between voxels.

    That is where the image between voxels is of the class too. The nearest voxel's class would have
    steps: of a hippocampus at 1 mm, one voxel in thirty would be another. 255 outside.
    """
    if geometry.is_copy:
        return _copied(mask[None], geometry, fill=UNLABELLED)[0]
    part, grid = _part_and_grid(mask[None], geometry)
    values = torch.unique(part)
    shares = _sampled((part == values[:, None, None, None]).float(), grid)
    outside = 1 - shares.sum(0, keepdim=True)
    largest = argmax_classes(torch.cat([shares, outside]))
    return torch.cat([values, values.new_tensor([UNLABELLED])])[largest]


def _copied(x: Tensor, geometry: VolumeGeometry, *, fill: int) -> Tensor:
    view = x.new_full((len(x), *geometry.size), fill)
    source, target = [slice(None)], [slice(None)]
    for begin, length, whole in zip(geometry.starts, geometry.size, x.shape[1:], strict=True):
        start = int(begin)
        low, high = max(0, start), max(0, min(whole, start + length))
        source.append(slice(low, high))
        target.append(slice(low - start, high - start))
    view[tuple(target)] = x[tuple(source)]
    return view.flip(geometry.flipped_axes) if geometry.flipped_axes else view


def _part_and_grid(x: Tensor, geometry: VolumeGeometry) -> tuple[Tensor, Tensor]:
    """As much of `x` as the view can see, and where each of its voxels looks there."""
    matrix = geometry.matrix()
    reach = np.abs(matrix) @ (np.array(geometry.size) / 2)
    aside = geometry.displacement
    if aside is not None:
        reach = reach + np.abs(aside).max(axis=(1, 2, 3))
    bounds = [
        (max(0, math.floor(middle - half) - 1), min(whole, math.ceil(middle + half) + 2))
        for middle, half, whole in zip(geometry.centre, reach, x.shape[1:], strict=True)
    ]
    # A view that lies outside altogether still needs something to look past.
    bounds = [
        (low, high) if low < high else (min(low, whole - 1), min(low, whole - 1) + 1)
        for (low, high), whole in zip(bounds, x.shape[1:], strict=True)
    ]
    part = x[(slice(None), *(slice(low, high) for low, high in bounds))]
    lengths = np.array(part.shape[1:])
    middle = np.array(geometry.centre) - [low for low, _ in bounds]
    linear = matrix * np.array(geometry.size) / lengths[:, None]
    shift = (2 * middle + 1) / lengths - 1
    theta = np.concatenate([linear[::-1, ::-1], shift[::-1, None]], axis=1)  # torch: W, H, D
    grid = F.affine_grid(
        torch.from_numpy(theta.astype(np.float32))[None],
        [1, 1, *geometry.size],
        align_corners=False,
    )
    if aside is not None:
        steps = aside * (2 / lengths.astype(np.float32))[:, None, None, None]
        grid = grid + torch.from_numpy(steps[::-1].copy()).permute(1, 2, 3, 0)
    return part, grid


def _sampled(part: Tensor, grid: Tensor) -> Tensor:
    # Of a volume, torch means trilinear by "bilinear".
    return F.grid_sample(
        part[None], grid, mode="bilinear", padding_mode="zeros", align_corners=False
    )[0]
