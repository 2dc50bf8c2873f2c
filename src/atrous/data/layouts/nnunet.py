"""nnU-Net's raw data: `dataset.json`, `imagesTr/CASE_0000.nii.gz`, `labelsTr/CASE.nii.gz`.

Source: Isensee et al., "nnU-Net", Nature Methods 2021; the format of its version 2.
"""

import re
from pathlib import Path
from typing import Final

from torch import Tensor

from atrous.data.layouts.dataset_json import (
    FILE_NAME,
    DatasetFacts,
    dataset_facts,
    read_dataset_json,
)
from atrous.data.layouts.decathlon import unlabel
from atrous.data.layouts.volume_cases import Case, VolumeCases, by_stem
from atrous.data.volumes.names import volumes_in
from atrous.errors import DataError, UnknownNameError

_FOLDERS: Final = {"train": ("imagesTr", "labelsTr"), "test": ("imagesTs", "labelsTs")}
_CHANNEL: Final = re.compile(r"(?P<case>.+)_(?P<channel>\d{4})\.nii(\.gz)?", re.IGNORECASE)


class NnUNet(VolumeCases):
    """Scans as a file a channel, classes or regions and the label to ignore by `dataset.json`.

    Args:
        root: The data set's folder, such as `Dataset001_BrainTumour`.
        split: `train` or `test`, if its labels are there; None means `train`.

    Raises:
        UnknownNameError: If there is no such split.
        DataError: If `dataset.json` is missing or broken, or a case lacks a channel or its labels.
    """

    def __init__(self, root: str | Path, *, split: str | None = None) -> None:
        root = Path(root)
        if split is not None and split not in _FOLDERS:
            raise UnknownNameError("split", split, _FOLDERS)
        images, labels = (root / folder for folder in _FOLDERS[split or "train"])
        facts = dataset_facts(read_dataset_json(root), path=root / FILE_NAME)
        super().__init__(
            _cases(images, labels, facts),
            num_classes=facts.num_classes,
            class_names=facts.class_names,
            channel_names=facts.channel_names,
            regions=facts.regions,
        )
        self._ignored = facts.ignored

    def _to_classes(self, labels: Tensor, _path: Path) -> Tensor:
        return labels if self._ignored is None else unlabel(labels, self._ignored)


def _cases(images: Path, labels: Path, facts: DatasetFacts) -> list[Case]:
    channels: dict[str, dict[int, Path]] = {}
    for path in volumes_in(images):
        match = _CHANNEL.fullmatch(path.name)
        if match is None:
            raise DataError(
                f"{path}: no channel in its name; expected CASE_0000.nii.gz, with the channel in "
                "four digits; rename it."
            )
        channels.setdefault(match["case"], {})[int(match["channel"])] = path
    if not channels:
        raise DataError(
            f"{images}: no .nii or .nii.gz in this folder; expected CASE_0000.nii.gz; check the "
            "path."
        )
    label_of = by_stem(labels)
    return [_case(name, found, label_of, labels, facts) for name, found in channels.items()]


def _case(
    name: str, found: dict[int, Path], label_of: dict[str, Path], labels: Path, facts: DatasetFacts
) -> Case:
    wanted = range(len(facts.channel_names))
    missing = [f"{n:04d} ({facts.channel_names[n]})" for n in wanted if n not in found]
    if missing or len(found) > len(wanted):
        raise DataError(
            f"Case {name!r} has {len(found)} channels"
            + (f" and lacks {', '.join(missing)}" if missing else "")
            + f"; expected {len(wanted)} by {FILE_NAME}; complete it, or remove the case."
        )
    if name not in label_of:
        raise DataError(
            f"{labels}: no labels of case {name!r}; expected {name}.nii.gz; add them, or remove "
            "the case."
        )
    return Case(name=name, images=tuple(found[n] for n in wanted), labels=label_of[name])
