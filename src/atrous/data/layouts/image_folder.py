"""Classification data kept as one folder of images per class: `root/SPLIT/CLASS/*.jpg`."""

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from atrous.data.dataset import Dataset, Sample
from atrous.data.layouts.name_list import listed_names
from atrous.data.listing import natural_key
from atrous.data.photos.raster import IMAGE_SUFFIXES
from atrous.data.photos.read import read_image, read_rgb8
from atrous.errors import DataError, UnknownNameError

LABEL_NAMES_FILE: Final = "label_names.txt"
_TRAIN: Final = "train"
_USUAL_SPLITS: Final = ("train", "val", "valid", "validation", "test")


class ImageFolder(Dataset):
    """Images whose label is the folder they lie in: `root/SPLIT/CLASS/…` or `root/CLASS/…`.

    Sub-folders of a class folder belong to it. Hidden files, and files of other suffixes than
    images have, are left aside. A sample's name is its path from the split on without the suffix,
    `CLASS/STEM`; where two files share a stem, with it.

    The label names, and with them the meaning of a label, must be the same in every split. They
    are the lines of `root/label_names.txt` if there is one; else the class folders of the split
    `train` if there is one, sorted; else those of the split itself.

    Args:
        root: Folder that holds the splits or the class folders.
        split: Name of a folder in `root` that holds class folders.

    Attributes:
        label_names: Names of class folders, by index; some may be empty.
        labels: One per sample.

    Raises:
        UnknownNameError: If `root` has no such split; the message lists the folders it has.
        DataError: If the folders are not so, hold no image, hold images outside of class folders
            only, or a class folder is not among the label names.
    """

    def __init__(self, root: str | Path, *, split: str | None = None) -> None:
        root = Path(root)
        folder = _split_folder(root, split)
        present = [path.name for path in _folders_in(folder)]
        self.label_names = _label_names(root, folder, present)
        paths: list[Path] = []
        labels: list[int] = []
        for label, class_name in enumerate(self.label_names):
            found = _images_below(folder / class_name)
            paths += found
            labels += [label] * len(found)
        if not paths:
            raise DataError(
                f"{folder}: no image in its folders; expected CLASS/*.jpg, a folder per class; "
                "check the path."
            )
        self.labels = tuple(labels)
        self._paths = tuple(paths)
        self._names = _names(folder, paths)

    def __getitem__(self, index: int) -> Sample:
        image = read_image(self._paths[index])
        return Sample(name=self._names[index], image=image, label=self.labels[index])

    @property
    def names(self) -> tuple[str, ...]:
        """Name of every sample, in order; nothing is read for it."""
        return self._names

    def rgb8(self, index: int) -> NDArray[np.uint8]:
        """The image of sample `index`: RGB `(H, W, 3)` uint8.

        Raises:
            DataError: If its file is broken.
        """
        return read_rgb8(self._paths[index])

    def files(self, index: int) -> tuple[Path, ...]:
        """Where the image of sample `index` lies; nothing is read for it."""
        return (self._paths[index],)


def _split_folder(root: Path, split: str | None) -> Path:
    folders = [path.name for path in _folders_in(root)]
    if split is not None:
        if split not in folders:
            raise UnknownNameError("split", split, folders)
        return root / split
    splits = [name for name in _USUAL_SPLITS if name in folders and _folders_in(root / name)]
    if splits:
        raise DataError(
            f"{root}: holds the splits {', '.join(splits)}; expected a folder per class; "
            "name one split."
        )
    return root


def _folders_in(folder: Path) -> list[Path]:
    try:
        entries = [path for path in folder.iterdir() if not _is_passed_over(path.name)]
    except OSError as error:
        raise DataError(
            f"{folder}: {error.strerror}; expected a folder that holds one per class; "
            "check the path."
        ) from error
    return sorted((path for path in entries if path.is_dir()), key=lambda path: path.name)


def _label_names(root: Path, folder: Path, present: Sequence[str]) -> tuple[str, ...]:
    listed = listed_names(root, file_name=LABEL_NAMES_FILE)
    train = root / _TRAIN
    source = f"lines of {root / LABEL_NAMES_FILE}"
    if listed is None:
        is_split = folder != root and folder != train and train.is_dir()
        source = f"folders of {train}"
        listed = tuple(path.name for path in _folders_in(train)) if is_split else tuple(present)
    strangers = sorted(set(present) - set(listed))
    if strangers:
        raise DataError(
            f"{folder}: {len(strangers)} of its folders are no label, the first being "
            f"{strangers[0]!r}; expected the {source}, so that labels mean the same in every "
            f"split; remove the folder, or name all labels in {root / LABEL_NAMES_FILE}."
        )
    return listed


def _images_below(folder: Path) -> list[Path]:
    """Image files in a folder and its sub-folders, hidden ones left out, in natural order."""
    found: list[Path] = []
    for parent, folders, files in os.walk(folder, followlinks=True):
        folders[:] = [name for name in folders if not _is_passed_over(name)]
        found += [
            Path(parent, name)
            for name in files
            if not name.startswith(".") and Path(name).suffix.lower() in IMAGE_SUFFIXES
        ]
    return sorted(found, key=natural_key)


def _is_passed_over(name: str) -> bool:
    """Whether a folder is hidden, or one that macOS puts into archives."""
    return name.startswith(".") or name == "__MACOSX"


def _names(folder: Path, paths: Sequence[Path]) -> tuple[str, ...]:
    whole = [path.relative_to(folder).as_posix() for path in paths]
    bare = [path.relative_to(folder).with_suffix("").as_posix() for path in paths]
    counts = Counter(bare)
    names = [
        name if counts[name] == 1 else with_suffix
        for name, with_suffix in zip(bare, whole, strict=True)
    ]
    if len(set(names)) < len(names):
        twice = next(name for name, count in Counter(names).items() if count > 1)
        raise DataError(
            f"{folder}: two images would both be called {twice!r}; expected stems that tell images "
            "apart; rename one."
        )
    return tuple(names)
