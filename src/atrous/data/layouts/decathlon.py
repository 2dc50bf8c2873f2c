"""The Medical Segmentation Decathlon: `dataset.json`, `imagesTr`, `labelsTr`.

Source: Antonelli et al., "The Medical Segmentation Decathlon", Nature Communications 2022.
"""

from pathlib import Path

from torch import Tensor

from atrous.data.layouts.dataset_json import (
    FILE_NAME,
    dataset_facts,
    read_dataset_json,
)
from atrous.data.layouts.volume_cases import Case, VolumeCases
from atrous.data.volumes.names import volume_stem
from atrous.errors import DataError, UnknownNameError
from atrous.types import UNLABELLED


class Decathlon(VolumeCases):
    """The labelled part of a task, as its `dataset.json` lists it: 3D scans, or 4D of channels.

    Args:
        root: The task's folder, such as `Task01_BrainTumour`.
        split: `train`, the only labelled part, which None means too.

    Raises:
        UnknownNameError: If another split is asked for.
        DataError: If `dataset.json` is missing or broken, or lists a file that is not there.
    """

    def __init__(self, root: str | Path, *, split: str | None = None) -> None:
        root = Path(root)
        if split not in (None, "train"):
            raise UnknownNameError("labelled split", split, ["train"])
        record = read_dataset_json(root)
        facts = dataset_facts(record, path=root / FILE_NAME)
        listed = record.get("training")
        if not isinstance(listed, list) or not listed:
            raise DataError(
                f"{root / FILE_NAME}: lists no 'training' cases; expected some; for nnU-Net's "
                "folders name the layout nnunet."
            )
        super().__init__(
            [_case(root, entry) for entry in listed],
            num_classes=facts.num_classes,
            class_names=facts.class_names,
            channel_names=facts.channel_names,
            regions=facts.regions,
        )
        self._ignored = facts.ignored

    def _to_classes(self, labels: Tensor, _path: Path) -> Tensor:
        return labels if self._ignored is None else unlabel(labels, self._ignored)


def unlabel(labels: Tensor, ignored: int) -> Tensor:
    """Labels with 255 where they hold the number that means unlabelled."""
    return labels.masked_fill(labels == ignored, UNLABELLED)


def _case(root: Path, entry: object) -> Case:
    if not isinstance(entry, dict) or not {"image", "label"} <= entry.keys():
        raise DataError(
            f"{root / FILE_NAME}: a training case is {entry!r}; expected 'image' and 'label'; "
            "mend it."
        )
    image, labels = root / str(entry["image"]), root / str(entry["label"])
    for path in (image, labels):
        if not path.is_file():
            raise DataError(
                f"{path} is not there, but {FILE_NAME} lists it; expected every file that is "
                "listed; copy it, or take the case out."
            )
    return Case(name=volume_stem(image), images=(image,), labels=labels)
