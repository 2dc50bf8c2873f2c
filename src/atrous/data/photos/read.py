"""Read an image file as RGB: `read_image` gives floats for training, `read_rgb8` bytes for speed.

What becomes of each kind of pixel, because readers differ in it silently:

- Grey is repeated over the three channels. 16-bit grey is divided by 65535, not clipped at 255.
  Where a TIFF says that white is zero, grey is inverted.
- 16-bit colour keeps the upper 8 bits of each channel, which is all that Pillow gives.
- Where a pixel is transparent, white shows through.
- CMYK and YCbCr become RGB by arithmetic; colour profiles are not applied.
- Grey of 32-bit floats must lie in [0, 1], and so must RGB of floats. Integers of 32 bits, and
  16-bit ones with a sign, are refused: nothing in the file says which number is white.
- TIFF that Pillow does not read, such as RGB of floats or of 12 bits, is read by tifffile where the
  extra `slides` is installed; else it is named as what it is.
- The EXIF orientation is applied, so that a photo stands as its photographer saw it.
"""

from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import ExifTags, Image
from torch import Tensor

from atrous._documents import open_regular
from atrous.data.photos.bands import read_bands
from atrous.data.photos.raster import (
    DEFAULT_MAX_PIXELS,
    TIFF_HEADS,
    UnreadTiffError,
    open_header,
    open_raster,
)
from atrous.data.photos.tiff_tags import tiff_tags
from atrous.errors import DataError, MissingExtraError

_EIGHT_BIT_MODES: Final = frozenset(
    {"1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr"}
)

# EXIF tag 0x0112 tells how the camera was held; the operation undoes it. 1 is upright.
_UPRIGHT: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


_PHOTOMETRIC: Final = 262
"""TIFF's tag that tells what its numbers mean: 0 where white is zero."""


def read_image(path: str | Path, *, max_pixels: int = DEFAULT_MAX_PIXELS) -> Tensor:
    """The image as `(3, H, W)` float32 in [0, 1], RGB; 16-bit and float grey keep their depth.

    Args:
        path: A JPEG, PNG, WebP, TIFF, BMP or GIF file; of an animation the first frame is read.
        max_pixels: Refuse more than this many pixels before any is decoded.

    Raises:
        DataError: If the file is missing, unreadable, not an image, broken, cut off, too large,
            or holds pixels without a known white.
    """
    image = _opened(Path(path), max_pixels)
    if isinstance(image, np.ndarray):
        return torch.from_numpy(image).permute(2, 0, 1).contiguous()
    grey = _deep_grey(image, Path(path))
    if grey is not None:
        return torch.from_numpy(grey).expand(3, -1, -1).contiguous()
    rgb = torch.from_numpy(_rgb8(image, Path(path)))
    return rgb.permute(2, 0, 1).contiguous().to(torch.float32).div_(255)


def read_rgb8(path: str | Path, *, max_pixels: int = DEFAULT_MAX_PIXELS) -> NDArray[np.uint8]:
    """The image as `(H, W, 3)` uint8 RGB, contiguous and writable; deeper grey is rounded.

    Raises:
        DataError: As `read_image`.
    """
    image = _opened(Path(path), max_pixels)
    if isinstance(image, np.ndarray):
        return np.rint(image * 255).astype(np.uint8)
    return _to_rgb8(image, Path(path))


def _opened(path: Path, max_pixels: int) -> Image.Image | NDArray[np.float32]:
    """The upright picture; of a TIFF that only tifffile reads RGB `(H, W, 3)` in [0, 1]."""
    try:
        return _upright(open_raster(path, max_pixels=max_pixels))
    except UnreadTiffError as error:
        try:
            values = read_bands(path, max_pixels=3 * max_pixels)
        except MissingExtraError as missing:
            raise DataError(f"{error} {missing}") from error
        if values.shape[2] not in (1, 3):
            raise
        low, high = float(values.min()), float(values.max())
        if not (low >= 0 and high <= 1):
            raise DataError(
                f"{path}: floating-point pixels from {low:g} to {high:g}; expected [0, 1]; scale "
                "them, or save as 8 or 16-bit."
            ) from error
        return np.repeat(values, 3, axis=2) if values.shape[2] == 1 else values


