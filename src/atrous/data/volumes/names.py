"""Stems of volumes, and which files of a folder are volumes."""

from pathlib import Path

from atrous.data.listing import natural_key
from atrous.data.volumes.nifti_header import NIFTI_SUFFIXES, is_nifti_name
from atrous.errors import DataError


def volume_stem(path: Path) -> str:
    """A volume's name without `.nii` or `.nii.gz`.

    Example:
        >>> volume_stem(Path("scans/case.v2.nii.gz"))
        'case.v2'
    """
    lower = path.name.lower()
    suffix = next((end for end in reversed(NIFTI_SUFFIXES) if lower.endswith(end)), "")
    return path.name[: len(path.name) - len(suffix)]


def volumes_in(folder: Path) -> list[Path]:
    """NIfTI files directly in `folder`, in natural order, hidden ones left out; maybe none.

    Raises:
        DataError: If `folder` cannot be listed.
    """
    try:
        entries = [path for path in folder.iterdir() if not path.name.startswith(".")]
    except OSError as error:
        raise DataError(
            f"{folder}: {error.strerror}; expected a folder of volumes; check the path."
        ) from error
    return sorted((path for path in entries if is_nifti_name(path)), key=natural_key)
