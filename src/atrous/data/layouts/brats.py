"""Brain tumours as the BraTS challenge has kept them since 2015: a folder a patient.

Source: Menze et al., "The Multimodal Brain Tumor Image Segmentation Benchmark", TMI 2015; Bakas et
al., 2017, for the regions.
"""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from atrous.data.dataset import MaskValueError
from atrous.data.layouts.brats_keys import BRATS_CHANNELS, BraTSKey, brats_key
from atrous.data.layouts.volume_cases import Case, VolumeCases
from atrous.data.listing import natural_key
from atrous.data.volumes.modalities import (
    CHANNEL_WORDS,
    LABELS,
    behind_patient,
    read_name,
)
from atrous.data.volumes.names import volume_stem, volumes_in
from atrous.errors import DataError, UnknownNameError
from atrous.types import UNLABELLED


class BraTS(VolumeCases):
    """Folders of patients with their modalities, of any year's file names.

    A file's modality is said by its name, beyond the folder's own: `_flair`, `_t1`, `_t1ce`,
    `_t2`, `_seg` (2017 to 2021), `-t2f`, `-t1n`, `-t1c`, `-t2w`, `-seg` (2023 on), or `Flair…`,
    `T1c…`, `OTMultiClass` (2015, as DeepMedic has it). Other files, such as brain masks, are left.
    The channels are the modalities that occur at all, and every patient must have them.

    What a label means differs between the challenges, and is one thing for the whole data set: by
    the names of its patients (`BraTS-PED-…`), by the key that is given, or, where neither says so,
    by the labels that occur anywhere in it.

    Args:
        root: Folder of patients' folders, or one patient's own, or of splits of such.
        split: Name of a folder in `root` that holds the patients.
        key: A name in `BRATS_KEYS`; None to find it out.

    Raises:
        UnknownNameError: If `root` has no such split, or there is no such key.
        DataError: If no patient is found, one lacks a modality or its labels, or the meaning of the
            labels is not known.
    """

    def __init__(
        self, root: str | Path, *, split: str | None = None, key: str | None = None
    ) -> None:
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
        cases = [_case(patient, files, channels) for patient, files in found.items()]
        self.key: BraTSKey = brats_key(folder, [case.labels for case in cases], name=key)
        super().__init__(
            cases,
            num_classes=len(self.key.class_names),
            class_names=self.key.class_names,
            channel_names=channels,
            regions=self.key.regions,
        )

    def _to_classes(self, labels: Tensor, path: Path) -> Tensor:
        table = torch.full((UNLABELLED + 2,), -1)
        table[UNLABELLED] = UNLABELLED
        for label, index in self.key.classes.items():
            table[label] = index
        classes = table[labels.clamp(max=UNLABELLED + 1)]
        if (classes < 0).any():
            others = labels[classes < 0].unique().tolist()
            raise MaskValueError(
                f"{path}: holds the label {others[0]}; expected {self.key.in_words}; name the "
                "data's own challenge as the layout, such as brats_2015 or brats_ped, or correct "
                "the labels.",
                values=tuple(others),
            )
        return classes


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
        stem = volume_stem(path)
        said = read_name(stem[behind_patient(stem, patient.resolve().name) :]).kinds
        if not {*CHANNEL_WORDS, LABELS} & set(said):
            continue
        if len(said) > 1:
            raise DataError(
                f"{path}: its name says {' and '.join(said)}; expected one modality a file; rename "
                "it."
            )
        (what,) = said
        other = found.setdefault(what, path)
        if other is not path:
            raise DataError(
                f"{patient}: {other.name!r} and {path.name!r} are both {what}; expected one file "
                "each; remove one."
            )
    return found


def _case(patient: Path, files: Mapping[str, Path], channels: tuple[str, ...]) -> Case:
    missing = [what for what in (*channels, LABELS) if what not in files]
    if missing or not channels:
        known = {path.name for path in files.values()}
        unknown = [path.name for path in volumes_in(patient) if path.name not in known]
        also = f", and files of unknown modality ({', '.join(unknown[:4])})" if unknown else ""
        raise DataError(
            f"{patient}: has no {' and no '.join(missing or BRATS_CHANNELS)}{also}; expected "
            f"{', '.join((*channels, LABELS))}, as other patients have; add the file under a name "
            f"that holds one of {', '.join((*CHANNEL_WORDS, 'seg'))}, or remove the patient."
        )
    return Case(
        name=patient.resolve().name,
        images=tuple(files[what] for what in channels),
        labels=files[LABELS],
    )
