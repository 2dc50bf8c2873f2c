"""One axial slice of a volume as a picture: what a look and a page show of it."""

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from atrous.data.volumes.geometry import Volume

_DARKEST, _BRIGHTEST = 0.5, 99.5
"""Percentiles of the slice's non-zero values that become black and white."""


def slice_and_mask(volume: Volume, mask: Tensor | None) -> tuple[NDArray[np.uint8], Tensor | None]:
    """The axial slice that holds most of what is not class 0, or the middle one.

    Shape:
        `(H, W, 3)` uint8, grey, the front of the body at the top; and `(H, W)` int64.
    """
    depth = _fullest(mask) if mask is not None else volume.array.shape[1] // 2
    grey = grey8(volume.array[0, depth])[::-1]
    rgb = np.repeat(grey[..., np.newaxis], 3, axis=2)
    return rgb, None if mask is None else mask[depth].flip(0)


def grey8(values: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Values of any shape as grey levels: the dark and bright half per cent of them clipped."""
    inside = values[values != 0]
    if not inside.size:
        return np.zeros(values.shape, np.uint8)
    low, high = np.percentile(inside, (_DARKEST, _BRIGHTEST), overwrite_input=True)
    del inside
    grey = np.empty(values.shape, np.uint8)
    for part, out in zip(values, grey, strict=True):  # of a scan plane by plane, for the memory
        levels = (part - low) * (255 / max(float(high - low), 1e-12))
        out[...] = np.clip(np.rint(levels), 0, 255)
    return grey


def _fullest(mask: Tensor) -> int:
    counts = (mask != 0).flatten(1).sum(dim=1)
    return int(counts.argmax()) if int(counts.max()) else len(mask) // 2
