"""From what a user names to files of one kind: photos, slides or volumes, and what is left out."""

import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from PIL import Image

from atrous._documents import check_regular
from atrous.data.listing import (
    SLIDE_SUFFIXES,
    images_in,
    is_unread_picture,
    list_images,
    natural_key,
    why_unread,
)
from atrous.data.photos.raster import IMAGE_SUFFIXES
from atrous.data.slides.identify import dicom_series, is_slide
from atrous.data.volumes.names import is_volume_name, volumes_in
from atrous.data.volumes.other_formats import is_dicom, is_dicom_folder
from atrous.data.volumes.scans import is_mask_name, volume_files
from atrous.errors import DataError, MissingExtraError
from atrous.types import Kind

_TIFF_SUFFIXES: Final = (".tif", ".tiff", ".btf")


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """Files of one kind.

    Attributes:
        kind: What all of them are.
        paths: The files, in natural order.
        left_out: Why a file of a folder that was named is not among them, by its path.
        named: What was named: files, folders and patterns.
    """

    kind: Kind
    paths: tuple[Path, ...]
    left_out: dict[Path, str]
    named: tuple[Path, ...]


def find_inputs(
    names: Sequence[str | Path], *, takes_volumes: bool, model: str, recursive: bool = False
) -> Inputs:
    """Decide what the named files are, once.

    Args:
        names: Files, folders and, of images, patterns.
        takes_volumes: Whether the model takes volumes; it takes photos and slides otherwise.
        model: Name of the model, for messages.
        recursive: Search the folders below those that are named too.

    Raises:
        DataError: If nothing is named or found, files of several kinds are, or the model takes
            another kind.
    """
    if not names:
        raise DataError("No paths were given; expected files, folders or patterns; name one.")
    named = [Path(name) for name in names]
    for path in named:
        _check_place(path)
    if recursive:
        named = [below for path in named for below in _folders_below(path)]
    missing = next((path for path in named if takes_volumes and not path.exists()), None)
    if missing is not None:
        raise DataError(
            f"{missing}: no such file or folder; expected a file or folder; check the path."
        )
    volumes = [path for path in named if _is_volume(path) or _holds_volumes_only(path)]
    others = [path for path in named if path not in volumes]
    if takes_volumes:
        other = next((path for path in others if not (path.is_dir() or is_dicom(path))), None)
        if other is not None:
            raise DataError(
                f"{other} is no volume, and {model} takes volumes; expected .nii, .nii.gz, .nrrd, "
                ".mha, .mgz, a NIfTI pair's .hdr or a folder of DICOM slices; give scans (convert "
                "others to .nii.gz), or take a network for photos."
            )
        return _volumes(named)
    if volumes:
        raise DataError(
            f"{volumes[0]} is a volume or holds such, and {model} takes photos and slides; give "
            "images, or take a network for volumes, such as the shipped hippocampus."
        )
    return _images(named)


def _folders_below(path: Path) -> list[Path]:
    """A folder and those below it that hold something to run, hidden ones left out."""
    if not path.is_dir() or is_dicom_folder(path):
        return [path]
    found = []
    for parent, folders, _ in os.walk(path, followlinks=True):
        here = Path(parent)
        folders[:] = sorted(f for f in folders if not f.startswith(".") and f != _ARCHIVE)
        if is_dicom_folder(here) or volumes_in(here) or images_in(here, suffixes=_PICTURES):
            found.append(here)
        if here != path and is_dicom_folder(here):
            folders.clear()
    return found or [path]


_ARCHIVE: Final = "__MACOSX"
"""A folder that macOS puts into archives, with files that are called as pictures and are none."""
_PICTURES: Final = IMAGE_SUFFIXES | SLIDE_SUFFIXES


def _check_place(path: Path) -> None:
    """See that a named path is no pipe or device, which is never read to its end.

    Raises:
        DataError: If it is.
    """
    try:
        check_regular(path)
    except (FileNotFoundError, NotADirectoryError):  # a pattern, or it is said where it is read
        return
    except (OSError, ValueError) as error:  # ValueError: a null character in the name
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise DataError(f"{path}: {reason}; expected a file or folder; check the path.") from error


