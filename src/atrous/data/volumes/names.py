"""Stems of volumes, and which files of a folder are volumes."""

from pathlib import Path
from typing import Final

from atrous.data.listing import natural_key
from atrous.data.volumes.nifti_header import NIFTI_SUFFIXES
from atrous.data.volumes.other_formats import OTHER_SUFFIXES, is_dicom_folder
from atrous.errors import DataError

_SUFFIXES: Final = (*OTHER_SUFFIXES, *NIFTI_SUFFIXES)


def is_volume_name(path: Path) -> bool:
    """Whether a file is called as volumes are: NIfTI or another format that is read."""
    return path.name.lower().endswith(_SUFFIXES)


def volume_stem(path: Path) -> str:
    """A volume's name without `.nii.gz` or what else volumes end in.

    Example:
        >>> volume_stem(Path("scans/case.v2.nii.gz"))
        'case.v2'
    """
    lower = path.name.lower()
    suffix = next((end for end in reversed(_SUFFIXES) if lower.endswith(end)), "")
    return path.name[: len(path.name) - len(suffix)]


def volumes_in(folder: Path) -> list[Path]:
    """Volumes directly in `folder`, in natural order, hidden ones left out; maybe none.

    Folders of DICOM slices count as volumes.

    Raises:
        DataError: If `folder` cannot be listed.
    """
    try:
        entries = [path for path in folder.iterdir() if not path.name.startswith(".")]
    except OSError as error:
        raise DataError(
            f"{folder}: {error.strerror}; expected a folder of volumes; check the path."
        ) from error
    return sorted((e for e in entries if is_volume_name(e) or is_dicom_folder(e)), key=natural_key)
