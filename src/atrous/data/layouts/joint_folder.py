"""Images with a mask and a label each: `images/`, `masks/` and `labels.csv`."""

import csv
from dataclasses import replace
from pathlib import Path
from typing import Final

from atrous.data.dataset import Sample
from atrous.data.layouts.image_folder import LABEL_NAMES_FILE
from atrous.data.layouts.mask_folder import MaskFolder, split_folder
from atrous.data.layouts.name_list import listed_names
from atrous.errors import DataError

LABELS_FILE: Final = "labels.csv"
_HEADER: Final = ("name", "label")
_TRAIN: Final = "train"


class JointFolder(MaskFolder):
    """As `MaskFolder`, and a file `labels.csv` beside `images/` that gives every image a label.

    Its header is `name,label`; a name is the stem of an image, a label the name of one. The label
    names are the lines of `root/label_names.txt` if there is one; else the labels that occur in
    the split `train` if there is one, sorted; else those of the split itself.

    Attributes:
        label_names: By index.
        labels: One per sample.

    Raises:
        UnknownNameError: If `root` has no such split.
        DataError: As `MaskFolder`; and if `labels.csv` is missing or cannot be read, lists a name
            twice, leaves an image out, or holds a label that is not among the names.
    """

    def __init__(
        self, root: str | Path, *, num_classes: int | None = None, split: str | None = None
    ) -> None:
        root = Path(root)
        super().__init__(root, num_classes=num_classes, split=split)
        path = split_folder(root, split) / LABELS_FILE
        label_of = _read_labels(path)
        missing = [name for name in self.names if name not in label_of]
        if missing:
            raise DataError(
                f"{path}: {len(missing)} of {len(self)} images have no label here, the first being "
                f"{missing[0]!r}; expected a line for each; add them or remove the images."
            )
        of_samples = [label_of[name] for name in self.names]
        self.label_names = _label_names(root, split, of_samples)
        index_of = {name: index for index, name in enumerate(self.label_names)}
        unknown = [label for label in of_samples if label not in index_of]
        if unknown:
            raise DataError(
                f"{path}: holds the label {unknown[0]!r}; expected one of "
                f"{', '.join(self.label_names)}; correct it, or name all labels in "
                f"{root / LABEL_NAMES_FILE}."
            )
        self.labels = tuple(index_of[label] for label in of_samples)

    def __getitem__(self, index: int) -> Sample:
        return replace(super().__getitem__(index), label=self.labels[index])

    def files(self, index: int) -> tuple[Path, ...]:
        """Where the image, the mask and the label of sample `index` lie."""
        image, mask = super().files(index)
        return image, mask, image.parent.parent / LABELS_FILE


def _label_names(root: Path, split: str | None, of_samples: list[str]) -> tuple[str, ...]:
    listed = listed_names(root, file_name=LABEL_NAMES_FILE)
    if listed is not None:
        return listed
    train = root / _TRAIN / LABELS_FILE
    if split not in (None, _TRAIN) and train.is_file():
        return tuple(sorted(set(_read_labels(train).values())))
    return tuple(sorted(set(of_samples)))


def _read_labels(path: Path) -> dict[str, str]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.reader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(
            f"{path}: {error}; expected a table with the header {','.join(_HEADER)}; add it."
        ) from error
    header = tuple(cell.strip() for cell in rows[0]) if rows else ()
    if header != _HEADER:
        raise DataError(
            f"{path}: begins with {','.join(header)!r}; expected the header "
            f"{','.join(_HEADER)!r}; add it."
        )
    label_of: dict[str, str] = {}
    for number, row in enumerate(rows[1:], 2):
        cells = [cell.strip() for cell in row]
        if not any(cells):
            continue
        if len(cells) != len(_HEADER) or not all(cells):
            raise DataError(
                f"{path}: row {number} is {','.join(row)!r}; expected a name and a label; "
                "correct it."
            )
        name, label = cells
        if name in label_of:
            raise DataError(
                f"{path}: lists {name!r} twice, again in row {number}; expected every name once; "
                "remove one."
            )
        label_of[name] = label
    return label_of
