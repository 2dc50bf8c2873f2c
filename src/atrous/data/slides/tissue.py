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

_COLOUR: Final = (0.03, 0.12)
"""Saturation below which is glass, and above which is tissue, whatever Otsu's threshold is."""
_SHADE: Final = (0.05, 0.2)
"""The same of darkness against the glass, where nothing has colour."""
_BRIGHT: Final = 200
"""Grey levels from which on a slide's brightest part is taken for glass."""
_EVEN: Final = 0.02
"""Range of darkness up to which a picture without colour shows nothing at all."""


def find_tissue(
    thumbnail: NDArray[np.uint8], *, speck: int = SPECK, hole: int = HOLE
) -> NDArray[np.bool_]:
    """The pixels of a thumbnail `(H, W, 3)` that show tissue, `(H, W)`.

    By saturation (the greatest channel less the least, glass made white) and Otsu's threshold,
    which is kept within bounds, so that bare glass holds no tissue and a slide full of tissue no
    glass. A picture without colour is divided by darkness.

    Args:
        thumbnail: RGB; 5 to 30 µm per pixel are usual.
        speck: Pieces of tissue of up to so many pixels are left out; see `area_in_pixels`.
        hole: Holes in tissue of up to so many pixels are filled.

    Raises:
        ShapeError: If the thumbnail is not `(H, W, 3)`.
        MissingExtraError: If scikit-image is not installed.

    Source: Otsu, "A threshold selection method from gray-level histograms", 1979.
    """
    if thumbnail.ndim != 3 or thumbnail.shape[2] != 3:
        raise ShapeError(f"A thumbnail of shape {thumbnail.shape}; expected (H, W, 3), RGB.")
    filters = require("skimage.filters", extra="slides")
    morphology = require("skimage.morphology", extra="slides")
    # Noise has colour too; a pixel's neighbours tell it from dye.
    smooth = filters.gaussian(thumbnail.astype(np.float32), sigma=1, channel_axis=-1)
    mask = _divide(smooth, filters)
    mask = morphology.remove_small_objects(mask, max_size=speck, connectivity=2)
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
    return find_tissue(picture, speck=speck, hole=hole)


def area_in_pixels(area: float, *, mpp: tuple[float, float]) -> int:
    """An area in µm² as a number of pixels, for `find_tissue`.

    Example:
        >>> area_in_pixels(10_000, mpp=(10.0, 20.0))
        50
    """
    return round(area / (mpp[0] * mpp[1]))


def _divide(picture: _Floats, filters: Any) -> NDArray[np.bool_]:  # noqa: ANN401 - a module
    """Tissue by colour or, where there is none, by darkness."""
    light = picture.mean(axis=-1)
    bright = light >= np.percentile(light, 95)
    glass = np.median(picture[bright], axis=0)
    white = glass if glass.min() >= _BRIGHT else np.full(3, 255, np.float32)
    picture = np.minimum(picture / white, 1).astype(np.float32)
    saturation = picture.max(axis=-1) - picture.min(axis=-1)
    if np.percentile(saturation, 99.5) > _COLOUR[0]:
        return np.asarray(saturation > _threshold(saturation, _COLOUR, filters))
    darkness = 1 - picture.mean(axis=-1)
    if np.ptp(darkness) <= _EVEN:
        return np.zeros(darkness.shape, np.bool_)
    return np.asarray(darkness > _threshold(darkness, _SHADE, filters))


def _threshold(values: _Floats, bounds: tuple[float, float], filters: Any) -> float:  # noqa: ANN401
    return float(np.clip(filters.threshold_otsu(values), *bounds))
