"""What the names of volumes say: stem, modality, and which files of a folder are volumes."""

import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from atrous.data.listing import natural_key
from atrous.data.volumes.nifti_header import NIFTI_SUFFIXES, is_nifti_name
from atrous.errors import DataError

LABELS: Final = "labels"
"""What `modality` answers for a file of labels."""

BY_WORD: Final[Mapping[str, str]] = MappingProxyType(
    {
        "flair": "flair",
        "t2f": "flair",
        "t1": "t1",
        "t1n": "t1",
        "t1ce": "t1ce",
        "t1c": "t1ce",
        "t1gd": "t1ce",
        "t2": "t2",
        "t2w": "t2",
        "seg": LABELS,
        "segm": LABELS,
        "otmulticlass": LABELS,
    }
)
"""What a word of a file's name says; BraTS 2020 has one `Segm`."""


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


def modality(path: Path, *, patient: str) -> str | None:
    """Which channel a file is by its name, `labels` for those, or None.

    Example:
        >>> modality(Path("BraTS19_2013_0_1_t1ce.nii.gz"), patient="BraTS19_2013_0_1")
        't1ce'
        >>> modality(Path("brainmask.nii.gz"), patient="pat1") is None
        True
    """
    words = re.split(r"[^a-z0-9]+", volume_stem(path).removeprefix(patient).lower())
    return next((BY_WORD[word] for word in words if word in BY_WORD), None)
