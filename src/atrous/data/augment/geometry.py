"""Where a sample's pixels go: a stretch of each axis, resized, laid on a canvas, turned, flipped.

The stretch is cut out before it is resized, so the work grows with the output and not with the
image. Image and mask follow the same whole-pixel stretches, so they stay aligned.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the name everybody reads

from atrous.types import UNLABELLED, Size


@dataclass(frozen=True, slots=True, kw_only=True)
class AxisPlacement:
    """What of one axis of an image is shown, and where on the canvas it lies, in pixels."""

    source_start: int
    source_length: int
    start: int
    length: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Geometry:
    """All that moves pixels, drawn for one sample."""

    axes: tuple[AxisPlacement, ...]
    """One per spatial axis."""
    canvas: Size
    """Lengths that the stretches are laid on; those of the output, or more if it is turned."""
    size: Size
    """Lengths of the output, the middle of the canvas."""
    angle: float = 0.0
    """Radians, counter-clockwise as one sees it."""
    flips: tuple[int, ...] = ()
    """Spatial axes that are mirrored; -1 is left and right."""


def place_axis(
    length: int, *, view: int, canvas: int, magnification: float, position: float
) -> AxisPlacement:
    """Place one axis: a stretch where it is too long for the canvas, all of it where it is not.

    Args:
        length: Of the image, in pixels.
        view: Middle part of the canvas that the output shows.
        canvas: What the image is laid on; longer than `view` if there are turned corners to fill.
        magnification: Canvas pixels per image pixel.
        position: In [0, 1): which of the possible places, from first to last.

    Example:
        >>> place_axis(100, view=64, canvas=64, magnification=2.0, position=0.5)
        AxisPlacement(source_start=34, source_length=32, start=0, length=64)
        >>> place_axis(100, view=64, canvas=64, magnification=0.5, position=0.0)
        AxisPlacement(source_start=0, source_length=100, start=0, length=50)
    """
    shown = max(1, round(length * magnification))
    if shown > canvas:
        window = min(length, max(1, round(canvas / magnification)))
        start = math.floor(position * (length - window + 1))
        return AxisPlacement(source_start=start, source_length=window, start=0, length=canvas)
    # All of it lies on the canvas: inside the view if it is shorter, around it if it is longer.
    low, high = sorted((0, view - shown))
    start = (canvas - view) // 2 + low + math.floor(position * (high - low + 1))
    start = min(max(start, 0), canvas - shown)
    return AxisPlacement(source_start=0, source_length=length, start=start, length=shown)


def turned_canvas(size: Size, angle: float) -> Size:
    """Lengths `(H, W)` of the smallest upright canvas that holds a rectangle turned by `angle`.

    Example:
        >>> turned_canvas((30, 40), 0.0)
        (30, 40)
    """
    height, width = size
    cosine, sine = abs(math.cos(angle)), abs(math.sin(angle))
    lengths = (height * cosine + width * sine, height * sine + width * cosine)
    return tuple(math.ceil(length - 1e-9) for length in lengths)


def cut_and_resize(image: Tensor, geometry: Geometry) -> Tensor:
    """The shown stretches of `(C, H, W)`, resized: bilinear, filtered first if they shrink.

    Pixels are uint8 or float32. The result is contiguous and may share memory with `image` where
    nothing had to be done.
    """
    rows, columns = geometry.axes
    window = image[
        :,
        rows.source_start : rows.source_start + rows.source_length,
        columns.source_start : columns.source_start + columns.source_length,
    ]
    size = (rows.length, columns.length)
    if window.shape[1:] != size:
        # The uint8 kernel behind torchvision's resize; without shrinking it filters nothing.
        # Of outputs one pixel wide it makes nonsense (torch 2.15), so those are done in floats.
        is_exact = columns.length > 1 or window.is_floating_point()
        pixels = window if is_exact else window.to(torch.float32)
        resized = F.interpolate(pixels[None], size=size, mode="bilinear", antialias=True)[0]
        window = resized if is_exact else resized.round_().to(torch.uint8)
    return window.contiguous()


def place_image(content: Tensor, geometry: Geometry, *, fill: Tensor | None) -> Tensor:
    """Lay `(C, h, w)` on the canvas, turn, mirror: `(C, *size)`, in memory of its own.

    Args:
        content: What `cut_and_resize` gave, recoloured or not.
        geometry: The same.
        fill: `(C,)` levels where the canvas shows no image; None for the content's mean.
    """
    if _covers(geometry):
        canvas = content
    else:
        if fill is None:
            fill = content.to(torch.float32).mean(dim=(1, 2))
            fill = fill if content.is_floating_point() else fill.round_()
        canvas = content.new_empty((content.shape[0], *geometry.canvas))
        canvas.copy_(fill[:, None, None])
        canvas[_target(geometry)] = content
    if geometry.angle:
        canvas = _turn(canvas, geometry, mode="bilinear")
    return canvas.flip(geometry.flips) if geometry.flips else canvas.clone()


def place_mask(mask: Tensor, geometry: Geometry) -> Tensor:
    """The mask `(H, W)` of any integer type moved as the image: `(*size)`, 255 where nothing is."""
    values = mask.numpy()
    for axis, placement in enumerate(geometry.axes):
        values = values.take(_nearest(placement), axis=axis)
    mask = torch.from_numpy(values)
    if not _covers(geometry):
        canvas = mask.new_full(geometry.canvas, UNLABELLED)
        canvas[_target(geometry)[1:]] = mask
        mask = canvas
    if geometry.angle:
        mask = _turn(mask[None], geometry, mode="nearest")[0]
    return mask.flip(geometry.flips) if geometry.flips else mask


def _covers(geometry: Geometry) -> bool:
    return tuple(axis.length for axis in geometry.axes) == geometry.canvas


def _target(geometry: Geometry) -> tuple[slice, ...]:
    return (slice(None), *(slice(axis.start, axis.start + axis.length) for axis in geometry.axes))


def _nearest(axis: AxisPlacement) -> NDArray[np.int64]:
    """Index of the image pixel whose area holds the middle of each canvas pixel."""
    middles = 2 * np.arange(axis.length) + 1
    return axis.source_start + middles * axis.source_length // (2 * axis.length)


def _turn(canvas: Tensor, geometry: Geometry, *, mode: str) -> Tensor:
    """`(C, *canvas)` to `(C, *size)`: the view in the middle, turned about it."""
    (rows, columns), (height, width) = geometry.canvas, geometry.size
    cosine, sine = math.cos(geometry.angle), math.sin(geometry.angle)
    down = (torch.arange(height) - (height - 1) / 2)[:, None]
    right = torch.arange(width) - (width - 1) / 2
    # Where each pixel comes from, x before y, in halves of the canvas's lengths from its middle.
    x = (cosine * right - sine * down) * (2 / columns)
    y = (sine * right + cosine * down) * (2 / rows)
    grid = torch.stack([x, y], dim=-1)[None]
    turned = F.grid_sample(
        canvas[None].to(torch.float32), grid, mode=mode, padding_mode="border", align_corners=False
    )[0]
    return turned if canvas.is_floating_point() else turned.round_().to(canvas.dtype)
