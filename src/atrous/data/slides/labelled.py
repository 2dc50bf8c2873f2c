"""One slide and its truth, read together in patches at one scale."""

from contextlib import ExitStack
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path
from types import TracebackType
from typing import Final, Self
from weakref import finalize

import numpy as np
from numpy.typing import NDArray

from atrous.data.slides.annotations import read_annotations
from atrous.data.slides.frame import FRAMES, find_frame, frame_box, has_two_frames, tissue_shares
from atrous.data.slides.geojson import GeoJSONMask, mask_of
from atrous.data.slides.mask_map import MaskMap, check_classes
from atrous.data.slides.mask_tiff import open_label_tiff
from atrous.data.slides.parts import SlideReading
from atrous.data.slides.read import Slide, open_slide
from atrous.data.slides.tissue import tissue_of
from atrous.errors import DataError
from atrous.types import UNLABELLED, Size

GEOJSON_SUFFIXES: Final = (".geojson", ".json")

_USUAL: Final = SlideReading()
_CACHE_BYTES: Final = 4 << 20
"""Of decoded tiles, of each file: drawn patches seldom lie side by side, and many are open."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SlidePair:
    """Where a slide and its truth lie."""

    name: str
    image: Path
    truth: Path
    """A label TIFF or a GeoJSON."""


class LabelledSlide:
    """A slide and its truth, open; a context manager, and safe to read from several threads.

    It is closed too when nobody holds it any more.

    Args:
        pair: The files.
        mpp: Micrometres per pixel at which both are read; None for those of the slide's level 0.
        num_classes: Labels are below this, or 255.
        class_names: For a GeoJSON, which names its classes.
        reading: How the slide is read.

    Attributes:
        frame: Where the truth counts from: `qupath` or `level0`.
        notes: What of the truth was left out or taken for something else, a sentence each.

    Raises:
        DataError: If a file is missing, broken, of another slide, or a GeoJSON comes without names.
        UnknownNameError: If a GeoJSON names another class.
        MissingExtraError: If the extra `slides` is not installed.
    """

    def __init__(
        self,
        pair: SlidePair,
        *,
        mpp: float | None,
        num_classes: int,
        class_names: tuple[str, ...] | None,
        reading: SlideReading = _USUAL,
    ) -> None:
        self.pair = pair
        self.num_classes = num_classes
        with ExitStack() as stack:
            self.slide = stack.enter_context(
                open_slide(
                    pair.image,
                    mpp=reading.mpp,
                    override_mpp=reading.override_mpp,
                    image=reading.image,
                    icc=reading.icc,
                    cache_bytes=_CACHE_BYTES,
                )
            )
            self.mpp = self.slide.mpp if mpp is None else (mpp, mpp)
            self.size = self.slide.size_at(self.mpp)
            self.labels, self.frame = _open_truth(
                pair, self.slide, self.mpp, class_names, reading.frame, stack
            )
            said = self.labels.notes if isinstance(self.labels, GeoJSONMask) else ()
            self.notes = (*(f"{pair.image.name}: {note}" for note in self.slide.notes), *said)
            self._close = finalize(self, stack.pop_all().close)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def name(self) -> str:
        """Of the slide."""
        return self.pair.name

    def close(self) -> None:
        """Give the files back."""
        self._close()

    def patch(self, top: int, left: int, size: Size) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """RGB `(H, W, 3)` and labels `(H, W)`; white and 255 beyond the slide.

        Raises:
            DataError: If a file is broken there, or a label is no class.
        """
        return self.slide.read((top, left), size, mpp=self.mpp), self.truth(top, left, size)

    def truth(self, top: int, left: int, size: Size) -> NDArray[np.uint8]:
        """The labels of a window alone, `(H, W)`; 255 beyond the slide.

        Raises:
            DataError: If the file is broken there, or a label is no class.
        """
        start = [max(begin, 0) for begin in (top, left)]
        stop = [min(b + n, whole) for b, n, whole in zip((top, left), size, self.size, strict=True)]
        out = np.full(size, UNLABELLED, np.uint8)
        if stop[0] <= start[0] or stop[1] <= start[1]:
            return out
        window = (stop[0] - start[0], stop[1] - start[1])
        part = self.labels.read(start[0], start[1], window[0], window[1])
        try:
            check_classes(part, self.num_classes)
        except DataError as error:
            raise DataError(f"{self.pair.truth}: {error}") from error
        out[start[0] - top : stop[0] - top, start[1] - left : stop[1] - left] = part
        return out

    def count(self, cell: Size) -> NDArray[np.int64]:
        """Labelled pixels by class in every cell of a grid that shows tissue.

        Args:
            cell: `(H, W)` of the grid's cells, pixels.

        Returns:
            `(num_classes, rows, columns)`; 0 in cells without tissue, see `tissue_of`.
        """
        shape = tuple(ceil(n / side) for n, side in zip(self.size, cell, strict=True))
        counts = np.zeros((self.num_classes, *shape), np.int64)
        for row, column in np.argwhere(self._shows_tissue(cell, shape)):
            labels = self.truth(int(row) * cell[0], int(column) * cell[1], cell)
            found = np.bincount(labels.ravel(), minlength=UNLABELLED + 1)
            counts[:, row, column] = found[: self.num_classes]
        return counts

    def _shows_tissue(self, cell: Size, shape: Size) -> NDArray[np.bool_]:
        tissue = tissue_of(self.slide)
        down, right = np.nonzero(tissue)
        rows = down * self.size[0] // tissue.shape[0] // cell[0]
        columns = right * self.size[1] // tissue.shape[1] // cell[1]
        shown = np.zeros(shape, np.bool_)
        shown[rows, columns] = True
        return shown


def _open_truth(
    pair: SlidePair,
    slide: Slide,
    mpp: tuple[float, float],
    class_names: tuple[str, ...] | None,
    frame: str,
    stack: ExitStack,
) -> tuple[MaskMap, str]:
    """The truth as a map over the slide, and the frame that its file is in."""
    size, scale = slide.size_at(mpp), slide.scale_at(mpp)
    if pair.truth.suffix.lower() not in GEOJSON_SUFFIXES:
        frames = [name for name in ("level0", "qupath") if frame in ("auto", name)]
        boxes = []
        for name in frames if has_two_frames(slide) else ["level0"]:
            top, left, height, width = frame_box(slide, name)
            box = (top / scale[0], left / scale[1], height / scale[0], width / scale[1])
            boxes.append((0.0, 0.0, float(size[0]), float(size[1])) if name == "level0" else box)
        labels = open_label_tiff(pair.truth, size, mpp=mpp, boxes=boxes, cache_bytes=_CACHE_BYTES)
        stack.callback(labels.close)
        return labels, "qupath" if any(labels.origin) else "level0"
    if class_names is None:
        raise DataError(
            f"{pair.truth}: polygons name their classes, but nothing says which index a name has; "
            "expected a classes.txt beside the slides, a name a line; add it."
        )
    annotations = read_annotations(pair.truth)
    shares: list[float] = []
    if has_two_frames(slide):
        shares = tissue_shares(annotations, slide, tissue_of(slide))
    found = find_frame(pair.truth, annotations, slide, frame, shares)
    drawn = mask_of(
        pair.truth,
        annotations,
        size,
        scale=scale,
        class_names=class_names,
        origin=frame_box(slide, found)[:2],
    )
    if shares:
        said = ", ".join(
            f"{share:.0%} in {name}" for share, name in zip(shares, FRAMES, strict=True)
        )
        note = f"{pair.truth.name}: read in frame {found}; of its area lies on tissue: {said}"
        drawn = replace(drawn, notes=(note, *drawn.notes))
    return drawn, found
