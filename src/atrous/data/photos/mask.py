"""Read a mask: an image whose pixel value is the class index, never a colour."""

from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from atrous.data.photos.raster import DEFAULT_MAX_PIXELS, open_raster
from atrous.errors import DataError

_INDEX_MODES: Final = frozenset({"1", "L", "P", "I", "I;16", "I;16B", "I;16L", "I;16N"})
_COLOUR_MODES: Final = frozenset({"RGB", "LA", "RGBA"})


def read_mask(path: str | Path, *, max_pixels: int = DEFAULT_MAX_PIXELS) -> Tensor:
    """The mask as `(H, W)` int64, the values as the file holds them.

    Of a palette image these are the indices, not the colours; a 1-bit image gives 0 and 1. Three
    equal channels count as one, and an alpha channel is let pass if it hides nothing. Of a GIF it
    is the grey levels, because programs that write GIFs renumber the palette. EXIF orientation is
    not applied.

    Raises:
        DataError: As `read_image`, and if the image has colours, hides pixels, is of floats, or
            is a JPEG, whose compression alters values.
    """
    path = Path(path)
    image = open_raster(path, max_pixels=max_pixels)
    if image.format == "JPEG":
        raise DataError(
            f"{path}: a JPEG, whose compression alters class indices; expected an index image; "
            "make the mask anew as PNG."
        )
    if image.format == "GIF":
        image = image.convert("RGB")
    if image.mode in _INDEX_MODES:
        values = np.asarray(image)
    elif image.mode in _COLOUR_MODES:
        values = _single_channel(image, path)
    else:
        raise _not_an_index_image(path, f"pixels of mode {image.mode!r}")
    return torch.from_numpy(values.astype(np.int64))


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
