"""Images whose masks are drawn from polygons: what the layouts of annotation tools share."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import torch
from torch import Tensor

from atrous.data.dataset import MaskSizeError
from atrous.data.layouts.name_list import listed_names
from atrous.data.layouts.pairs import Pair, PairedMasks
from atrous.data.listing import images_in
from atrous.data.photos.rasterise import Bitmap
from atrous.errors import DataError
from atrous.types import UNLABELLED, Size

CLASSES_FILE: Final = "classes.txt"
BACKGROUND: Final = "background"


class DrawnMasks(PairedMasks):
    """Images with areas that belong to classes; class 0 is the background, where there is none.

    Later areas lie over earlier ones, in the order that `_areas` gives.

    Args:
        pairs: Images, each with the file of its annotation.
        class_names: Of all classes, the background first.
    """

    def __init__(self, pairs: Sequence[Pair], *, class_names: Sequence[str]) -> None:
        super().__init__(pairs, num_classes=len(class_names), class_names=tuple(class_names))

    def _mask(self, pair: Pair, image_size: Size) -> Tensor:
        mask = np.zeros(image_size, np.int64)
        for index, area in self._areas(pair, image_size):
            mask[area] = index
        return torch.from_numpy(mask)

    def _areas(self, pair: Pair, size: Size) -> Iterable[tuple[int, Bitmap]]:
        """Classes, or 255, and their areas `(H, W)`, from the lowest to the uppermost.

        Raises:
            DataError: If the annotation cannot be read, or is of another size.
        """
        raise NotImplementedError


def check_size(path: Path, stated: tuple[object, object], size: Size) -> None:
    """See that an annotation was made on an image of this size.

    Args:
        path: Of the annotation, for the message.
        stated: Height and width that it says; None where it does not.
        size: `(H, W)` of the upright image.

    Raises:
        MaskSizeError: If it says another.
    """
    if stated != (None, None) and stated != tuple(size):
        raise MaskSizeError(
            f"{path}: made on an image of {stated[0]} x {stated[1]}, but its image is "
            f"{size[0]} x {size[1]} (H x W); expected equal sizes; make it on the upright image, "
            "at its full size."
        )


def check_points(points: object, place: str) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """The corners of a polygon, `(n, 2)` of x and y.

    Args:
        points: A list of pairs, or of numbers in turn.
        place: For the message.

    Raises:
        DataError: If they are no three corners or more, or far from any picture.
    """
    try:
        corners = np.asarray(points, np.float64).reshape(-1, 2)
    except (TypeError, ValueError):
        corners = np.empty((0, 2))
    if len(corners) < 3 or not (np.abs(corners) < _FARTHEST).all():  # nor is NaN less
        raise DataError(
            f"{place}: {str(points)[:80]} is no polygon; expected three corners or more, x and y "
            "in pixels; mend it."
        )
    return corners


_FARTHEST: Final = 1e6
"""Pixels: no picture is so large, and an outline so long would be walked for minutes."""


def named_classes(root: Path, found: Iterable[str]) -> tuple[str, ...]:
    """The classes of `classes.txt` after the background; without the file those found, sorted.

    Raises:
        DataError: If the file lacks some that were found, or there is none at all.
    """
    listed = listed_names(root, file_name=CLASSES_FILE)
    held = sorted(set(found) - {BACKGROUND})
    names = tuple(name for name in (held if listed is None else listed) if name != BACKGROUND)
    missing = sorted(set(held) - set(names))
    if missing or not names:
        raise DataError(
            f"{root}: the annotations hold {', '.join(missing[:4]) or 'no class'}; expected the "
            f"names in {CLASSES_FILE}, or some; add them there, or mend the annotations."
        )
    if len(names) >= UNLABELLED:
        raise DataError(
            f"{root}: {len(names)} classes; expected fewer than {UNLABELLED} beside the "
            f"background; list those that are meant in {CLASSES_FILE}."
        )
    return (BACKGROUND, *names)


def images_by_name(folder: Path) -> dict[str, Path]:
    """The images of a folder by their names.

    Raises:
        DataError: If it holds none.
    """
    found = {path.name: path for path in images_in(folder)}
    if not found:
        raise DataError(f"{folder}: no image in this folder; expected some; check the path.")
    return found


def pairs_of(images: Iterable[Path], annotation: Path) -> tuple[Pair, ...]:
    """Images that share one file of annotations, each called by its stem.

    Raises:
        DataError: If two share a stem.
    """
    named: dict[str, Path] = {}
    for image in images:
        other = named.setdefault(image.stem, image)
        if other != image:
            raise DataError(
                f"{image.parent}: {other.name!r} and {image.name!r} share the stem "
                f"{image.stem!r}; expected one file a stem; rename one."
            )
    return tuple(Pair(name=stem, image=path, mask=annotation) for stem, path in named.items())
