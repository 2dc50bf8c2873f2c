"""What a file is by its content: a whole slide, or an image."""

import warnings
from pathlib import Path
from typing import Final

from PIL import TiffImagePlugin

from atrous._documents import open_regular
from atrous._extras import require
from atrous.data.photos.raster import format_name
from atrous.data.slides.tiff_pages import SUB_IFDS
from atrous.errors import DataError

_BEYOND: Final = {
    ".vsi": "an Olympus VSI, whose pixels lie in .ets files in the folder beside it",
    ".ets": "the pixels of an Olympus VSI",
    ".czi": "a Zeiss CZI",
    ".zvi": "a Zeiss ZVI",
    ".lif": "a Leica LIF",
    ".isyntax": "a Philips iSyntax",
}
"""Formats by the ends of names that openslide may not know."""

_TILE_WIDTH: Final = 322
_DESCRIPTION: Final = 270


def is_slide(path: str | Path) -> bool:
    """Whether a file is a whole slide, by its content.

    So is what openslide knows, and a TIFF that is tiled, has levels in sub-directories or is OME.
    A photo is none: JPEG, PNG, a TIFF of one page in strips. A file that cannot be read is none.

    Raises:
        MissingExtraError: If it may be a slide, and the extra `slides` is not installed.
    """
    path = Path(path)
    try:
        head = head_of(path)
    except DataError:
        return False
    kind = format_of(path, head)
    if kind not in (None, "TIFF"):
        return False
    if kind == "TIFF" and _is_pyramid(path, head):
        return True
    openslide = require("openslide", extra="slides")
    return openslide.OpenSlide.detect_format(path) is not None


def check_known(path: Path) -> None:
    """See that a file is of no format that can be told but not be read.

    Raises:
        DataError: If it is.
    """
    what = _BEYOND.get(path.suffix.lower())
    if what is None or require("openslide", extra="slides").OpenSlide.detect_format(path):
        return
    raise DataError(
        f"{path}: {what}, which neither openslide nor tifffile reads; expected a slide such as "
        "SVS, NDPI, MRXS, DICOM or OME-TIFF; export it as OME-TIFF with QuPath or Bio-Formats."
    )


def dicom_series(path: Path) -> str | None:
    """The series that a DICOM file of a slide is of; None of files that openslide does not open."""
    openslide = require("openslide", extra="slides")
    try:
        with openslide.OpenSlide(path) as slide:
            return slide.properties.get("dicom.SeriesInstanceUID")
    except (openslide.OpenSlideError, OSError):
        return None


def head_of(path: Path) -> bytes:
    """The first 16 bytes of a file.

    Raises:
        DataError: If it is missing, empty, a folder, or cannot be read.
    """
    if path.is_dir():
        raise DataError(
            f"{path} is a folder; expected the file of a slide; give one that is in it."
        )
    try:
        with open_regular(path) as file:
            head = file.read(16)
    except FileNotFoundError as error:
        raise DataError(f"{path} is not there; expected the file of a slide.") from error
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}.") from error
    if not head:
        raise DataError(f"{path} is empty; expected the file of a slide; copy it again.")
    return head


def format_of(path: Path, head: bytes) -> str | None:
    """The image format that a file begins as; none of an MRXS, whose own file is a JPEG."""
    return None if path.suffix.lower() == ".mrxs" else format_name(head)


def _is_pyramid(path: Path, head: bytes) -> bool:
    """By the tags of the first directory, which Pillow reads without any extra."""
    size = 16 if head[2] == 43 or head[3] == 43 else 8
    try:
        tags = TiffImagePlugin.ImageFileDirectory_v2(head[:size])
        with path.open("rb") as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a cut off file says so when it is opened
            file.seek(tags.next)
            tags.load(file)
        text = str(tags.get(_DESCRIPTION, ""))
    except Exception:  # broken tags: no pyramid, whatever is wrong with them
        return False
    return _TILE_WIDTH in tags or SUB_IFDS in tags or "<OME" in text
