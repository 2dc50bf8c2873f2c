"""Brain tumours as the BraTS challenge has kept them since 2015: a folder a patient.

Source: Menze et al., "The Multimodal Brain Tumor Image Segmentation Benchmark", TMI 2015; Bakas et
al., 2017, for the regions.
"""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from torch import Tensor

from atrous.data.layouts.volume_cases import Case, VolumeCases
from atrous.data.listing import natural_key
from atrous.data.volumes.names import BY_WORD, modality, volumes_in
from atrous.errors import DataError, UnknownNameError

BRATS_CHANNELS: Final = ("flair", "t1", "t1ce", "t2")
"""In the order of 3D-ESPNet; data that lacks some has the others in this order."""

BRATS_CLASSES: Final = ("background", "necrosis", "oedema", "enhancing tumour")

BRATS_REGIONS: Final[Mapping[str, tuple[int, ...]]] = MappingProxyType(
    {"WT": (1, 2, 3), "TC": (1, 3), "ET": (3,)}
)
"""Whole tumour, tumour core, enhancing tumour, of our classes."""

_LABELS: Final = "labels"


_FIVE_LABELS: Final = "otmulticlass"
_NOT_ENHANCING, _ENHANCING = 3, 4


class BraTS(VolumeCases):
    """Folders of patients with their modalities, of any year's file names.

    A file's modality is a word of its name, beyond the folder's own: `_flair`, `_t1`, `_t1ce`,
    `_t2`, `_seg` (2017 to 2021), `-t2f`, `-t1n`, `-t1c`, `-t2w`, `-seg` (2023 on), or `Flair…`,
    `T1c…`, `OTMultiClass` (2015, as DeepMedic has it). Other files, such as brain masks, are left.
    The channels are the modalities that occur at all, and every patient must have them.

    The classes are `BRATS_CLASSES`. Where a file holds label 4, that is the enhancing tumour, and 3
    what was its not enhancing part until 2015, which joins class 1, as the challenge did in 2017.
    Where it holds no 4, label 3 is the enhancing tumour, as since 2023.

    Args:
        root: Folder of patients' folders, or one patient's own, or of splits of such.
        split: Name of a folder in `root` that holds the patients.

    Raises:
        UnknownNameError: If `root` has no such split.
        DataError: If no patient is found, or one lacks a modality or its labels.
    """

    def __init__(self, root: str | Path, *, split: str | None = None) -> None:
        folder = Path(root) if split is None else Path(root) / split
        if split is not None and not folder.is_dir():
            splits = [path.name for path in Path(root).glob("*") if path.is_dir()]
            raise UnknownNameError("split", split, splits)
        found = {patient: _modalities(patient) for patient in _patients(folder)}
        if not found:
            raise DataError(
                f"{folder}: no folder of a patient with NIfTI files; expected one for each, such "
                "as BraTS-GLI-00001-000/; check the path, or name a split."
            )
        present = {what for files in found.values() for what in files}
        channels = tuple(name for name in BRATS_CHANNELS if name in present)
        super().__init__(
            [_case(patient, files, channels) for patient, files in found.items()],
            num_classes=len(BRATS_CLASSES),
            class_names=BRATS_CLASSES,
            channel_names=channels,
            regions=BRATS_REGIONS,
        )

    def _to_classes(self, labels: Tensor, path: Path) -> Tensor:
        has_five = _FIVE_LABELS in path.name.lower()
        if not has_five and int(labels.max()) < _ENHANCING:
            return labels
        classes = labels.masked_fill(labels == _NOT_ENHANCING, 1)
        return classes.masked_fill_(labels == _ENHANCING, 3)


def _patients(folder: Path) -> list[Path]:
    """The folders with volumes: those in `folder`, or itself."""
    if not folder.is_dir():
        raise DataError(f"{folder} is no folder; expected one of patients; check the path.")
    if volumes_in(folder):
        return [folder]
    inside = [path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")]
    return sorted((path for path in inside if volumes_in(path)), key=natural_key)


def _modalities(patient: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in volumes_in(patient):
        what = modality(path, patient=patient.resolve().name)
        if what is None:
            continue
        other = found.setdefault(what, path)
        if other is not path:
            raise DataError(
                f"{patient}: {other.name!r} and {path.name!r} are both {what}; expected one file "
                "each; remove one."
            )
    return found


def _case(patient: Path, files: Mapping[str, Path], channels: tuple[str, ...]) -> Case:
    missing = [what for what in (*channels, _LABELS) if what not in files]
    if missing or not channels:
        known = {path.name for path in files.values()}
        unknown = [path.name for path in volumes_in(patient) if path.name not in known]
        also = f", and files of unknown modality ({', '.join(unknown[:4])})" if unknown else ""
        raise DataError(
            f"{patient}: has no {' and no '.join(missing or BRATS_CHANNELS)}{also}; expected "
            f"{', '.join((*channels, _LABELS))}, as other patients have; add the file under a name "
            f"that holds one of {', '.join(BY_WORD)}, or remove the patient."
        )
    return Case(
        name=patient.resolve().name,
        images=tuple(files[what] for what in channels),
        labels=files[_LABELS],
    )
