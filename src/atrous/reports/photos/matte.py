"""From the probability of a class to a matte: how opaque each pixel is, and of what colour.

A network's probability is a soft blob that knows little of hair. It is steepened, drawn to the
edges of the photo by a guided filter, and steepened again. Pixels of the edge show both what is in
front and what is behind; their front colour is estimated, so that the old background does not glow
around a cut-out.

The filters run on a copy of the photo shrunk to `WORKING_LENGTH`, and only pointwise steps at its
own size: the probability holds no finer detail, and 20 megapixels take seconds, not minutes.
"""

from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import uniform_filter
from torch.nn import functional as F  # noqa: N812 - the name everybody reads

from atrous.errors import ShapeError

Pixels: TypeAlias = NDArray[np.uint8]
Plane: TypeAlias = NDArray[np.float32]
"""`(H, W)` or, of colours, `(3, H, W)`."""

WORKING_LENGTH: Final = 1024
"""Longest side that the filters run at, pixels."""

RADIUS: Final = 0.012
"""Of the filters' windows, as a part of the longest side."""

WIDE: Final = 6
"""Radii of the windows that the first guess of the front's colours is taken over."""

EDGE_VARIANCE: Final = 1e-3
"""Variance of colours in [0, 1] above which the guided filter takes a change for an edge."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Matte:
    """What is in front, ready to be laid over anything."""

    image: Pixels
    """`(H, W, 3)` RGB, as it was given."""
    opacity: Plane
    """`(H, W)` in [0, 1]."""
    colours: Pixels
    """`(H, W, 3)` RGB of what is in front, without what shows through from behind; black well
    away from it."""


def make_matte(image: Pixels, probability: Plane) -> Matte:
    """The matte of the class that a probability is of.

    Args:
        image: `(H, W, 3)` RGB.
        probability: `(H, W)` in [0, 1].

    Raises:
        ShapeError: If the two differ in size.

    Source: He, Sun, Tang, "Guided Image Filtering", TPAMI 2013; computed small and applied large as
    in He, Sun, "Fast Guided Filter", 2015. Colours: Forte, "Approximate Fast Foreground Colour
    Estimation", ICIP 2021.
    """
    size = image.shape[:2]
    if probability.shape != size:
        raise ShapeError(
            f"The image is {size[0]}x{size[1]} (H x W), its probability "
            f"{'x'.join(map(str, probability.shape))}; expected one size."
        )
    factor = min(1.0, WORKING_LENGTH / max(size))
    small = (max(1, round(size[0] * factor)), max(1, round(size[1] * factor)))
    radius = max(1, round(RADIUS * max(small)))
    little = _shrunk(image, small)
    likely = _steep(resized(probability[np.newaxis], small)[0], 0.3, 0.7)
    slopes, offset = _guided(little, likely, radius)
    opacity = _opacity(image, slopes, offset)
    front, behind = _mean_colours(little, resized(opacity[np.newaxis], small)[0], radius)
    colours = np.empty(image.shape, np.uint8)
    for channel in range(3):  # one at a time: planes of large photos are large
        means = (resized(mean[channel : channel + 1], size)[0] for mean in (front, behind))
        colours[..., channel] = _front_colour(image[..., channel], opacity, *means)
    return Matte(image=image, opacity=opacity, colours=colours)


def resized(planes: Plane, size: tuple[int, int]) -> Plane:
    """`(C, H, W)` at another size: means of areas if that is smaller, else linear."""
    if planes.shape[1:] == size:
        return planes
    is_smaller = size[0] <= planes.shape[1] and size[1] <= planes.shape[2]
    x = torch.from_numpy(planes)[None]
    return F.interpolate(x, size=size, mode="area" if is_smaller else "bilinear")[0].numpy()


def _shrunk(image: Pixels, size: tuple[int, int]) -> Plane:
    """`(H, W, 3)` bytes as `(3, h, w)` in [0, 1]; Pillow spares a copy of the whole as floats."""
    little = Image.fromarray(image).resize(size[::-1], Image.Resampling.BOX)
    planes = np.asarray(little, dtype=np.float32).transpose(2, 0, 1)
    return planes * np.float32(1 / 255)


def _steep(x: Plane, low: float, high: float) -> Plane:
    """0 up to `low`, 1 from `high`, and a smooth step between."""
    t = (x - np.float32(low)) * np.float32(1 / (high - low))
    np.clip(t, 0, 1, out=t)
    return t * t * (3 - 2 * t)


def _mean(planes: Plane, radius: int) -> Plane:
    """Mean over a square window, of every plane by itself."""
    lengths = (*(0 for _ in planes.shape[:-2]), 2 * radius + 1, 2 * radius + 1)
    return uniform_filter(planes, size=[max(n, 1) for n in lengths], mode="nearest")


def _guided(guide: Plane, target: Plane, radius: int) -> tuple[Plane, Plane]:
    """Slopes `(3, H, W)` and offset `(H, W)`: the target as a linear function of local colours."""
    mean_guide, mean_target = _mean(guide, radius), _mean(target, radius)
    covariance = _mean(guide * target, radius) - mean_guide * mean_target
    spread = [  # row i of the colours' covariance matrix, in every window
        _mean(guide[i] * guide, radius) - mean_guide[i] * mean_guide for i in range(3)
    ]
    for i in range(3):
        spread[i][i] += EDGE_VARIANCE
    # The inverse of a 3x3 matrix has the cross products of its rows as columns.
    columns = [np.cross(spread[i - 2], spread[i - 1], axis=0) for i in range(3)]
    determinant = (spread[0] * columns[0]).sum(0)
    slopes = sum(covariance[i] * columns[i] for i in range(3)) / determinant
    offset = mean_target - (slopes * mean_guide).sum(0)
    return _mean(slopes, radius), _mean(offset, radius)


def _opacity(image: Pixels, slopes: Plane, offset: Plane) -> Plane:
    """The guided filter's output at the image's size, steepened."""
    size = (image.shape[0], image.shape[1])
    refined = resized(offset[np.newaxis], size)[0].copy()
    for channel in range(3):
        step = resized(slopes[channel : channel + 1], size)[0] * np.float32(1 / 255)
        step *= image[..., channel]
        refined += step
    return _steep(refined, 0.1, 0.9)


def _mean_colours(photo: Plane, opacity: Plane, radius: int) -> tuple[Plane, Plane]:
    """Local mean colour `(3, H, W)` of what is in front, and of what is behind.

    First over wide windows, which hold more of what is opaque than of the edge, and then, of the
    colours that follow from that, over windows of the radius.
    """
    front, behind = photo, photo
    for width in (WIDE * radius, radius):
        front = _weighted_mean(front, opacity, width)
        behind = _weighted_mean(behind, 1 - opacity, width)
        if width != radius:
            front = front + opacity * (photo - opacity * front - (1 - opacity) * behind)
    return front, behind


def _weighted_mean(planes: Plane, weights: Plane, radius: int) -> Plane:
    return _mean(planes * weights, radius) / (_mean(weights, radius) + 1e-5)


def _front_colour(channel: Pixels, opacity: Plane, front: Plane, behind: Plane) -> Pixels:
    """One channel of the colour in front: the mean, and what the photo shows beyond a mix of both.

    With image = opacity * front + (1 - opacity) * behind, opacity 1 gives the image itself.
    """
    beyond = channel * np.float32(1 / 255)
    beyond -= opacity * front
    beyond -= (1 - opacity) * behind
    beyond *= opacity
    beyond += front
    return (np.clip(beyond, 0, 1, out=beyond) * 255 + 0.5).astype(np.uint8)
