"""Values of a TIFF's tiles as RGB of 8 bits: alpha on white, more bits than 8, grey of both senses.

And colour profiles (ICC), which are said and, where it is wanted, applied. Needs the extra
`slides`.
"""

from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from atrous.data.slides.parts import OpenedFile, Pixels
from atrous.data.slides.tiff_pages import Page
from atrous.errors import DataError

DEPTHS: Final = (8, 10, 12, 14, 16)
"""Bits that scanners keep in 16."""
_ASSOCIATED: Final = 1
_ALPHA: Final = (_ASSOCIATED, 2)
"""TIFF's kinds of extra samples that are transparency."""
_WHITE_IS_ZERO: Final = 0
_NO_CACHE: Final = 0x0040
"""Little CMS' flag for transforms that several threads share."""


def to_rgb8(page: Page, *, bits: int) -> Callable[[NDArray[Any]], Pixels]:
    """What makes RGB of 8 bits `(h, w, 3)` of a tile's values `(h, w, C)`.

    Args:
        page: Of the tiles.
        bits: That its values use; larger values are white.
    """
    table = None if page.dtype == np.uint8 else depth_table(bits)
    alpha = alpha_of(page)
    is_inverted = int(page.photometric) == _WHITE_IS_ZERO

    def convert(tile: NDArray[Any]) -> Pixels:
        if tile.ndim == 2:
            tile = tile[..., np.newaxis]
        pixels: Pixels = tile if table is None else table[tile]
        if is_inverted:
            pixels = 255 - pixels
        if pixels.shape[-1] == 1:
            return np.repeat(pixels, 3, axis=-1)
        if alpha is None:
            return pixels[..., :3]
        return on_white(pixels, is_associated=alpha == _ASSOCIATED)

    return convert


def alpha_of(page: Page) -> int | None:
    """TIFF's kind of the fourth sample, if it is transparency."""
    extra = [int(kind) for kind in (page.extrasamples or ())]
    return extra[0] if page.samplesperpixel == 4 and extra and extra[0] in _ALPHA else None


def depth_table(bits: int) -> NDArray[np.uint8]:
    """8 bits by a value of 16, of which the lowest `bits` are used."""
    highest = (1 << bits) - 1
    values = np.minimum(np.arange(1 << 16, dtype=np.int64), highest)
    return ((values * 255 + highest // 2) // highest).astype(np.uint8)


def bits_used(highest: int) -> int:
    """The least of `DEPTHS` that holds a value."""
    return next(bits for bits in DEPTHS if highest < 1 << bits)


def on_white(rgba: Pixels, *, is_associated: bool = False) -> Pixels:
    """RGBA `(h, w, 4)` laid on white, as glass is.

    Args:
        rgba: Of 8 bits.
        is_associated: Whether colours are multiplied by their alpha already.
    """
    alpha = rgba[..., 3:]
    if alpha.size == 0 or alpha.min() == 255:
        return np.ascontiguousarray(rgba[..., :3])
    colour = rgba[..., :3].astype(np.uint16)
    if not is_associated:
        colour *= alpha
    else:
        colour = np.minimum(colour, alpha).astype(np.uint16) * 255
    mixed = colour + 255 * (255 - alpha.astype(np.uint16))
    return ((mixed + 127) // 255).astype(np.uint8)


def profile_name(profile: bytes) -> str:
    """What a colour profile calls itself; empty where it cannot be read."""
    try:
        opened = ImageCms.ImageCmsProfile(BytesIO(profile))
        return ImageCms.getProfileDescription(opened).strip()
    except (ImageCms.PyCMSError, OSError):
        return ""


def profile_transform(profile: bytes) -> Callable[[Pixels], Pixels]:
    """What turns RGB of a profile into sRGB, perceptually; safe to call from several threads.

    Raises:
        DataError: If the profile cannot be read.
    """
    try:
        source = ImageCms.ImageCmsProfile(BytesIO(profile))
        transform = ImageCms.buildTransform(
            source, ImageCms.createProfile("sRGB"), "RGB", "RGB", flags=ImageCms.Flags(_NO_CACHE)
        )
    except (ImageCms.PyCMSError, OSError) as error:
        raise DataError(
            f"The slide's colour profile cannot be applied ({error}); expected one of RGB; leave "
            "out --icc."
        ) from error

    def apply(pixels: Pixels) -> Pixels:
        return np.array(transform.apply(Image.fromarray(pixels)))

    return apply


def coloured(opened: OpenedFile, *, apply: bool) -> tuple[OpenedFile, tuple[str, ...]]:
    """The file with its colour profile applied, if that is wanted, and what is to be said of it."""
    profile = opened.facts.profile
    if profile is None:
        return opened, ("the file holds no colour profile, so --icc changes nothing",) * apply
    named = f"a colour profile ({profile_name(profile) or 'unnamed'})"
    if not apply:
        return opened, (f"{named} is in the file and not applied; --icc applies it",)
    transform, read = profile_transform(profile), opened.read
    return (
        replace(opened, read=lambda *window: transform(read(*window))),
        (f"{named} is applied",),
    )
