"""Images and index masks paired by file stem: what the layouts of photos share."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from atrous.data.dataset import Dataset, MaskSizeError, MaskValueError, Sample
from atrous.data.listing import images_in
from atrous.data.photos.bands import RGB, picture_of_bands, read_bands_like
from atrous.data.photos.mask import read_mask
from atrous.data.photos.raster import image_size
from atrous.data.photos.read import exif_orientation, num_bands, read_image, read_rgb8
from atrous.errors import DataError
from atrous.types import UNLABELLED, Size


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Where an image and its mask lie."""

    name: str
    """The file stem both share; unique in the dataset."""
    image: Path
    mask: Path


class PairedMasks(Dataset):
    """Images with index masks; paths are known at construction, pixels are read on access.

    Attributes:
        pairs: One per sample, in natural order of names.
        num_classes: Class indices are below this.
        class_names: One per class, where the layout knows them.
    """

    has_masks = True

    def __init__(
        self,
        pairs: Sequence[Pair],
        *,
        num_classes: int,
        class_names: tuple[str, ...] | None = None,
    ) -> None:
        if not 1 <= num_classes <= UNLABELLED:
            raise DataError(
                f"num_classes={num_classes}; expected 1 to {UNLABELLED}, because mask value "
                f"{UNLABELLED} means unlabelled; name the number of classes."
            )
        self.pairs = tuple(pairs)
        self._are_masks_upright = False
        self.num_classes = num_classes
        self.class_names = class_names
        found = num_bands(self.pairs[0].image) if self.pairs else RGB
        self.num_channels = found if found not in (1, RGB) else RGB

    def __getitem__(self, index: int) -> Sample:
        pair = self.pairs[index]
        if self.num_channels != RGB:
            pixels, mask = self.pixels_and_mask(index)
            image = torch.from_numpy(pixels).permute(2, 0, 1).contiguous()
            return Sample(name=pair.name, image=image, mask=mask)
        image = read_image(pair.image)
        return Sample(name=pair.name, image=image, mask=self._mask(pair, tuple(image.shape[1:])))

    @property
    def names(self) -> tuple[str, ...]:
        """Name of every sample, in order; nothing is read for it."""
        return tuple(pair.name for pair in self.pairs)

    def rgb8_and_mask(self, index: int) -> tuple[NDArray[np.uint8], Tensor]:
        """Sample `index` without floats: RGB `(H, W, 3)` uint8 and mask `(H, W)` int64.

        Raises:
            DataError: If a file is broken, the two differ in size, or the mask holds a value that
                is neither a class nor 255.
        """
        pair = self.pairs[index]
        rgb = self.rgb8(index)
        return rgb, self._mask(pair, rgb.shape[:2])

    def rgb8(self, index: int) -> NDArray[np.uint8]:
        """The image of sample `index` alone: RGB `(H, W, 3)` uint8.

        Of images of other channels it is a picture to look at, see `picture_of_bands`.

        Raises:
            DataError: If its file is broken.
        """
        if self.num_channels != RGB:
            return picture_of_bands(read_bands_like(self.pairs[index].image, self.num_channels))
        return read_rgb8(self.pairs[index].image)

    def pixels_and_mask(self, index: int) -> tuple[NDArray[np.uint8 | np.float32], Tensor]:
        if self.num_channels == RGB:
            return self.rgb8_and_mask(index)
        pair = self.pairs[index]
        bands = read_bands_like(pair.image, self.num_channels)
        return bands, self._mask(pair, bands.shape[:2])

    def files(self, index: int) -> tuple[Path, ...]:
        """Where the image and the mask of sample `index` lie; nothing is read for it."""
        pair = self.pairs[index]
        return pair.image, pair.mask

    def _mask(self, pair: Pair, image_size: Size) -> Tensor:
        mask = self._read_classes(pair)
        if mask.shape != image_size:
            raise MaskSizeError(
                f"{pair.mask}: {tuple(mask.shape)} but its image is {image_size} (H, W); "
                "expected equal sizes; make the mask on the upright image, at its full size."
            )
        self._check_turn(pair, image_size)
        is_wrong = (mask != UNLABELLED) & ((mask < 0) | (mask >= self.num_classes))
        if is_wrong.any():
            raise MaskValueError(
                f"{pair.mask}: holds class {int(mask[is_wrong][0])}; expected classes below "
                f"num_classes={self.num_classes}, or {UNLABELLED} where unlabelled; correct the "
                "mask or num_classes.",
                values=tuple(mask[is_wrong].unique().tolist()),
            )
        return mask

    def unpaired_masks(self) -> tuple[str, ...]:
        """Names of files in the masks' folder that belong to no image."""
        folders = {pair.mask.parent for pair in self.pairs}
        used = {pair.mask for pair in self.pairs} | {pair.image for pair in self.pairs}
        return tuple(
            path.name
            for folder in sorted(folders)
            for path in images_in(folder)
            if path not in used
        )

    def _check_turn(self, pair: Pair, image_size: Size) -> None:
        """See that a mask lies as its photo does, where their sizes would not tell.

        Raises:
            DataError: If the photo is turned by EXIF and no pair of the data shows that masks are.
        """
        if self._are_masks_upright:
            return
        turn = _turn_of(pair.image)
        if turn == 1 or (turn in _QUARTER_TURNS and image_size[0] != image_size[1]):
            return
        self._are_masks_upright = any(map(_is_mask_upright, self.pairs))
        if not self._are_masks_upright:
            raise DataError(
                f"{pair.image}: turned by its EXIF orientation ({turn}), and nothing tells whether "
                f"its mask was made on the turned photo; expected upright photos; save it upright "
                "without that tag, and look at the mask."
            )

    def _read_classes(self, pair: Pair) -> Tensor:
        """Class indices and 255 of a sample, `(H, W)` int64; layouts of other files override."""
        return self._to_classes(read_mask(pair.mask), pair.mask)

    def _to_classes(self, mask: Tensor, _path: Path) -> Tensor:
        """Class indices and 255 from the values in a file; layouts with other values override."""
        return mask


