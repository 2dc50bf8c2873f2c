"""What can be made of a photo's background: taken away, blurred, or another one put there."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal, TypeAlias

import numpy as np
from PIL import Image, ImageOps
from scipy.ndimage import gaussian_filter

from atrous.reports.photos.matte import Matte, Pixels, Plane, resized

BLUR: Final = 0.02
"""Standard deviation of the blur, as a part of the longest side."""

_WORKING_SIGMA: Final = 4.0
"""Pixels. A stronger blur is computed on a smaller copy: what it leaves has no detail."""

EditKind: TypeAlias = Literal["cutouts", "blurred", "replaced"]
"""Named as the folder that its pictures are written to."""

EDIT_SUFFIXES: Final[Mapping[EditKind, str]] = MappingProxyType(
    {"cutouts": ".png", "blurred": ".jpg", "replaced": ".jpg"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Edits:
    """What to make of every photo, and which class stays in front."""

    foreground: int
    """Index of a class of the network."""
    kinds: tuple[EditKind, ...]
    picture: Pixels | None = None
    """`(h, w, 3)` RGB, the new background for `replaced`."""

    def __post_init__(self) -> None:
        if ("replaced" in self.kinds) != (self.picture is not None):
            raise ValueError("A picture is needed to replace a background, and for nothing else.")

    def made(self, kind: EditKind, matte: Matte) -> Image.Image:
        """The picture of one kind, RGBA for `cutouts`, else RGB."""
        if kind == "cutouts":
            return cut_out(matte)
        if kind == "blurred":
            return blur_background(matte)
        assert self.picture is not None  # seen to when this was made
        return replace_background(matte, self.picture)

    def traces(self, class_names: tuple[str, ...]) -> dict[str, dict[str, str]]:
        """For every kind what its pictures depend on besides the weights."""
        facts = {kind: {"foreground": class_names[self.foreground]} for kind in self.kinds}
        if self.picture is not None:
            digest = hashlib.sha256(repr(self.picture.shape).encode() + self.picture.tobytes())
            facts["replaced"]["picture"] = digest.hexdigest()
        return {str(kind): fact for kind, fact in facts.items()}


def cut_out(matte: Matte) -> Image.Image:
    """The front as an RGBA picture of the photo's size, transparent elsewhere."""
    opacity = (matte.opacity * 255 + 0.5).astype(np.uint8)
    return Image.fromarray(np.dstack([matte.colours, opacity]))


def blur_background(matte: Matte) -> Image.Image:
    """The photo with all that is behind blurred, as behind a lens of wide aperture.

    The blur takes its colours from behind only, blur(image * w) / blur(w) with w = 1 - opacity, so
    that the front leaves no halo of its own colours.

    Source: normalised convolution, Knutsson and Westin, CVPR 1993.
    """
    height, width = matte.opacity.shape
    sigma = BLUR * max(height, width)
    factor = min(1.0, _WORKING_SIGMA / sigma)
    small = (max(1, round(height * factor)), max(1, round(width * factor)))
    weight = (1 - matte.opacity)[np.newaxis]
    little_weight = _blurred(resized(weight, small), sigma * factor)
    planes = []
    for channel in range(3):  # one at a time: planes of large photos are large
        seen = matte.image[np.newaxis, ..., channel] * (weight * np.float32(1 / 255))
        little = _blurred(resized(seen, small), sigma * factor) / (little_weight + 1e-6)
        planes.append(_bytes(resized(little, (height, width))[0]))
    return _over(matte, np.dstack(planes))


def replace_background(matte: Matte, picture: Pixels) -> Image.Image:
    """The front laid over another picture, which is scaled to cover the photo's size and cropped.

    Args:
        matte: Of the photo.
        picture: `(h, w, 3)` RGB of any size.
    """
    height, width = matte.opacity.shape
    behind = ImageOps.fit(Image.fromarray(picture), (width, height), Image.Resampling.LANCZOS)
    return _over(matte, np.asarray(behind))


def _over(matte: Matte, behind: Pixels) -> Image.Image:
    """The front's colours over a picture `(H, W, 3)` of the same size."""
    mixed = np.empty_like(behind)
    for channel in range(3):
        back = behind[..., channel].astype(np.float32)
        back += matte.opacity * (matte.colours[..., channel] - back)
        mixed[..., channel] = back + 0.5
    return Image.fromarray(mixed)


def _blurred(plane: Plane, sigma: float) -> Plane:
    return gaussian_filter(plane, (0, sigma, sigma), mode="nearest")


def _bytes(plane: Plane) -> Pixels:
    return (np.clip(plane, 0, 1) * 255 + 0.5).astype(np.uint8)
