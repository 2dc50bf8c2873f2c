"""Open one image file of a known format within a pixel limit, wholly decoded or not at all.

The decoder is chosen by the file's first bytes, never by its suffix, and called directly instead
of through `Image.open`: that keeps formats out that nobody means by "image" (Pillow would start
Ghostscript for a PostScript file), and lets the caller's pixel limit decide instead of the limit
that Pillow keeps in a global variable.
"""

import io
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Final, NamedTuple

from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    ImageFile,
    Jpeg2KImagePlugin,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from atrous._extras import require
from atrous.data.photos.tiff_tags import describe_tiff
from atrous.data.photos.whole import check_png, jpeg_without_end
from atrous.errors import AtrousError, DataError
from atrous.types import Size

DEFAULT_MAX_PIXELS: Final = 500_000_000
"""Pixels above which an image is refused; as 8-bit RGB this many take 1.5 GB."""

PLUGIN_SUFFIXES: Final = {".heic": "pillow_heif", ".heif": "pillow_heif", ".jxl": "pillow_jxl"}
"""Lower-case suffixes of images that a package of the extra `images` reads."""

IMAGE_SUFFIXES: Final = frozenset(
    {
        *(".jpg", ".jpeg", ".jfif", ".png", ".webp", ".tif", ".tiff", ".bmp", ".gif", ".avif"),
        *(".jp2", ".j2k", ".jpf", ".jpx"),
        *(suffix for suffix, module in PLUGIN_SUFFIXES.items() if find_spec(module)),
    }
)
"""Lower-case suffixes that mark a file as an image when a folder is searched."""

_FORMATS_IN_WORDS: Final = "a JPEG, PNG, WebP, TIFF, BMP, GIF, AVIF or JPEG 2000 file"


TIFF_HEADS: Final = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
"""How TIFF files begin, and BigTIFF files."""


class _TiffFile(TiffImagePlugin.TiffImageFile):
    """TIFF without Pillow's own pixel limit: the size was checked before any pixel is read."""

    def load_prepare(self) -> None:
        # Pillow compares the size with its global limit only where it makes the canvas itself.
        if self._im is None and hasattr(self, "_tile_size"):
            self.im = Image.new(self.mode, self._tile_size, None).im
        super().load_prepare()


class _Format(NamedTuple):
    """A file format: how its files begin and what decodes them."""

    name: str
    begins: Callable[[bytes], bool]
    decoder: Callable[[IO[bytes]], ImageFile.ImageFile]


def _magic(*prefixes: bytes) -> Callable[[bytes], bool]:
    return lambda head: head.startswith(prefixes)


def _is_webp(head: bytes) -> bool:
    return head[:4] == b"RIFF" and head[8:12] == b"WEBP"


_HEIF_BRANDS: Final = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")


def _is_avif(head: bytes) -> bool:
    return head[4:8] == b"ftyp" and head[8:12] in (b"avif", b"avis")


def _is_heif(head: bytes) -> bool:
    return head[4:8] == b"ftyp" and head[8:12] in _HEIF_BRANDS


def _heif(file: IO[bytes]) -> ImageFile.ImageFile:
    plugin = require("pillow_heif.as_plugin", extra="images")
    image: ImageFile.ImageFile = plugin.HeifImageFile(file)
    return image


def _jxl(file: IO[bytes]) -> ImageFile.ImageFile:
    plugin = require("pillow_jxl.JpegXLImagePlugin", extra="images")
    image: ImageFile.ImageFile = plugin.JXLImageFile(file)
    return image


_FORMATS: Final = (
    _Format("JPEG", _magic(b"\xff\xd8\xff"), JpegImagePlugin.JpegImageFile),
    _Format("PNG", _magic(b"\x89PNG\r\n\x1a\n"), PngImagePlugin.PngImageFile),
    _Format("WebP", _is_webp, WebPImagePlugin.WebPImageFile),
    _Format("TIFF", _magic(*TIFF_HEADS), _TiffFile),
    _Format("BMP", _magic(b"BM"), BmpImagePlugin.BmpImageFile),
    _Format("GIF", _magic(b"GIF87a", b"GIF89a"), GifImagePlugin.GifImageFile),
    _Format("AVIF", _is_avif, AvifImagePlugin.AvifImageFile),
    _Format(
        "JPEG 2000",
        _magic(b"\xff\x4f\xff\x51", b"\x00\x00\x00\x0cjP  \r\n\x87\n"),
        Jpeg2KImagePlugin.Jpeg2KImageFile,
    ),
    _Format("HEIC", _is_heif, _heif),
    _Format("JPEG XL", _magic(b"\xff\x0a", b"\x00\x00\x00\x0cJXL \r\n\x87\n"), _jxl),
)
MAY_BE_LOSSY: Final = frozenset({"JPEG", "AVIF", "JPEG2000", "HEIF", "JXL"})
"""Pillow's names of formats whose files say nowhere that they altered no value."""


def open_raster(path: str | Path, *, max_pixels: int = DEFAULT_MAX_PIXELS) -> Image.Image:
    """The one image in a file, decoded to its last pixel, in the mode the file has.

    Of an animation (GIF, PNG, WebP) it is the first frame.

    Raises:
        DataError: If there is no such file, it cannot be read, it is none of the known formats,
            it is broken or cut off, it has more than `max_pixels` pixels, or it is a TIFF of
            several pages.
    """
    path = Path(path)
    with _opened(path) as file:
        return _decoded(file, path, max_pixels)


def open_raster_bytes(
    data: bytes, *, name: str = "the bytes", max_pixels: int = DEFAULT_MAX_PIXELS
) -> Image.Image:
    """As `open_raster`, of a file's bytes in memory.

    Raises:
        DataError: As `open_raster`.
    """
    return _decoded(io.BytesIO(data), Path(name), max_pixels)


