"""Whole slides with their truth beside them, read in patches; no slide is ever in memory whole."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from atrous.data.dataset import Dataset, Sample
from atrous.data.layouts.mask_folder import CLASSES_FILE
from atrous.data.layouts.name_list import listed_names
from atrous.data.layouts.slide_pairs import pair_slides
from atrous.data.slides.labelled import LabelledSlide, SlidePair
from atrous.data.slides.parts import SlideReading
from atrous.data.slides.pool import OpenSlides
from atrous.errors import DataError
from atrous.types import UNLABELLED, Size

PATCH_SIZE: Final = (512, 512)


class Slides(Dataset):
    """Slides in `root/images`, label TIFFs or GeoJSON of the same stem in `root/masks`.

    Or both in one folder, the truth as NAME.geojson or NAME.labels.tif. `classes.txt` names the
    classes, one a line.

    Samples are the patches of a fixed grid that show tissue, see `find_tissue`, and in which
    anything is labelled. `draw` gives others, balanced by class: what a training is fed.

    Args:
        root: Folder that holds `images/` and `masks/`, or holds splits that do, or the files.
        num_classes: Labels must be below this, or 255. Needed unless there is a `classes.txt`.
        split: Name of a folder in `root`.

    Attributes:
        mpp: Micrometres per pixel of patches; None for each slide's own.
        patch_size: `(H, W)` of patches, pixels.
        reading: How the slides' files are read.

    Raises:
        UnknownNameError: If `root` has no such split.
        DataError: If there are no slides, some have no truth, or the classes are not known.
    """

    kind = "slides"
    has_masks = True
    is_drawn = True

    def __init__(
        self, root: str | Path, *, num_classes: int | None = None, split: str | None = None
    ) -> None:
        folder, self.pairs, self.lone_truths = pair_slides(Path(root), split)
        self.class_names = listed_names(folder, Path(root), file_name=CLASSES_FILE)
        known = len(self.class_names) if self.class_names else num_classes
        if known is None or not 1 <= known <= UNLABELLED:
            raise DataError(
                f"{root}: num_classes={num_classes}, and no {CLASSES_FILE} with a name a line; "
                f"expected 1 to {UNLABELLED} classes; say how many there are."
            )
        self.num_classes = known
        self.mpp: float | None = None
        self.patch_size: Size = PATCH_SIZE
        self.reading = SlideReading()
        self._open_slides = OpenSlides()

    def read_at(
        self,
        *,
        mpp: float | None = None,
        patch_size: Size | None = None,
        names: Sequence[str] | None = None,
        reading: SlideReading | None = None,
    ) -> "Slides":
        """The same slides, or some of them, at another scale or in other patches.

        Args:
            mpp: Micrometres per pixel; None as it was.
            patch_size: `(H, W)` of patches, pixels; None as it was.
            names: Of slides, in this order; None for all.
            reading: How the slides' files are read; None as it was.

        Raises:
            DataError: If a name is not that of a slide, or a length is not positive.
        """
        if (mpp is not None and mpp <= 0) or (patch_size is not None and min(patch_size) < 1):
            raise DataError(
                f"Slides cannot be read at mpp={mpp} in patches of {patch_size}; expected both "
                "above 0; mend them."
            )
        other = object.__new__(Slides)
        other.lone_truths = self.lone_truths
        other.pairs = self.pairs if names is None else self._named(names)
        other.class_names, other.num_classes = self.class_names, self.num_classes
        other.mpp = self.mpp if mpp is None else mpp
        other.patch_size = self.patch_size if patch_size is None else patch_size
        other.reading = self.reading if reading is None else reading
        other._open_slides = OpenSlides()
        return other

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, index: int) -> Sample:
        rgb, mask = self.rgb8_and_mask(index)
        image = torch.from_numpy(rgb).permute(2, 0, 1).contiguous().float().div_(255)
        spacing = self.open_slide(self._places[index][0]).mpp
        return Sample(name=self.names[index], image=image, mask=mask, spacing=spacing)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Slide, top and left of every patch of the grid, in order; slides are looked through."""
        return tuple(
            self._name_of(number, row * self.patch_size[0], column * self.patch_size[1])
            for number, row, column in self._places
        )

    def rgb8_and_mask(self, index: int) -> tuple[NDArray[np.uint8], Tensor]:
        """Patch `index` of the grid: RGB `(H, W, 3)` uint8 and mask `(H, W)` int64.

        Raises:
            DataError: If a file is broken, or a label is no class.
        """
        number, row, column = self._places[index]
        height, width = self.patch_size
        rgb, labels = self.open_slide(number).patch(row * height, column * width, self.patch_size)
        return rgb, torch.from_numpy(labels.astype(np.int64))

    def files(self, index: int) -> tuple[Path, ...]:
        """The slide and the truth that patch `index` of the grid is read from."""
        pair = self.pairs[self._places[index][0]]
        return pair.image, pair.truth

    def draw(self, rng: np.random.Generator) -> tuple[NDArray[np.uint8], Tensor, str]:
        """A patch from anywhere: RGB `(H, W, 3)` uint8, mask `(H, W)` int64, and its name.

        A class is drawn evenly among those that occur, then a slide evenly among those that it
        occurs on, then a pixel of it evenly; that is the patch's centre. Glass far from tissue is
        left out, as in the grid.

        Args:
            rng: Where all chance comes from.

        Raises:
            DataError: If a file is broken, or nothing is labelled.
        """
        present = [label for label, slides in enumerate(self._slides_with) if len(slides)]
        label = present[rng.integers(len(present))]
        slides = self._slides_with[label]
        number = int(slides[rng.integers(len(slides))])
        so_far = np.cumsum(self._counts[number][label])
        place = int(np.searchsorted(so_far, rng.integers(so_far[-1]), side="right"))
        row, column = divmod(place, self._counts[number].shape[2])
        height, width = self.patch_size
        slide = self.open_slide(number)
        cell = slide.truth(row * height, column * width, self.patch_size)
        pixels = np.flatnonzero(cell == label)
        down, right = divmod(int(pixels[rng.integers(len(pixels))]), width)
        top = row * height + down - height // 2
        left = column * width + right - width // 2
        rgb, labels = slide.patch(top, left, self.patch_size)
        return rgb, torch.from_numpy(labels.astype(np.int64)), self._name_of(number, top, left)

    @property
    def slide_names(self) -> tuple[str, ...]:
        """Of all slides, in order; nothing is read for it."""
        return tuple(pair.name for pair in self.pairs)

    def open_slide(self, number: int) -> LabelledSlide:
        """A slide and its truth, kept open for a while.

        Raises:
            DataError: If a file is missing, broken or of another slide.
        """
        pair = self.pairs[number]
        return self._open_slides.get(
            number,
            lambda: LabelledSlide(
                pair,
                mpp=self.mpp,
                num_classes=self.num_classes,
                class_names=self.class_names,
                reading=self.reading,
            ),
        )

    @cached_property
    def _counts(self) -> tuple[NDArray[np.int64], ...]:
        """Of each slide, pixels by class and place of the grid, `(num_classes, rows, columns)`."""
        counts = tuple(self.open_slide(i).count(self.patch_size) for i in range(len(self.pairs)))
        if not any(count.any() for count in counts):
            raise DataError(
                f"{self.pairs[0].truth.parent}: nothing is labelled where the slides show tissue; "
                "expected labels there; look at both with atrous data."
            )
        return counts

    @cached_property
    def _places(self) -> tuple[tuple[int, int, int], ...]:
        """Slide, row and column of every patch of the grid."""
        return tuple(
            (number, int(row), int(column))
            for number, count in enumerate(self._counts)
            for row, column in np.argwhere(count.any(axis=0))
        )

    @cached_property
    def _slides_with(self) -> tuple[NDArray[np.int64], ...]:
        """By class, the slides that it occurs on."""
        occurs = np.stack([count.any(axis=(1, 2)) for count in self._counts])
        return tuple(np.flatnonzero(occurs[:, label]) for label in range(self.num_classes))

    def _name_of(self, number: int, top: int, left: int) -> str:
        return f"{self.pairs[number].name}_{top}_{left}"

    def _named(self, names: Sequence[str]) -> tuple[SlidePair, ...]:
        by_name = {pair.name: pair for pair in self.pairs}
        unknown = [name for name in names if name not in by_name]
        if unknown:
            raise DataError(
                f"{len(unknown)} of {len(names)} listed slides are not in the data, the first "
                f"being {unknown[0]!r}; expected names such as {self.pairs[0].name!r}; correct "
                "the list."
            )
        return tuple(by_name[name] for name in names)
