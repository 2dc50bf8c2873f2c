"""From files and folders that a user names to scans, each with a file a channel."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from atrous.data.volumes.geometry import Volume
from atrous.data.volumes.names import modality, volume_stem, volumes_in
from atrous.data.volumes.nifti_header import read_header
from atrous.data.volumes.read import is_volume, read_volume
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
    """The volumes among files and folders; of a folder those in it, or in the folders in it."""
    found: list[Path] = []
    for path in map(Path, paths):
        if path.is_dir():
            inside = volumes_in(path)
            for folder in sorted(entry for entry in path.iterdir() if entry.is_dir()):
                inside += [] if inside and folder.name.startswith(".") else volumes_in(folder)
            found += inside
        elif is_volume(path):
            found.append(path)
    return list(dict.fromkeys(found))


_MASK_WORDS: Final = frozenset(
    {
        *("dseg", "gt", "label", "labelmap", "labels", "mask"),
        *("pred", "prediction", "seg", "segmentation", "truth"),
    }
)
"""What names of masks end in."""


def is_mask_name(path: Path) -> bool:
    """Whether a volume's name ends in a word for masks, as `scan_seg.nii.gz` does.

    Example:
        >>> [is_mask_name(Path(name)) for name in ("a_seg.nii.gz", "mask.nii", "a_0000.nii.gz")]
        [True, True, False]
    """
    words = re.findall(r"[A-Za-z0-9]+", volume_stem(path).lower())
    return bool(words) and words[-1] in _MASK_WORDS


def list_scans(
    files: Sequence[Path], channel_names: Sequence[str], *, allow_missing: bool = False
) -> list[Scan]:
    """Scans for a network of those channels.

    A file that holds all channels is a scan. Of others a word of the name says the channel: the
    channel's own name, what BraTS calls it (`t2f` is `flair`), or nnU-Net's `_0000`; files of one
    folder that are alike but for that word are one scan. Files of no channel, such as
    segmentations and masks beside them, are left.

    Args:
        files: Volumes.
        channel_names: Of the network, in order.
        allow_missing: Whether a scan may lack some channels, which are zero then.

    Raises:
        DataError: If there is no scan, a file cannot be read, or a scan lacks a channel.
    """
    groups: dict[tuple[Path, str], dict[int, Path]] = {}
    scans: list[Scan] = []
    for path in files:
        if read_header(path).num_channels == len(channel_names):
            scans.append(Scan(name=volume_stem(path), files=(path,)))
            continue
        found = _channel(path, channel_names)
        if found is None:
            continue
        index, rest = found
        group = groups.setdefault((path.parent, rest), {})
        if index in group:
            raise DataError(
                f"{group[index].name} and {path.name} in {path.parent} are both "
                f"{channel_names[index]}; expected one file a channel; name one."
            )
        group[index] = path
    for (folder, rest), group in groups.items():
        missing = [name for index, name in enumerate(channel_names) if index not in group]
        name = rest or folder.resolve().name
        if missing and not allow_missing:
            raise DataError(
                f"Scan {name!r} in {folder} has no {', '.join(missing)}; expected files of "
                f"{', '.join(channel_names)}; add them, or let them be zero by --allow-missing."
            )
        files_of = tuple(group.get(index) for index in range(len(channel_names)))
        scans.append(Scan(name=name, files=files_of))
    if not scans:
        raise DataError(
            f"None of the {len(files)} volumes is a scan of {', '.join(channel_names)}; expected "
            "one file of all channels, or files with the channel as a word of their name; rename "
            "them."
        )
    return scans


def read_scan(scan: Scan) -> Volume:
    """All channels of a scan, those that are missing zero.

    Raises:
        DataError: As `read_volume`.
    """
    present = [file for file in scan.files if file is not None]
    volume = read_volume(present)
    if len(present) == len(scan.files):
        return volume
    array = np.zeros((len(scan.files), *volume.array.shape[1:]), np.float32)
    array[[file is not None for file in scan.files]] = volume.array
    return Volume(array=array, spacing=volume.spacing, geometry=volume.geometry)


def _channel(path: Path, channel_names: Sequence[str]) -> tuple[int, str] | None:
    """Which channel a file is, and what else its name says."""
    stem = volume_stem(path)
    by_number = re.fullmatch(r"(.+)_(\d{4})", stem)
    if by_number and int(by_number[2]) < len(channel_names):
        return int(by_number[2]), by_number[1]
    folder = path.parent.resolve().name
    in_brats = modality(path, patient=folder)
    for index, name in enumerate(channel_names):
        for word in re.findall(r"[A-Za-z0-9]+", stem.removeprefix(folder)):
            is_brats = modality(Path(word), patient="") == in_brats == name
            if word.lower() == name.lower() or is_brats:
                at = stem.rindex(word)
                return index, re.sub(r"^[^A-Za-z0-9]+|[^A-Za-z0-9]+$", "", stem[:at])
    return None
