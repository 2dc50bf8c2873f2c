"""Where the coordinates of a slide's polygons begin: at level 0, or at what QuPath shows of it.

Scanners such as MIRAX and Leica's state bounds: the rectangle of level 0 that was scanned. QuPath
shows that rectangle alone, so its pixels count from there; openslide's count from the corner of
level 0. Where a slide states no bounds the two are the same.

Source: the OpenSlide reader of QuPath, which adds `openslide.bounds-x` and `-y` to every place.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from atrous._extras import require
from atrous.data.slides.annotations import AnnotationFile
from atrous.data.slides.read import Slide
from atrous.errors import DataError, UnknownNameError
from atrous.types import Size

Frame = Literal["qupath", "level0"]
FRAMES: Final[tuple[Frame, ...]] = ("qupath", "level0")
AnyFrame = Literal["auto", "qupath", "level0"]
ANY_FRAME: Final = ("auto", *FRAMES)

_BEYOND: Final = 2.0
"""Pixels by which an outline may reach beyond its image."""
_CLEAR: Final = 0.2
"""Share of the annotated area by which more of it must lie on tissue in one frame than in the
other, for that to decide."""


def frame_box(slide: Slide, frame: str) -> tuple[int, int, int, int]:
    """Top, left, height and width of a frame, in pixels of level 0."""
    if frame == "qupath" and slide.bounds is not None:
        return slide.bounds
    height, width = slide.levels[0].size
    return 0, 0, height, width


def has_two_frames(slide: Slide) -> bool:
    """Whether a place means something else in QuPath than in openslide."""
    return frame_box(slide, "qupath")[:2] != (0, 0)


def frame_record(slide: Slide, frame: str) -> dict[str, object]:
    """A frame as JSON values, for what is written in it."""
    top, left, height, width = frame_box(slide, frame)
    return {"name": frame, "left": left, "top": top, "width": width, "height": height}


def find_frame(
    path: Path,
    annotations: AnnotationFile,
    slide: Slide,
    told: str,
    shares: Sequence[float],
) -> Frame:
    """The frame that a file of annotations was drawn in.

    By what the file itself names, else by what is told, else by which of the two holds all
    outlines, else by which lays them on tissue.

    Args:
        path: Of the annotations.
        annotations: What it holds.
        slide: Theirs.
        told: `auto`, or the frame that the user named.
        shares: As `tissue_shares` gives them; of a slide with one frame none are needed.

    Raises:
        DataError: If neither decides.
        UnknownNameError: If the file or the user names a frame that there is none of.
    """
    for named, by in ((annotations.frame, f"frame in {path.name}"), (told, "frame")):
        if named in FRAMES:
            return named
        if named not in (None, "auto"):
            raise UnknownNameError(by, str(named), FRAMES)
    if not has_two_frames(slide) or not annotations.areas:
        return "qupath"
    fits = [frame for frame in FRAMES if _holds(frame_box(slide, frame), annotations)]
    if len(fits) == 1:
        return fits[0]
    if abs(shares[0] - shares[1]) > _CLEAR:
        return FRAMES[int(np.argmax(shares))]
    raise DataError(
        f"{path}: {slide.path.name} states bounds, and the annotations may count from them, as in "
        f"QuPath ({shares[0]:.0%} of their area would lie on tissue), or from the corner of level "
        f"0 ({shares[1]:.0%}); expected one to fit clearly better; say which with --frame qupath "
        'or --frame level0, or write "frame": "qupath" into the FeatureCollection.'
    )


def tissue_shares(
    annotations: AnnotationFile, slide: Slide, tissue: NDArray[np.bool_]
) -> list[float]:
    """In each of `FRAMES`, the share of the annotated area that lies on tissue."""
    features = require("rasterio.features", extra="slides")
    rasterio = require("rasterio", extra="slides")
    shapes = [area.polygon for area in annotations.areas if not area.is_ignored]
    down, right = (n / m for n, m in zip(slide.levels[0].size, tissue.shape, strict=True))
    shares = []
    for frame in FRAMES:
        top, left, _, _ = frame_box(slide, frame)
        transform = rasterio.Affine(right, 0, -left, 0, down, -top)
        drawn = _drawn(shapes, tissue.shape, transform, features)
        shares.append(float(tissue[drawn].mean()) if drawn.any() else 0.0)
    return shares


def _drawn(
    shapes: Sequence[Any],
    shape: Size,
    transform: Any,  # noqa: ANN401 - a rasterio.Affine
    features: Any,  # noqa: ANN401 - a module
) -> NDArray[np.bool_]:
    drawn = np.zeros(shape, np.uint8)
    if shapes:
        features.rasterize([(each, 1) for each in shapes], out=drawn, transform=transform)
    return drawn.astype(np.bool_)


def _holds(box: tuple[int, int, int, int], annotations: AnnotationFile) -> bool:
    _, _, height, width = box
    bounds = np.array([area.polygon.bounds for area in annotations.areas])
    is_beyond = (bounds[:, :2] < -_BEYOND) | (bounds[:, 2:] > np.array([width, height]) + _BEYOND)
    return not is_beyond.any()