def image_size(path: str | Path) -> Size:
    """`(H, W)` as an image file's header says it; no pixel is decoded.

    Raises:
        DataError: If the file cannot be read, or is no image.
    """
    with open_header(path) as image:
        return image.size[1], image.size[0]


@contextmanager
def open_header(path: str | Path) -> Iterator[Image.Image]:
    """An image whose pixels are not decoded yet, while the block runs.

    Raises:
        DataError: If the file cannot be read, or is no image.
    """
    path = Path(path)
    with _opened(path) as file:
        yield _header(file, path)[0]


def _opened(path: Path) -> IO[bytes]:
    _check_is_file(path)
    try:
        return path.open("rb")
    except OSError as error:
        raise _unreadable(path, error) from error


def _header(file: IO[bytes], path: Path) -> tuple[Image.Image, str]:
    """An image that is not decoded yet, and the name of its format."""
    kind = _format_of(file.read(16), path)
    file.seek(0)
    # Pillow's decoders raise nearly anything on broken bytes, from SyntaxError to
    # struct.error, so all of it is read as "broken"; nothing of ours runs inside.
    try:
        return kind.decoder(file), kind.name
    except Image.DecompressionBombError as error:
        raise DataError(
            f"{path}: a {kind.name} file with more pixels than Pillow takes in this format "
            f"({2 * (Image.MAX_IMAGE_PIXELS or 0):,}); expected fewer; save it as PNG or TIFF."
        ) from error
    except AtrousError as error:  # the plug-in is missing
        raise DataError(f"{path}: a {kind.name} file; {error}") from error
    except Exception as error:
        if kind.name == "TIFF":
            raise _unread_tiff(file, path, error) from error
        raise _broken(path, kind.name, error) from error


class UnreadTiffError(DataError):
    """A TIFF that Pillow does not read, which may be sound all the same."""


def _unread_tiff(file: IO[bytes], path: Path, error: Exception) -> DataError:
    """What is said of a TIFF that Pillow does not open: its kind, if its tags are sound."""
    found = describe_tiff(file)
    if found is None:
        return _broken(path, "TIFF", error)
    return UnreadTiffError(
        f"{path}: {found}, which is not read as a picture ({error}); expected grey or RGB of 8 or "
        "16 bits; convert it."
    )


def _decoded(file: IO[bytes], path: Path, max_pixels: int) -> Image.Image:
    image, kind = _header(file, path)
    _check_pixels(path, image, max_pixels)
    try:
        if kind == "PNG":
            place = file.tell()
            check_png(file)
            file.seek(place)
        num_pages = getattr(image, "n_frames", 1) if kind == "TIFF" else 1
        if num_pages == 1:
            image.load()
    except Exception as error:
        if kind == "TIFF" and "decoder" in str(error):  # such as "decoder jpeg2000 not available"
            raise _unread_tiff(file, path, error) from error
        if kind != "JPEG" or (image_of_all := _without_end(file)) is None:
            raise _broken(path, kind, error) from error
        return image_of_all
    if num_pages != 1:
        raise DataError(
            f"{path}: a TIFF file of {num_pages} pages; expected one page; "
            "save the page you mean as a file of its own."
        )
    return image


def _without_end(file: IO[bytes]) -> Image.Image | None:
    """The picture of a JPEG whose pixels are all there, though it is cut off."""
    file.seek(0)
    try:
        return jpeg_without_end(file.read())
    except Exception:  # as of any broken bytes: what was wrong at first is said
        return None


def format_name(head: bytes) -> str | None:
    """What a file is by its first 16 bytes: JPEG, PNG, WebP, TIFF, BMP, GIF, or none of these.

    Example:
        >>> format_name(b"BM followed by more")
        'BMP'
    """
    return next((kind.name for kind in _FORMATS if kind.begins(head)), None)


def _check_is_file(path: Path) -> None:
    # Asked before opening, because opening a named pipe would wait for ever.
    try:
        status = path.stat()
    except (OSError, ValueError) as error:  # ValueError: a null character in the name
        raise _unreadable(path, error) from error
    if stat.S_ISDIR(status.st_mode):
        raise DataError(f"{path}: a folder; expected {_FORMATS_IN_WORDS}; name a file in it.")
    if not stat.S_ISREG(status.st_mode):
        raise DataError(
            f"{path}: neither a file nor a folder; expected {_FORMATS_IN_WORDS}; "
            "save the image to disk first."
        )
    if status.st_size == 0:
        raise DataError(
            f"{path}: an empty file (0 bytes); expected {_FORMATS_IN_WORDS}; copy it again."
        )


def _unreadable(path: Path, error: Exception) -> DataError:
    reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
    return DataError(
        f"{path}: {reason}; expected {_FORMATS_IN_WORDS}; check the path and its permissions."
    )


def _format_of(head: bytes, path: Path) -> _Format:
    for kind in _FORMATS:
        if kind.begins(head):
            return kind
    raise DataError(
        f"{path}: not an image this can read (it begins with {head[:8]!r}); "
        f"expected {_FORMATS_IN_WORDS}; convert it to one of them."
    )


def _check_pixels(path: Path, image: Image.Image, max_pixels: int) -> None:
    width, height = image.size
    if width * height > max_pixels:
        raise DataError(
            f"{path}: {width} x {height} (W x H) is {width * height:,} pixels; expected at most "
            f"max_pixels={max_pixels:,}; raise max_pixels if you trust the file."
        )


def _broken(path: Path, name: str, error: Exception) -> DataError:
    reason = " ".join(str(error).split()) or type(error).__name__
    return DataError(
        f"{path}: a broken or cut off {name} file ({reason}); expected a whole one; copy it again."
    )
