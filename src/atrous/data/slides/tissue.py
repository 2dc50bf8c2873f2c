"""Where tissue lies on a slide, found on its thumbnail by colour (extra `slides`)."""

from math import ceil
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from atrous._extras import require
from atrous.data.slides.read import Slide
from atrous.errors import ShapeError

_Floats = NDArray[np.float32]

SPECK: Final = 16
HOLE: Final = 64
"""Pixels of a thumbnail up to which tissue is a speck, and glass within tissue a hole."""

THUMBNAIL: Final = 2048
"""Longer side of the picture that tissue is looked for on, pixels; on small slides, of all."""
_THUMBNAIL_MPP: Final = 8.0
"""Finer than this nothing is gained."""
_SPECK_UM2: Final = 2_000.0
_HOLE_UM2: Final = 50_000.0
"""Areas in µm² up to which tissue is a speck, and glass in it a hole."""

_BLACK: Final = 20
"""Grey levels up to which the brightest channel shows that nothing was scanned."""
_WHITE: Final = 254
"""Grey levels from which on all channels show white: glass, or what was not scanned."""
_RUN: Final = 9
_STRAIGHT: Final = 0.7
"""White that was not scanned has this share of its border in straight runs of so many pixels."""
_EDGE: Final = 3
"""Pixels around what was not scanned that its blurred edge takes up."""
_CLEAR: Final = 150
"""Grey levels from which on a slide's brightest part may be glass."""
_TINT: Final = 0.15
"""Saturation up to which it may."""
_COLOUR: Final = (0.05, 0.08)
"""Saturation of single pixels that is tissue: this much more than glass, as its noise allows."""
_PALE: Final = 0.015
"""Saturation of the mean over some pixels that is tissue, where nothing stronger is near."""
_BLUR: Final = 4.0
"""Sigma of that mean, pixels; and pixels around stronger tissue that are left out of it."""
_AROUND: Final = 4
_STRONG: Final = 0.12
"""Saturation that no noise reaches: such pixels alone are stronger tissue."""
_SOLID: Final = 2
"""Pixels by which stronger tissue must be wide on each side, to be taken for such."""
_SHADE: Final = (0.08, 0.2)
"""Darkness against the glass that is tissue where nothing on a slide has colour."""
_DARK: Final = 0.15
"""The same on slides that have colour, of pigment and silver."""
_COLOURLESS: Final = 0.002
"""Share of coloured pixels below which a slide is taken for one without colour."""
_EVEN: Final = 0.02
"""Range of darkness up to which a picture without colour shows nothing at all."""
_INK: Final = 1.3
"""Absorbance of ink, natural logarithm: denser than tissue at this scale."""
_INK_RATIOS: Final = (0.15, 0.6, 0.35)
"""Absorbance of the light that a red, green or blue pen lets through, over that of the rest."""
_BLACK_INK: Final = 0.15
"""Light below which what has no colour is a black pen; pigment lets more through, and is brown."""
_MOST_INK: Final = 0.5
"""Share of all that was found beyond which what looks like ink is the stain."""
_SIGNAL: Final = 12.0
"""Grey levels over a dark background that are tissue, or six times its noise."""
_DARK_SHARE: Final = 0.3
"""Of a dark background this share at least is black, and less of the rest is as bright as its
brightest part."""
_GLOW: Final = 0.6
"""Or that part is of a purer colour than any tissue that light went through."""


def find_tissue(
    thumbnail: NDArray[np.uint8], *, speck: int = SPECK, hole: int = HOLE
) -> NDArray[np.bool_]:
    """The pixels of a thumbnail `(H, W, 3)` that show tissue, `(H, W)`.

    Tissue is what has more colour than the glass and its noise: single pixels, and, where nothing
    stronger is near, the mean over some, so that pale tissue is found whatever else is on the
    slide. Of a picture without colour it is what is darker than the glass. Pens and what was not
    scanned are left out. On a dark background, as of fluorescence, it is what is brighter.

    Args:
        thumbnail: RGB; 5 to 30 µm per pixel are usual.
        speck: Pieces of tissue of up to so many pixels are left out; see `area_in_pixels`.
        hole: Holes in tissue of up to so many pixels are filled.

    Raises:
        ShapeError: If the thumbnail is not `(H, W, 3)`.
        MissingExtraError: If scikit-image is not installed.

    Source: Otsu, "A threshold selection method from gray-level histograms", 1979, for pictures
        without colour.
    """
    if thumbnail.ndim != 3 or thumbnail.shape[2] != 3:
        raise ShapeError(f"A thumbnail of shape {thumbnail.shape}; expected (H, W, 3), RGB.")
    filters = require("skimage.filters", extra="slides")
    morphology = require("skimage.morphology", extra="slides")
    # Noise has colour too; a pixel's neighbours tell it from dye.
    smooth = filters.gaussian(thumbnail.astype(np.float32), sigma=1, channel_axis=-1)
    mask = _divide(smooth, filters)
    mask = morphology.remove_small_objects(mask, max_size=speck, connectivity=2)
    if not mask.any():
        return np.asarray(mask)  # all of a small slide would be one hole
    tissue: NDArray[np.bool_] = morphology.remove_small_holes(mask, max_size=hole)
    return tissue


