"""Read a mask: an image whose pixel value is the class index, never a colour."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from atrous.data.photos.raster import DEFAULT_MAX_PIXELS, MAY_BE_LOSSY, open_raster
from atrous.errors import DataError

_INDEX_MODES: Final = frozenset({"1", "L", "P", "I", "I;16", "I;16B", "I;16L", "I;16N"})
_COLOUR_MODES: Final = frozenset({"RGB", "LA", "RGBA"})

_BITS, _COMPRESSION, _PHOTOMETRIC = 258, 259, 262
"""Tags of TIFF."""
_PNG_DEPTH: Final = 24
"""Where in a PNG file its bits a sample stand."""
_LOSSY_TIFF: Final[Mapping[int, str]] = MappingProxyType(
    {
        6: "a TIFF of JPEG tiles",
        7: "a TIFF of JPEG tiles",
        33003: "a TIFF of JPEG 2000 tiles",
        33005: "a TIFF of JPEG 2000 tiles",
        34712: "a TIFF of JPEG 2000 tiles",
        50001: "a TIFF of WebP tiles",
        50002: "a TIFF of JPEG XL tiles",
    }
)
"""Compressions of TIFF that may alter values, by their numbers."""


def read_mask(path: str | Path, *, max_pixels: int = DEFAULT_MAX_PIXELS) -> Tensor:
    """The mask as `(H, W)` int64, the values as the file holds them.

    Of a palette image these are the indices, not the colours; a 1-bit image gives 0 and 1. Three
    equal channels count as one, and an alpha channel is let pass if it hides nothing. Of a GIF it
    is the grey levels, because programs that write GIFs renumber the palette. EXIF orientation is
    not applied.

    Raises:
        DataError: As `read_image`, and if the image has colours, hides pixels, is of floats, or
            is compressed in a way that alters values: JPEG, lossy WebP, or TIFF that holds such.
    """
    path = Path(path)
    image = open_exact(path, max_pixels=max_pixels)
    tags = getattr(image, "tag_v2", {})
    if image.format == "TIFF" and tags.get(_PHOTOMETRIC, 1) == 0 and image.mode != "1":
        raise DataError(
            f"{path}: a TIFF whose 0 is white, so that what is seen and what is stored are "
            "opposite numbers; expected class indices as they are; save the mask as PNG."
        )
    if image.format == "GIF":
        image = image.convert("RGB")
    if image.mode in _INDEX_MODES:
        # Pillow spreads grey levels of 2 and 4 bits over 0 to 255; here they are indices.
        values = np.asarray(image) // _spread(path, image)
    elif image.mode in _COLOUR_MODES:
        values = _single_channel(image, path)
    else:
        raise _not_an_index_image(path, f"pixels of mode {image.mode!r}")
    return torch.from_numpy(values.astype(np.int64))


def open_exact(path: Path, *, max_pixels: int = DEFAULT_MAX_PIXELS) -> Image.Image:
    """An image whose values are those that were saved.

    Raises:
        DataError: As `open_raster`, or if its compression may have altered them.
    """
    image = open_raster(path, max_pixels=max_pixels)
    lossy = _lossy_compression(path, image)
    if lossy is not None:
        raise DataError(
            f"{path}: {lossy}, whose compression alters class indices; expected an index image; "
            "make the mask anew as PNG."
        )
    return image


def used_palette(path: Path) -> dict[int, tuple[int, ...]]:
    """The colours of the indices that a palette image uses; empty of other images.

    Raises:
        DataError: As `read_mask`.
    """
    image = open_raster(path)
    if image.mode != "P" or image.format == "GIF":
        return {}
    colours = np.array(image.getpalette("RGB") or [], np.uint8).reshape(-1, 3)
    used = np.flatnonzero(np.bincount(np.asarray(image).ravel(), minlength=256))
    return {int(i): tuple(colours[i].tolist()) for i in used if i < len(colours)}


def _lossy_compression(path: Path, image: Image.Image) -> str | None:
    """What a file is called whose compression alters values, None of others."""
    if image.format in MAY_BE_LOSSY:
        return "a JPEG" if image.format == "JPEG" else f"of format {image.format}"
    if image.format == "WEBP" and _has_lossy_chunk(path):
        return "a lossy WebP"
    tags = getattr(image, "tag_v2", {})
    return _LOSSY_TIFF.get(int(tags.get(_COMPRESSION, 0))) if image.format == "TIFF" else None


def _has_lossy_chunk(path: Path) -> bool:
    """Whether a WebP file's first picture is of the kind `VP8 `, not `VP8L`."""
    data = path.read_bytes()
    at = 12
    while at + 8 <= len(data):
        name, length = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        if name in (b"VP8 ", b"VP8L"):
            return name == b"VP8 "
        at += 24 if name == b"ANMF" else 8 + length + length % 2
    return False


def _spread(path: Path, image: Image.Image) -> int:
    """What Pillow multiplied grey levels by, to spread them over 0 to 255."""
    if image.mode != "L":
        return 1
    bits = 8
    if image.format == "PNG":
        bits = path.read_bytes()[_PNG_DEPTH]
    elif image.format == "TIFF":
        bits = int(np.max(image.tag_v2.get(_BITS, 8)))  # type: ignore[attr-defined]  # of TIFF
    return 255 // (2**bits - 1) if bits < 8 else 1


def _single_channel(image: Image.Image, path: Path) -> NDArray[np.uint8]:
    pixels = np.asarray(image)
    if image.mode.endswith("A"):
        if pixels[..., -1].min() < 255:
            raise _not_an_index_image(path, "some pixels are transparent")
        pixels = pixels[..., :-1]
    first = pixels[..., 0]
    if not (pixels == first[..., np.newaxis]).all():
        raise _not_an_index_image(path, "a colour image")
    return first


def _not_an_index_image(path: Path, found: str) -> DataError:
    return DataError(
        f"{path}: {found}; expected an index image, whose pixel value is the class; "
        "save the mask as 8-bit grey or palette PNG."
    )