_QUARTER_TURNS: Final = (5, 6, 7, 8)
"""EXIF orientations that exchange height and width."""


def _turn_of(image: Path) -> int:
    try:
        return exif_orientation(image)
    except DataError:  # of a TIFF that another reader takes, which turns nothing
        return 1


def _is_mask_upright(pair: Pair) -> bool:
    """Whether a photo that lies on its side has a mask that stands."""
    try:
        if exif_orientation(pair.image) not in _QUARTER_TURNS:
            return False
        height, width = image_size(pair.image)  # as it lies in the file
        return height != width and image_size(pair.mask) == (width, height)
    except DataError:  # is told when the sample is read
        return False


def pair_by_stem(images: Path, masks: Path) -> tuple[Pair, ...]:
    """Every image of one folder with the mask of the same stem in another; extra masks are left.

    Where all masks are called as the image and one of `MASK_SUFFIXES` (`a.jpg` and `a_mask.png`),
    or as the whole file and that (`a.jpg.png`), they pair by that.

    Raises:
        DataError: If a folder is missing, there are no images, two files of a folder share a
            stem, or an image has no mask.
    """
    image_of = _by_stem(images)
    if not image_of:
        raise DataError(
            f"{images}: no image in this folder; expected images whose masks are in {masks}; "
            "check the path."
        )
    mask_of = _by_image(_by_stem(masks), image_of)
    orphans = [path.name for stem, path in image_of.items() if stem not in mask_of]
    if orphans:
        raise DataError(
            f"{masks}: {len(orphans)} of {len(image_of)} images have no mask here, the first being "
            f"{orphans[0]!r}; expected masks of the same stem; add them or remove the images."
        )
    return tuple(Pair(name=stem, image=path, mask=mask_of[stem]) for stem, path in image_of.items())


MASK_SUFFIXES: Final = (
    *("_mask", "-mask", "_masks", "_seg", "-seg", "_segmentation", "_gt", "-gt", "_label"),
    *("_labels", "_annotation", "_ann"),
)
"""What names of masks add to those of their images, lower case."""


def _by_image(mask_of: dict[str, Path], image_of: dict[str, Path]) -> dict[str, Path]:
    """Masks by the stems of their images, by the one habit that fits all images, if any does."""
    folded = {stem.lower(): path for stem, path in mask_of.items()}
    if image_of.keys() <= mask_of.keys():
        return mask_of
    for suffix in ("", *MASK_SUFFIXES):
        for has_end in (False, True):
            wanted = {
                stem: f"{path.name if has_end else stem}{suffix}".lower()
                for stem, path in image_of.items()
            }
            if all(name in folded for name in wanted.values()):
                return {stem: folded[name] for stem, name in wanted.items()}
    return mask_of


def _by_stem(folder: Path) -> dict[str, Path]:
    by_stem: dict[str, Path] = {}
    for path in images_in(folder):
        other = by_stem.setdefault(path.stem, path)
        if other is not path:
            raise DataError(
                f"{folder}: {other.name!r} and {path.name!r} share the stem {path.stem!r}; "
                "expected one file a stem, because stems pair images with masks; rename one."
            )
    return by_stem