def as_rgb8(image: Image.Image) -> NDArray[np.uint8]:
    """An opened picture as `(H, W, 3)` uint8 RGB, by the rules of `read_rgb8`.

    Raises:
        DataError: If its pixels have no known white, or cannot be decoded.
    """
    path = Path(getattr(image, "filename", "") or "the picture")
    try:
        image.load()
    except (OSError, ValueError, SyntaxError) as error:
        raise DataError(f"{path}: {error}; expected a whole picture; open it again.") from error
    return _to_rgb8(_upright(image), path)


def exif_orientation(path: Path) -> int:
    """How the camera was held, by an image's header; 1, upright, where nothing says it.

    Raises:
        DataError: If the file cannot be read, or is no image.
    """
    with open_header(path) as image:
        return _orientation(image)


def num_bands(path: Path) -> int:
    """Channels of a TIFF beside its alpha, by its header; 3 of other images, and of what is none.

    Example:
        >>> num_bands(Path("a.jpg"))
        3
    """
    if path.suffix.lower() not in (".tif", ".tiff"):
        return 3
    try:
        with open_regular(path) as file:
            if not file.peek(4).startswith(TIFF_HEADS):
                return 3
            tags = tiff_tags(file)
        extra = tags.get(_EXTRA_SAMPLES, ())
        return int(tags.get(_SAMPLES, 1)) - sum(kind in _ALPHA for kind in extra)
    except Exception:  # broken tags raise nearly anything; it is told when it is read
        return 3


_SAMPLES, _EXTRA_SAMPLES = 277, 338
"""Tags of TIFF."""
_ALPHA: Final = (1, 2)


def _to_rgb8(image: Image.Image, path: Path) -> NDArray[np.uint8]:
    grey = _deep_grey(image, path)
    if grey is None:
        return _rgb8(image, path)
    levels = np.rint(grey * 255).astype(np.uint8)
    return np.repeat(levels[:, :, np.newaxis], 3, axis=2)


def _upright(image: Image.Image) -> Image.Image:
    # Pillow has already turned a TIFF, and removed its tag.
    operation = _UPRIGHT.get(_orientation(image))
    return image if operation is None else image.transpose(operation)


def _orientation(image: Image.Image) -> int:
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:
        # Many photos carry broken EXIF blocks beside sound pixels; parsing one raises nearly
        # anything. Such a photo has no orientation.
        return 1
    return orientation if isinstance(orientation, int) else 1


def _deep_grey(image: Image.Image, path: Path) -> NDArray[np.float32] | None:
    """`(H, W)` in [0, 1] if the image is grey of more than 8 bits, else None."""
    if image.mode.startswith("I;16"):
        raw = np.asarray(image)
        grey = raw.astype(np.float32)
        grey /= 65535
        if _white_is_zero(image):
            return 1 - grey
        if "transparency" in image.info:  # a PNG may name one grey level as transparent
            grey[raw == image.info["transparency"]] = 1
        return grey
    if image.mode == "F":
        grey = np.array(image, dtype=np.float32)
        low, high = float(grey.min()), float(grey.max())
        if not (low >= 0 and high <= 1):  # also true of not-a-number
            raise DataError(
                f"{path}: floating-point pixels from {low:g} to {high:g}; expected [0, 1]; "
                "scale them, or save as 8 or 16-bit."
            )
        return 1 - grey if _white_is_zero(image) else grey
    return None


def _white_is_zero(image: Image.Image) -> bool:
    """Whether a TIFF says that its numbers count up to black; Pillow heeds it for 8 bits alone."""
    tags = getattr(image, "tag_v2", None)
    return tags is not None and tags.get(_PHOTOMETRIC, 1) == 0


def _rgb8(image: Image.Image, path: Path) -> NDArray[np.uint8]:
    if image.mode not in _EIGHT_BIT_MODES:
        raise DataError(
            f"{path}: pixels of mode {image.mode!r}; expected grey of 8 or 16 bits without sign "
            "or colour of 8 bits a channel; convert the file."
        )
    if image.has_transparency_data:
        seen_through = image.convert("RGBA")
        image = Image.new("RGB", image.size, "white")
        image.paste(seen_through, mask=seen_through)
    elif image.mode != "RGB":
        image = image.convert("RGB")
    return np.array(image)