def tissue_of(slide: Slide) -> NDArray[np.bool_]:
    """Where tissue is on a picture of the whole slide, `(h, w)`: the one rule of the library."""
    size = slide.levels[0].size
    lengths = [ceil(n * own / _THUMBNAIL_MPP) for n, own in zip(size, slide.mpp, strict=True)]
    longest = min(THUMBNAIL, max(lengths))
    picture = slide.read_thumbnail(max(longest, 64))
    mpp = tuple(
        n * own / shown for n, own, shown in zip(size, slide.mpp, picture.shape[:2], strict=True)
    )
    speck, hole = (area_in_pixels(area, mpp=(mpp[0], mpp[1])) for area in (_SPECK_UM2, _HOLE_UM2))
    found = find_tissue(picture, speck=speck, hole=hole)
    for _, top, left, height, width in slide.broken:  # what cannot be seen may be tissue
        rows, columns = (
            slice(start * shown // n, ceil((start + length) * shown / n))
            for start, length, shown, n in zip(
                (top, left), (height, width), found.shape, size, strict=True
            )
        )
        found[rows, columns] = True
    return found


def area_in_pixels(area: float, *, mpp: tuple[float, float]) -> int:
    """An area in µm² as a number of pixels, for `find_tissue`.

    Example:
        >>> area_in_pixels(10_000, mpp=(10.0, 20.0))
        50
    """
    return round(area / (mpp[0] * mpp[1]))


def _divide(picture: _Floats, filters: Any) -> NDArray[np.bool_]:  # noqa: ANN401 - a module
    """Tissue of a bright or a dark picture `(H, W, 3)` of grey levels."""
    is_black, is_white = picture.max(axis=-1) < _BLACK, picture.min(axis=-1) >= _WHITE
    is_seen = ~is_black
    if is_white.any() and _is_filled(is_white):
        ndimage = require("scipy.ndimage", extra="slides")
        scanned = is_seen & ~ndimage.binary_dilation(is_white, iterations=_EDGE)
        is_seen = scanned if scanned.any() else is_seen
    seen = picture[is_seen]
    if not len(seen):
        return is_black & False
    light = seen.mean(axis=-1)
    bright = seen[light >= np.percentile(light, 95)]
    brightest = np.median(bright, axis=0)
    share = np.mean(light > 0.85 * brightest.mean())
    is_dark = share < _DARK_SHARE or np.ptp(brightest) > _GLOW * brightest.max()
    if brightest.mean() < _CLEAR / 2 or (is_black.mean() > _DARK_SHARE and is_dark):
        return _over_dark(picture)
    is_glass = brightest.min() >= _CLEAR and np.ptp(brightest) <= _TINT * brightest.max()
    white = brightest if is_glass else np.full(3, 255, np.float32)
    return _over_glass(np.minimum(picture / white, 1).astype(np.float32), is_black, filters)


def _is_filled(is_white: NDArray[np.bool_]) -> bool:
    """Whether white is what was not scanned, rather than glass: its border runs along the axes."""
    ndimage = require("scipy.ndimage", extra="slides")
    total = straight = 0
    for axis in range(2):
        border = np.diff(is_white, axis=axis)
        run = np.ones((1, _RUN) if axis == 0 else (_RUN, 1), np.bool_)
        total += int(np.count_nonzero(border))
        straight += int(ndimage.binary_opening(border, structure=run).sum())
    return straight > _STRAIGHT * total


def _over_dark(picture: _Floats) -> NDArray[np.bool_]:
    """What is brighter than the background."""
    signal = picture.max(axis=-1)
    background = signal[signal <= np.median(signal)]
    level = float(np.median(background))
    noise = 1.4826 * float(np.median(np.abs(background - level)))
    return np.asarray(signal > level + max(_SIGNAL, 6 * noise))


def _over_glass(
    picture: _Floats,
    is_black: NDArray[np.bool_],
    filters: Any,  # noqa: ANN401 - a module
) -> NDArray[np.bool_]:
    """Tissue by colour or, where there is none, by darkness; the glass is 1, 1, 1."""
    saturation, darkness = np.ptp(picture, axis=-1), 1 - picture.mean(axis=-1)
    ndimage = require("scipy.ndimage", extra="slides")
    if is_black.any():
        is_black = ndimage.binary_dilation(is_black, iterations=_EDGE)
    found = (saturation > _colour_threshold(saturation, darkness)) & ~is_black
    found |= _pale(picture, found | is_black, filters)
    if found.mean() > _COLOURLESS:
        return _without_ink(picture, found | ((darkness > _DARK) & ~is_black))
    shown = darkness[~is_black]
    if np.ptp(shown) <= _EVEN:
        return np.zeros(darkness.shape, np.bool_)
    threshold = float(np.clip(filters.threshold_otsu(shown), *_SHADE))
    return np.asarray((darkness > threshold) & ~is_black)


def _colour_threshold(saturation: _Floats, darkness: _Floats) -> float:
    """Six times the noise of glass over its own saturation, within bounds."""
    glass = saturation[(darkness < _SHADE[0]) & (saturation < _COLOUR[1])]
    if not glass.size:
        return _COLOUR[0]
    own = float(np.median(glass))
    noise = 1.4826 * float(np.median(np.abs(glass - own)))
    return float(np.clip(own + 6 * noise, *_COLOUR))


def _pale(
    picture: _Floats,
    taken: NDArray[np.bool_],
    filters: Any,  # noqa: ANN401 - a module
) -> NDArray[np.bool_]:
    """Where the mean over some pixels has colour, those near stronger tissue left out.

    Channels are averaged before they are compared: noise, which has colour too, goes out in that.
    """
    ndimage = require("scipy.ndimage", extra="slides")
    # Of pale tissue some pixels are strong by chance: only what is strong all over is stronger.
    solid = ndimage.binary_opening(taken, iterations=_SOLID)
    solid |= taken & (np.ptp(picture, axis=-1) > _STRONG)
    near = ndimage.binary_dilation(solid, iterations=_AROUND) if solid.any() else solid
    weight = (~near).astype(np.float32)
    total = np.maximum(filters.gaussian(weight, sigma=_BLUR), 1e-3)
    low, high = np.full_like(total, np.inf), np.full_like(total, -np.inf)
    for channel in range(3):  # one at a time: a thumbnail has millions of pixels
        mean = filters.gaussian((1 - picture[..., channel]) * weight, sigma=_BLUR) / total
        np.minimum(low, mean, out=low)
        np.maximum(high, mean, out=high)
    pale = (high - low > _PALE) & ~near
    beside = ndimage.binary_dilation(pale, iterations=_AROUND + 1) & near
    return np.asarray(pale | (beside & (np.ptp(picture, axis=-1) > _PALE)))


def _without_ink(picture: _Floats, found: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """What was found, without the strokes of pens and their edges."""
    ndimage = require("scipy.ndimage", extra="slides")
    ink = (picture.mean(axis=-1) < _BLACK_INK) & (np.ptp(picture, axis=-1) < _COLOUR[0])
    for channel, ratio in enumerate(_INK_RATIOS):
        one, other = (picture[..., index] for index in range(3) if index != channel)
        dense = np.nonzero(found & (np.maximum(one, other) < np.exp(-_INK)))
        own, rest = (
            -np.log(np.maximum(light, 0.01))
            for light in (picture[..., channel][dense], np.maximum(one, other)[dense])
        )
        ink[dense] |= own < ratio * rest
    ink &= found
    if not ink.any() or ink.sum() > _MOST_INK * found.sum():
        return found
    return np.asarray(found & ~ndimage.binary_dilation(ink, iterations=_AROUND))
