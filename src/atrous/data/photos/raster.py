"""Open one image file of a known format within a pixel limit, wholly decoded or not at all.

The decoder is chosen by the file's first bytes, never by its suffix, and called directly instead
of through `Image.open`: that keeps formats out that nobody means by "image" (Pillow would start
Ghostscript for a PostScript file), and lets the caller's pixel limit decide instead of the limit
that Pillow keeps in a global variable.
"""

import stat
from collections.abc import Callable
from pathlib import Path
from typing import IO, Final, NamedTuple

from PIL import (
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    ImageFile,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from atrous.errors import DataError

DEFAULT_MAX_PIXELS: Final = 500_000_000
"""Pixels above which an image is refused; as 8-bit RGB this many take 1.5 GB."""

IMAGE_SUFFIXES: Final = frozenset(
    {".jpg", ".jpeg", ".jfif", ".png", ".webp", ".tif", ".tiff", ".bmp", ".gif"}
)
"""Lower-case suffixes that mark a file as an image when a folder is searched."""

_FORMATS_IN_WORDS: Final = "a JPEG, PNG, WebP, TIFF, BMP or GIF file"


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


_FORMATS: Final = (
    _Format("JPEG", _magic(b"\xff\xd8\xff"), JpegImagePlugin.JpegImageFile),
    _Format("PNG", _magic(b"\x89PNG\r\n\x1a\n"), PngImagePlugin.PngImageFile),
    _Format("WebP", _is_webp, WebPImagePlugin.WebPImageFile),
    _Format("TIFF", _magic(*TIFF_HEADS), _TiffFile),
    _Format("BMP", _magic(b"BM"), BmpImagePlugin.BmpImageFile),
    _Format("GIF", _magic(b"GIF87a", b"GIF89a"), GifImagePlugin.GifImageFile),
)


def open_raster(path: str | Path, *, max_pixels: int = DEFAULT_MAX_PIXELS) -> Image.Image:
    """The one image in a file, decoded to its last pixel, in the mode the file has.

    Of an animation (GIF, PNG, WebP) it is the first frame.

    Raises:
        DataError: If there is no such file, it cannot be read, it is none of the known formats,
            it is broken or cut off, it has more than `max_pixels` pixels, or it is a TIFF of
            several pages.
    """
    path = Path(path)
    _check_is_file(path)
    try:
        file = path.open("rb")
    except OSError as error:
        raise _unreadable(path, error) from error
    with file:
        head = file.read(16)
        kind = _format_of(head, path)
        file.seek(0)
        # Pillow's decoders raise nearly anything on broken bytes, from SyntaxError to
        # struct.error, so all of it is read as "broken"; nothing of ours runs inside.
        try:
            image = kind.decoder(file)
        except Image.DecompressionBombError as error:
            raise DataError(
                f"{path}: a {kind.name} file with more pixels than Pillow takes in this format "
                f"({2 * (Image.MAX_IMAGE_PIXELS or 0):,}); expected fewer; save it as PNG or TIFF."
            ) from error
        except Exception as error:
            raise _broken(path, kind.name, error) from error
        _check_pixels(path, image, max_pixels)
        try:
            num_pages = getattr(image, "n_frames", 1) if kind.name == "TIFF" else 1
            if num_pages == 1:
                image.load()
        except Exception as error:
            raise _broken(path, kind.name, error) from error
    if num_pages != 1:
        raise DataError(
            f"{path}: a TIFF file of {num_pages} pages; expected one page; "
            "save the page you mean as a file of its own."
        )
    return image


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
