"""Segmentation data kept as two folders of equally named files: `images/` and `masks/`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import torch
from torch import Tensor

from atrous.data.dataset import MaskValueError
from atrous.data.layouts.name_list import listed_names
from atrous.data.layouts.pairs import Pair, PairedMasks, pair_by_stem
from atrous.data.photos.colour_mask import find_colour_table, read_colour_mask
from atrous.data.photos.mask import read_mask, used_palette
from atrous.errors import DataError, UnknownNameError
from atrous.types import UNLABELLED

CLASSES_FILE: Final = "classes.txt"
_NUM_LOOKED_AT: Final = 64
"""Masks of two classes that are read at construction, spread evenly over all."""


class MaskFolder(PairedMasks):
    """Images in `root/images`, index masks of the same stem in `root/masks`.

    Mask values are class indices, and 255 where unlabelled. A file `classes.txt` beside `images/`
    or in `root` names the classes, one a line, and so tells their number. Where a table of colours
    (`class_dict.csv` or `labelmap.txt`) lies there instead, masks are coded by colour, see
    `read_colour_table`.

    Masks that mean 255 as foreground are a common mistake, and would train a network on background
    alone: if no mask of the folder holds any class but 0 while 255 occurs, the folder is refused.
    To know this, masks are read at construction until one holds another class, which is nearly
    always the first.

    Args:
        root: Folder that holds `images/` and `masks/`, or holds splits that do.
        num_classes: Mask values must be below this, or 255. Needed unless there is a `classes.txt`,
            whose number of lines holds otherwise.
        split: Name of a folder in `root` that holds `images/` and `masks/`.

    Raises:
        UnknownNameError: If `root` has no such split; the message lists those it has.
        DataError: If the folders are missing, images and masks do not pair, the classes are not
            known, or 255 seems to mean foreground.
    """

    def __init__(
        self, root: str | Path, *, num_classes: int | None = None, split: str | None = None
    ) -> None:
        folder = split_folder(Path(root), split)
        pairs = pair_by_stem(folder / "images", folder / "masks")
        class_names = listed_names(folder, Path(root), file_name=CLASSES_FILE)
        table = None if class_names else find_colour_table(folder, Path(root))
        if table is not None:
            class_names = table.class_names
        num_classes = len(class_names) if class_names else num_classes
        if num_classes is None:
            raise DataError(
                f"{root}: this layout does not know its classes; expected num_classes or a "
                f"{CLASSES_FILE} with a name a line; say how many there are."
            )
        super().__init__(pairs, num_classes=num_classes, class_names=class_names)
        self._table = table
        if num_classes > 1 and table is None:
            _check_foreground(folder / "masks", pairs, num_classes)
        self._palette = _first_palette(pairs)

    def _read_classes(self, pair: Pair) -> Tensor:
        if self._table is not None:
            return read_colour_mask(pair.mask, self._table)
        mask = super()._read_classes(pair)
        first, colours = self._palette
        if colours:
            _check_palette(pair.mask, like=first, colours=colours)
        return mask


class BinaryFolder(PairedMasks):
    """As `MaskFolder`, for two classes: mask value 0 is background, 255 (or 1) is foreground.

    Every pixel is labelled; samples hold 0 and 1.

    Raises:
        UnknownNameError: If `root` has no such split; the message lists those it has.
        DataError: If the folders are missing, or images and masks do not pair.
    """

    def __init__(self, root: str | Path, *, split: str | None = None) -> None:
        folder = split_folder(Path(root), split)
        super().__init__(pair_by_stem(folder / "images", folder / "masks"), num_classes=2)

    def _to_classes(self, mask: Tensor, path: Path) -> Tensor:
        values = mask.unique().tolist()
        if not (set(values) <= {0, UNLABELLED} or set(values) <= {0, 1}):
            raise MaskValueError(
                f"{path}: holds the values {values[:8]}; expected only 0 and 255, or only 0 and 1; "
                "for more classes or unlabelled pixels open it as layout 'mask_folder'.",
                values=tuple(value for value in values if value not in (0, 1, UNLABELLED)),
            )
        return (mask > 0).to(torch.int64)


def split_folder(root: Path, split: str | None, *, masks: str = "masks") -> Path:
    """The folder that holds `images/`: `root`, or `root/split`.

    Args:
        root: Of the data set.
        split: Which part, or None if there are no parts.
        masks: What the folder beside `images/` is called, for messages.

    Raises:
        UnknownNameError: If `root` has splits, but not this one.
        DataError: If a split is named and `root` has none, or one is needed and none is named.
    """
    splits = sorted(path.parent.name for path in root.glob("*/images") if path.is_dir())
    if split is not None:
        if not splits:
            raise DataError(
                f"{root}: no splits here, but split={split!r} was asked for; expected "
                f"{split}/images and {split}/{masks}; leave split out if images/ lies in {root}."
            )
        if split not in splits:
            raise UnknownNameError("split", split, splits)
        return root / split
    if (root / "images").is_dir():
        return root
    if splits:
        raise DataError(
            f"{root}: holds the splits {', '.join(splits)}; expected images/ and {masks}/; "
            "name one split."
        )
    raise DataError(f"{root}: no images/ here; expected images/ and {masks}/; check the path.")


def _check_foreground(folder: Path, pairs: Sequence[Pair], num_classes: int) -> None:
    """See that 255 is not the foreground, in all masks or, of two classes, in some.

    Masks are read until one holds another class than 0. Of two classes an even choice of
    `_NUM_LOOKED_AT` is read: there a mask of 0 and 255 among masks of 0 and 1 is foreground too,
    unless some mask holds both 1 and 255.

    Raises:
        DataError: If it seems to be.
    """
    chosen = pairs[:: max(1, len(pairs) // _NUM_LOOKED_AT)] if num_classes == 2 else ()
    with_class, with_255 = None, None
    for number, pair in enumerate((*chosen, *pairs), 1):
        try:
            mask = read_mask(pair.mask)
        except DataError:  # is told when the sample is read; other masks decide here
            continue
        is_unlabelled = mask == UNLABELLED
        has_unlabelled = bool(is_unlabelled.any())
        if ((mask != 0) & ~is_unlabelled).any():
            with_class = pair
            if has_unlabelled:
                return
        elif has_unlabelled:
            with_255 = pair
        if with_class is not None and number >= len(chosen):
            break
    if with_255 is not None and (with_class is None or num_classes == 2):
        held = "hold only 0 and 255"
        if with_class is not None:
            held = f"hold 0 and 255 in some ({with_255.mask.name}) and 1 in others"
        raise DataError(
            f"{folder}: the masks {held}; expected class indices, with 255 where unlabelled; if "
            "255 means foreground, open it as layout 'binary_folder'."
        )


def _first_palette(pairs: Sequence[Pair]) -> tuple[Path, dict[int, tuple[int, ...]]]:
    """The colours of the first mask's indices, nothing where it has no palette."""
    path = pairs[0].mask
    try:
        return path, used_palette(path)
    except DataError:  # is told when the sample is read
        return path, {}


def _check_palette(path: Path, *, like: Path, colours: dict[int, tuple[int, ...]]) -> None:
    """See that an index has one colour in two masks: by colours people draw, not by numbers.

    Raises:
        DataError: If it has not.
    """
    for index, colour in used_palette(path).items():
        if colours.get(index, colour) != colour:
            raise DataError(
                f"{path}: index {index} has the colour {colour}, and in {like.name} "
                f"{colours[index]}; expected one palette in all masks, since the index is the "
                "class; save them with one."
            )
