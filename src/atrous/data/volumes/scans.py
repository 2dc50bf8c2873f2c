"""From files and folders that a user names to scans, each with a file a channel."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from atrous.data.volumes.geometry import Volume
from atrous.data.volumes.modalities import (
    CHANNEL_WORDS,
    LABELS,
    MASK,
    NameReading,
    behind_patient,
    canonical_channel,
    read_name,
)
from atrous.data.volumes.names import volume_stem, volumes_in
from atrous.data.volumes.nifti_header import read_header
from atrous.data.volumes.other_formats import is_dicom_folder
from atrous.data.volumes.read import DEFAULT_MAX_BYTES, is_volume, read_volume
from atrous.errors import DataError


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """One scan: a file of all channels, or a file a channel."""

    name: str
    files: tuple[Path | None, ...]
    """One of all channels, or one for each; None where it is missing and may be."""

    @property
    def path(self) -> Path:
        """The first file there is."""
        return next(file for file in self.files if file is not None)


def volume_files(paths: Sequence[str | Path]) -> list[Path]:
    """The volumes among files and folders; of a folder those in it, or in the folders in it.

    Of the root of a BIDS data set all in `anat` folders of its subjects and their sessions.
    """
    found: list[Path] = []
    for path in map(Path, paths):
        if is_dicom_folder(path):
            found.append(path)
        elif path.is_dir():
            inside = volumes_in(path)
            for anat in sorted(path.glob("sub-*/**/anat")):
                inside += volumes_in(anat)
            for folder in sorted(entry for entry in path.iterdir() if entry.is_dir()):
                inside += [] if inside and folder.name.startswith(".") else volumes_in(folder)
            found += inside
        elif is_volume(path):
            found.append(path)
    return list(dict.fromkeys(found))


_NOBODY: Final = frozenset(
    {
        *("brain", "ct", "image", "img", "mr", "mri", "pat", "patient", "patients", "scan"),
        *("sub", "subject", "vol", "volume"),
    }
)
"""Names that do not say who a numbered file is of."""


def is_mask_name(path: Path) -> bool:
    """Whether a volume's name says that it is a mask or labels, as `scan_seg.nii.gz` does.

    Example:
        >>> [is_mask_name(Path(name)) for name in ("a_seg.nii.gz", "mask.nii", "a_0000.nii.gz")]
        [True, True, False]
    """
    return bool({LABELS, MASK} & set(read_name(volume_stem(path)).kinds))


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanList:
    """What became of files.

    Attributes:
        scans: Those that can be read, by their headers.
        left_out: Why a file is no part of any, by its path.
        errors: What is wrong with a file or a scan, by the path of its first file.
    """

    scans: tuple[Scan, ...]
    left_out: Mapping[Path, str]
    errors: Mapping[Path, DataError]


def list_scans(
    files: Sequence[Path],
    channel_names: Sequence[str],
    *,
    named: Collection[Path] = (),
    allow_missing: bool = False,
) -> ScanList:
    """Scans for a network of those channels.

    A file that holds all channels is a scan. Of others the name says the channel, as
    `atrous.data.volumes.modalities` reads it, as the channel's own name, or as nnU-Net's `_0000`;
    files of one folder that are alike but for that are one scan. Files of another modality, and
    segmentations and masks beside the scans, are left out.

    Args:
        files: Volumes.
        channel_names: Of the network, in order.
        named: Those of `files` that were named one by one, and are scans whatever their names say.
        allow_missing: Whether a scan may lack some channels, which are zero then.

    Raises:
        DataError: If there is no scan.
    """
    finder = _Finder(channel_names)
    for path in files:
        try:
            finder.add(path, is_named=path in named)
        except DataError as error:
            finder.fail(path, error)
    finder.close(allow_missing=allow_missing)
    if finder.scans:
        return ScanList(scans=tuple(finder.scans), left_out=finder.left_out, errors=finder.errors)
    if finder.errors:
        raise next(iter(finder.errors.values()))
    if len(files) == 1 and finder.left_out:
        raise DataError(
            f"{files[0]}: {finder.left_out[files[0]]}; expected a scan of "
            f"{', '.join(channel_names)}; give another file."
        )
    raise DataError(
        f"None of the {len(files)} volumes is a scan of {', '.join(channel_names)}; expected "
        "one file of all channels, or files with the channel as a word of their name; rename "
        "them."
    )


class _Finder:
    """Sorts files into scans, one by one."""

    def __init__(self, channel_names: Sequence[str]) -> None:
        self.names = channel_names
        self.canonical = [canonical_channel(name) for name in channel_names]
        self.scans: list[Scan] = []
        self.left_out: dict[Path, str] = {}
        self.errors: dict[Path, DataError] = {}
        self.groups: dict[tuple[Path, str], dict[int, Path]] = {}
        self.is_numbered: set[tuple[Path, str]] = set()
        self.broken: set[tuple[Path, str]] = set()
        self.named: dict[Path, list[Path]] = {}
        self.nameless: dict[Path, list[Path]] = {}

    def add(self, path: Path, *, is_named: bool) -> None:
        num_channels = read_header(path).num_channels
        stem = volume_stem(path)
        start = behind_patient(stem, path.parent.resolve().name)
        said = read_name(stem[start:])
        if num_channels == len(self.names):
            if num_channels == 1 and not is_named and self._is_another(said):
                self.left_out[path] = (
                    f"its name says {said.kinds[0]}, and the network takes {self.names[0]}; name "
                    "the file itself to run it"
                )
                return
            self.scans.append(Scan(name=stem, files=(path,)))
            if num_channels == 1 and not is_named and self.canonical[0] in CHANNEL_WORDS:
                names = self.named if said.kinds else self.nameless
                names.setdefault(path.parent, []).append(path)
            return
        number = re.fullmatch(r"(.+)_(\d{4})", stem)
        index = int(number[2]) if number else self._index(path, stem[start:], said)
        if index is None:
            self.left_out[path] = f"its name says none of {', '.join(self.names)}"
            if num_channels != 1:
                self.left_out[path] = f"it has {num_channels} channels, not {len(self.names)}"
            return
        rest = number[1] if number else _ends_stripped(stem[: start + said.start])
        if number is None and not said.kinds:
            rest = _ends_stripped(stem[: start + _at_word(stem[start:], self.names[index])])
        group = self.groups.setdefault((path.parent, rest), {})
        try:
            self._check_channel(path, index, num_channels)
        except DataError:
            self.broken.add((path.parent, rest))
            raise
        if index in group:
            self.broken.add((path.parent, rest))
            raise DataError(
                f"{group[index].name} and {path.name} in {path.parent} are both "
                f"{self.names[index]}; expected one file a channel; name one."
            )
        group[index] = path
        if number:
            self.is_numbered.add((path.parent, rest))

    def fail(self, path: Path, error: DataError) -> None:
        """Remember what is wrong with a file; the scan that it is of by its name is not run."""
        self.errors[path] = error
        stem = volume_stem(path)
        start = behind_patient(stem, path.parent.resolve().name)
        number = re.fullmatch(r"(.+)_\d{4}", stem)
        rest = number[1] if number else stem[: start + read_name(stem[start:]).start]
        self.broken.add((path.parent, _ends_stripped(rest)))

    def close(self, *, allow_missing: bool) -> None:
        """Make scans of the files that are one channel each."""
        for path in [path for folder in self.named for path in self.nameless.get(folder, ())]:
            self.left_out[path] = (
                f"its name does not say {self.names[0]}, and those of others beside it do; name "
                "the file itself to run it"
            )
        self.scans = [scan for scan in self.scans if scan.path not in self.left_out]
        for (folder, rest), group in self.groups.items():
            if (folder, rest) in self.broken:
                continue  # its file is among the errors; without it, it would be another scan
            first = group[min(group)]
            name = rest or folder.resolve().name
            missing = [name for index, name in enumerate(self.names) if index not in group]
            if (folder, rest) in self.is_numbered and rest.lower() in _NOBODY:
                self.errors[first] = DataError(
                    f"{first.name} and others in {folder} may be the channels of one scan or the "
                    f"scans of {len(group)} patients; expected PATIENT_0000 with who it is, or the "
                    "channel as a word of the name; rename them."
                )
            elif missing and not allow_missing:
                self.errors[first] = DataError(
                    f"Scan {name!r} in {folder} has no {', '.join(missing)}; expected files of "
                    f"{', '.join(self.names)}; add them, or let them be zero by --allow-missing."
                )
            else:
                files = tuple(group.get(index) for index in range(len(self.names)))
                self.scans.append(Scan(name=name, files=files))

    def _is_another(self, said: NameReading) -> bool:
        """Whether a name says another modality than the network's only one."""
        wanted = self.canonical[0]
        return wanted in CHANNEL_WORDS and bool(said.kinds) and wanted not in said.kinds

    def _index(self, path: Path, stem: str, said: NameReading) -> int | None:
        """Which channel a name says.

        Raises:
            DataError: If it says several of the network's.
        """
        if {LABELS, MASK} & set(said.kinds):
            return None
        found = [i for i, channel in enumerate(self.canonical) if channel in said.kinds]
        if len(said.kinds) > 1 and found:
            raise DataError(
                f"{path}: its name says {' and '.join(said.kinds)}; expected one modality a file; "
                "rename it."
            )
        if found:
            return found[0]
        words = [word.lower() for word in re.findall(r"[A-Za-z0-9]+", stem)]
        return next((i for i, name in enumerate(self.names) if name.lower() in words), None)

    def _check_channel(self, path: Path, index: int, num_channels: int) -> None:
        if index >= len(self.names):
            raise DataError(
                f"{path}: its name says channel {index}, and the network has {len(self.names)} "
                f"(0000 is {self.names[0]}); expected fewer; name the scan's own files."
            )
        if num_channels != 1:
            raise DataError(
                f"{path}: {num_channels} channels, and its name says that it is "
                f"{self.names[index]}; expected one channel, or all {len(self.names)}; split it."
            )


def _at_word(stem: str, word: str) -> int:
    """Where a whole word stands in a name, the last if there are several."""
    pattern = rf"(?<![a-z0-9]){re.escape(word.lower())}(?![a-z0-9])"
    return max(match.start() for match in re.finditer(pattern, stem.lower()))


def _ends_stripped(text: str) -> str:
    return re.sub(r"^[^A-Za-z0-9]+|[^A-Za-z0-9]+$", "", text)


def read_scan(scan: Scan, *, max_bytes: int = DEFAULT_MAX_BYTES) -> Volume:
    """All channels of a scan, those that are missing zero.

    Raises:
        DataError: As `read_volume`.
    """
    present = [file for file in scan.files if file is not None]
    volume = read_volume(present, max_bytes=max_bytes)
    if len(present) == len(scan.files):
        return volume
    array = np.zeros((len(scan.files), *volume.array.shape[1:]), np.float32)
    array[[file is not None for file in scan.files]] = volume.array
    return Volume(array=array, spacing=volume.spacing, geometry=volume.geometry)