def _images(named: Sequence[Path]) -> Inputs:
    paths = list_images(named, suffixes=IMAGE_SUFFIXES | SLIDE_SUFFIXES)
    slides = [path for path in paths if is_slide_file(path)]
    left_out: dict[Path, str] = {}
    if slides:
        # A TIFF that no reader takes for an image is a slide that is broken: it is named as such.
        slides += [path for path in paths if path not in slides and _is_broken_tiff(path)]
        slides.sort(key=natural_key)
        images = [path for path in paths if path not in slides]
        image = next((path for path in images if path in named), None)
        if image is not None:
            raise DataError(
                f"There are {len(slides)} slides (such as {slides[0].name}) and "
                f"{len(images)} images (such as {image.name}); expected one kind; name "
                "them in two commands."
            )
        left_out = dict.fromkeys(images, "it is an image, and the folder holds slides; name it")
        paths, further = _without_levels(slides)
        left_out |= further
    kind: Kind = "slides" if slides else "photos"
    return Inputs(
        kind=kind,
        paths=tuple(paths),
        left_out=left_out | _left_out(named, kind),
        named=tuple(named),
    )


def _is_broken_tiff(path: Path) -> bool:
    """Whether a file is a TIFF by its name, and nothing that Pillow opens."""
    if path.suffix.lower() not in _TIFF_SUFFIXES:
        return False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of damaged tags, which are no news here
            with Image.open(path) as picture:
                picture.verify()
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return True
    return False


def _without_levels(slides: Sequence[Path]) -> tuple[list[Path], dict[Path, str]]:
    """One file of each DICOM slide, whose levels lie in several, and why others are left out."""
    dicoms = [path for path in slides if path.suffix.lower() == ".dcm"]
    first: dict[tuple[Path, str], Path] = {}
    left_out: dict[Path, str] = {}
    for path in dicoms if len(dicoms) > 1 else ():
        series = dicom_series(path)
        if series is None:
            continue
        other = first.setdefault((path.resolve().parent, series), path)
        if other != path:
            left_out[path] = f"it is of the same slide as {other.name}, which is read with it"
    return [path for path in slides if path not in left_out], left_out


def _volumes(named: Sequence[Path]) -> Inputs:
    masks = {
        path: "its name says that it is a mask; name the file itself to run it"
        for folder in named
        if folder.is_dir()
        for path in volume_files([folder])
        if is_mask_name(path)
    }
    paths = [path for path in volume_files(named) if path in named or path not in masks]
    if not paths:
        found = f"; {len(masks)} are left out as masks" if masks else ""
        raise DataError(
            f"No volume in {', '.join(map(str, named))}{found}; expected .nii.gz or "
            "another format of scans; check the path."
        )
    return Inputs(
        kind="volumes",
        paths=tuple(paths),
        left_out=masks | _left_out(named, "volumes"),
        named=tuple(named),
    )


def _left_out(named: Sequence[Path], kind: Kind) -> dict[Path, str]:
    """Files of another kind that lie in folders which were named."""
    reasons: dict[Path, str] = {}
    for folder in named:
        if not folder.is_dir() or (kind == "volumes" and is_dicom_folder(folder)):
            continue
        for path in sorted(folder.iterdir(), key=natural_key):
            if kind == "photos" and is_unread_picture(path):
                reasons[path] = why_unread(path)
            if kind != "volumes" and path not in named and _holds_pictures(path):
                reasons[path] = "it is a folder inside; name it, or give --recursive"
            is_picture = path.suffix.lower() in IMAGE_SUFFIXES | SLIDE_SUFFIXES
            if kind == "volumes" and is_picture and path.is_file():
                reasons[path] = "it is a picture, and the network takes volumes"
            if kind != "volumes" and is_volume_name(path):
                reasons[path] = "it is a volume, and the network takes photos and slides"
    return reasons


def _holds_pictures(path: Path) -> bool:
    is_meant = path.is_dir() and not path.name.startswith(".") and path.name != _ARCHIVE
    return is_meant and any(images_in(path, suffixes=_PICTURES))


def _is_volume(path: Path) -> bool:
    """Whether a path is called as volumes are, or is a scan in DICOM but no slide."""
    is_slide_name = path.suffix.lower() in SLIDE_SUFFIXES
    return is_volume_name(path) or (not is_slide_name and is_dicom(path))


def _holds_volumes_only(path: Path) -> bool:
    """Whether a folder has volumes in it, and no picture."""
    if not path.is_dir() or not volume_files([path]):
        return False
    suffixes = IMAGE_SUFFIXES | SLIDE_SUFFIXES
    return not any(entry.suffix.lower() in suffixes for entry in path.iterdir())


def is_slide_file(path: Path) -> bool:
    """Whether a file is a whole slide, by its suffix or by what it holds."""
    if path.suffix.lower() in SLIDE_SUFFIXES:
        return True
    try:
        return is_slide(path)
    except MissingExtraError:  # it has nothing of a slide but what openslide alone would know
        return False
