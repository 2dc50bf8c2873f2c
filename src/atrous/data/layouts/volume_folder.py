"""Labelled volumes kept as two folders of equally named files: `images/` and `labels/`."""

from pathlib import Path
from typing import Final

from atrous.data.layouts.mask_folder import CLASSES_FILE, split_folder
from atrous.data.layouts.name_list import listed_names
from atrous.data.layouts.volume_cases import Case, VolumeCases, by_stem
from atrous.errors import DataError

CHANNELS_FILE: Final = "channels.txt"


class VolumeFolder(VolumeCases):
    """Scans in `root/images`, label volumes of the same stem in `root/labels`.

    A scan has one channel, or is a file of four dimensions. Labels are class indices, and 255
    where unlabelled. Files `classes.txt` and `channels.txt` beside `images/` or in `root` name the
    classes and the channels, one a line.

    Args:
        root: Folder that holds `images/` and `labels/`, or holds splits that do.
        num_classes: Labels must be below this, or 255. Needed unless there is a `classes.txt`.
        split: Name of a folder in `root` that holds `images/` and `labels/`.

    Raises:
        UnknownNameError: If `root` has no such split; the message lists those it has.
        DataError: If the folders are missing, scans and labels do not pair, or the classes are not
            known.
    """

    def __init__(
        self, root: str | Path, *, num_classes: int | None = None, split: str | None = None
    ) -> None:
        folder = split_folder(Path(root), split, masks="labels")
        class_names = listed_names(folder, Path(root), file_name=CLASSES_FILE)
        num_classes = len(class_names) if class_names else num_classes
        if num_classes is None:
            raise DataError(
                f"{root}: this layout does not know its classes; expected num_classes or a "
                f"{CLASSES_FILE} with a name a line; say how many there are."
            )
        super().__init__(
            _pair(folder / "images", folder / "labels"),
            num_classes=num_classes,
            class_names=class_names,
            channel_names=listed_names(folder, Path(root), file_name=CHANNELS_FILE),
        )


def _pair(images: Path, labels: Path) -> list[Case]:
    image_of = by_stem(images)
    if not image_of:
        raise DataError(
            f"{images}: no .nii or .nii.gz in this folder; expected scans whose labels are in "
            f"{labels}; check the path."
        )
    label_of = by_stem(labels)
    orphans = [path.name for stem, path in image_of.items() if stem not in label_of]
    if orphans:
        raise DataError(
            f"{labels}: {len(orphans)} of {len(image_of)} scans have no labels here, the first "
            f"being {orphans[0]!r}; expected labels of the same stem; add them or remove the scans."
        )
    return [
        Case(name=stem, images=(path,), labels=label_of[stem]) for stem, path in image_of.items()
    ]
