"""From what a user names (files, folders, patterns) to a list of image files."""

import glob
import re
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Final

from atrous._extras import install_command
from atrous.data.photos.raster import IMAGE_SUFFIXES, PLUGIN_SUFFIXES
from atrous.errors import DataError

SLIDE_SUFFIXES: Final = frozenset(
    {
        *(".svs", ".ndpi", ".vms", ".vmu", ".scn", ".mrxs", ".svslide", ".bif", ".dcm"),
        *(".qptiff", ".czi", ".zvi", ".vsi", ".lif", ".isyntax", ".btf"),
    }
)
"""Lower-case ends of names that mark a file as a whole slide; plain TIFF may be one too. Of some
formats the files are refused, each by its name, rather than passed over."""


def list_images(
    paths: Sequence[str | Path], *, suffixes: Collection[str] = IMAGE_SUFFIXES
) -> list[Path]:
    """Image files in natural order (`2.png` before `10.png`), each once.

    Args:
        paths: Files, taken whatever their suffix; folders, searched for image suffixes but not
            into sub-folders; and patterns such as `scans/*.jpg` or, for all sub-folders,
            `scans/**`, which keep files of image suffixes. Folders and patterns pass over hidden
            files.
        suffixes: What marks a file as an image, lower case.

    Raises:
        DataError: If `paths` is empty, a path does not exist, or a folder or pattern gives no
            image.
    """
    if not paths:
        raise DataError("No paths were given; expected files, folders or patterns; name one.")
    found = [image for path in paths for image in _images_at(Path(path), suffixes)]
    by_identity = {image.resolve(): image for image in reversed(found)}  # the first name wins
    return sorted(by_identity.values(), key=natural_key)


def images_in(folder: Path, *, suffixes: Collection[str] = IMAGE_SUFFIXES) -> list[Path]:
    """Image files directly in `folder`, in natural order, hidden ones left out; maybe none.

    Raises:
        DataError: If `folder` cannot be listed.
    """
    try:
        entries = list(folder.iterdir())
    except OSError as error:
        raise DataError(
            f"{folder}: {error.strerror}; expected a folder of images; check the path."
        ) from error
    return sorted((e for e in entries if _looks_like_an_image(e, suffixes)), key=natural_key)


_UNREAD: Final = frozenset(
    {
        *(".heic", ".heif", ".jxl", ".jxr", ".ppm", ".pgm", ".tga"),
        *(".psd", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".raw", ".exr", ".svg", ".ico", ".pcx"),
    }
)
"""Lower-case suffixes of pictures that are not read."""


def is_unread_picture(path: Path) -> bool:
    """Whether a file is a picture that is not read, by its suffix, or may be one without suffix."""
    if path.name.startswith(".") or not path.is_file():
        return False
    return path.suffix.lower() in _UNREAD - IMAGE_SUFFIXES or not path.suffix


def why_unread(path: Path) -> str:
    """What to do about a picture that is not read."""
    if path.suffix.lower() in PLUGIN_SUFFIXES:
        return f"its format is not read without: {install_command('images')}"
    return "its format is not read; save it as JPEG, PNG or TIFF"


def natural_key(path: Path) -> tuple[tuple[str | int, ...], ...]:
    """Sort key by which numbers in names count as numbers.

    Example:
        >>> paths = [Path("B1.png"), Path("a10.png"), Path("a9.png")]
        >>> [path.name for path in sorted(paths, key=natural_key)]
        ['a9.png', 'a10.png', 'B1.png']
    """
    # Splitting by a group makes texts and numbers alternate, so two keys always compare alike
    # with alike. The path itself decides between `a1` and `a01`.
    parts = tuple(
        tuple(int(piece) if piece.isdecimal() else piece for piece in re.split(r"(\d+)", part))
        for part in map(str.casefold, path.parts)
    )
    return (*parts, (str(path),))


def _images_at(path: Path, suffixes: Collection[str]) -> list[Path]:
    try:
        is_folder, exists = path.is_dir(), path.exists()
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: {error}; expected a file, folder or pattern.") from error
    if is_folder:
        return _or_complain(
            images_in(path, suffixes=suffixes), f"{path}: no image in this folder", suffixes
        )
    if exists:
        return [path]
    if glob.has_magic(str(path)):
        matches = [Path(match) for match in glob.glob(str(path), recursive=True)]  # noqa: PTH207 - Path.glob takes no absolute pattern and gives hidden files
        images = [match for match in matches if _looks_like_an_image(match, suffixes)]
        return _or_complain(images, f"{path}: no image matches this pattern", suffixes)
    raise DataError(
        f"{path}: no such file or folder; expected a file, folder or pattern; check the path."
    )


def _or_complain(images: list[Path], found: str, suffixes: Collection[str]) -> list[Path]:
    if not images:
        raise DataError(
            f"{found}; expected files ending in {', '.join(sorted(suffixes))}; "
            "check the path (a pattern ending in /** searches sub-folders too)."
        )
    return images


def _looks_like_an_image(path: Path, suffixes: Collection[str]) -> bool:
    is_hidden = path.name.startswith(".")
    # A link to nothing is an image that is missing, not one that is not meant.
    is_there = path.is_file() or (path.is_symlink() and not path.exists())
    return not is_hidden and path.suffix.lower() in suffixes and is_there
