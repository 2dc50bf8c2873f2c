"""Score a network on a whole slide: its pixels are counted core by core, and none is kept."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from atrous.data.dataset import SlideTruth
from atrous.data.slides.read import Slide
from atrous.errors import DataError
from atrous.inference.slides.broken import broken_boxes, broken_notes, hide_broken
from atrous.inference.slides.network import SlideNetwork
from atrous.inference.slides.plan import SlidePlan
from atrous.inference.slides.run import run_cores
from atrous.inference.tiles.grid import Tile
from atrous.metrics.confusion import confusion_matrix
from atrous.types import UNLABELLED

_SHOWN: Final = 960
"""Longer side of the pictures, pixels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SlideCounts:
    """What a network got right and wrong on a slide.

    Attributes:
        name: Of the slide.
        matrix: `(C + 1, C)` int64 pixel counts: rows truth, the last one unlabelled; columns
            prediction. Tiles without any label are not counted.
        image: The slide, `(h, w, 3)` RGB, much reduced.
        truth: One of every so many pixels of the truth, `(h, w)` uint8, 255 where unlabelled.
        prediction: The same of the prediction, 255 where nothing ran.
        frame: Where the truth's places count from.
        notes: What of the truth was left out or taken for something else.
    """

    name: str
    matrix: Tensor
    image: NDArray[np.uint8]
    truth: NDArray[np.uint8]
    prediction: NDArray[np.uint8]
    frame: str = "level0"
    notes: tuple[str, ...] = ()


class UnlabelledSlideError(DataError):
    """Nothing of a slide is labelled, so that there is nothing to score."""


def scored_plan(plan: SlidePlan, labelled: SlideTruth) -> SlidePlan:
    """The same plan with the tiles in which anything is labelled, whether tissue was found or not.

    Where tiles are blended their neighbours are run too, since they depend on them.

    Raises:
        UnlabelledSlideError: If nothing is labelled.
        DataError: If a file is broken.
    """
    places = {
        place
        for place in plan.grid.places()
        if (_truth_of(labelled, plan.grid.tile(place)) != UNLABELLED).any()
    }
    if not places:
        raise UnlabelledSlideError(
            f"{labelled.slide.path}: nothing of it is labelled; expected labels; leave it out."
        )
    if plan.context.kind == "blended":
        places = {near for place in places for near in plan.grid.neighbours(place)}
    return replace(plan, places=tuple(sorted(places)))


def count_slide(
    labelled: SlideTruth,
    network: SlideNetwork,
    plan: SlidePlan,
    *,
    scratch: Path,
    num_classes: int,
    table: Sequence[int] | None = None,
    advance: Callable[[int], object] = lambda _: None,
) -> SlideCounts:
    """Run a slide and count its pixels at the scale that the network sees.

    What cannot be decoded is not counted, and noted with its place.

    Args:
        labelled: The slide and its truth, read at the plan's scale.
        network: What is run.
        plan: Of this slide; see `scored_plan`.
        scratch: Folder for windows that wait to be blended.
        num_classes: That are told apart in the counts.
        table: From the network's classes to those of the truth; None if they are the same.
        advance: Called with 1 for every tile that is done.

    Raises:
        DataError: If a file is broken, or the disk is full.
    """
    matrix = torch.zeros(num_classes + 1, num_classes, dtype=torch.int64)
    picture = _Reduced(plan.grid.size)
    labelled.slide.pass_over_broken()
    to_scored = None if table is None else np.array(table, np.uint8)
    for core in run_cores(labelled.slide, network, plan, scratch=scratch):
        truth = _truth_of(labelled, core.tile)
        if labelled.slide.broken:
            hide_broken(truth, core.tile, broken_boxes(labelled.slide, plan))
        prediction = core.labels if to_scored is None else to_scored[core.labels]
        matrix += confusion_matrix(
            torch.from_numpy(truth), torch.from_numpy(prediction), num_classes=num_classes
        )
        picture.take(core.tile, truth, prediction)
        advance(1)
    image = _thumbnail(labelled.slide, picture.truth.shape)
    broken = broken_notes(labelled.slide, plan, broken_boxes(labelled.slide, plan))
    return SlideCounts(
        name=labelled.name,
        matrix=matrix,
        image=image,
        truth=picture.truth,
        prediction=picture.prediction,
        frame=labelled.frame,
        notes=(*labelled.notes, *(f"{labelled.name}: {note}" for note in broken)),
    )


class _Reduced:
    """Truth and prediction at every so many pixels, filled as cores come."""

    def __init__(self, size: Sequence[int]) -> None:
        self.step = max(1, ceil(max(size) / _SHOWN))
        shape = [ceil(length / self.step) for length in size]
        self.truth = np.full(shape, UNLABELLED, np.uint8)
        self.prediction = np.full(shape, UNLABELLED, np.uint8)

    def take(self, tile: Tile, truth: NDArray[np.uint8], prediction: NDArray[np.uint8]) -> None:
        firsts = [ceil(part.start / self.step) for part in tile.core]
        lasts = [ceil(part.stop / self.step) for part in tile.core]
        target = tuple(slice(*ends) for ends in zip(firsts, lasts, strict=True))
        source = tuple(
            slice(first * self.step - part.start, None, self.step)
            for first, part in zip(firsts, tile.core, strict=True)
        )
        self.truth[target] = truth[source]
        self.prediction[target] = prediction[source]


def _thumbnail(slide: Slide, shape: tuple[int, int]) -> NDArray[np.uint8]:
    """The slide as large as the reduced truth, `(h, w, 3)`."""
    picture = Image.fromarray(slide.read_thumbnail(max(shape)))
    return np.asarray(picture.resize(shape[::-1], Image.Resampling.BILINEAR))


def _truth_of(labelled: SlideTruth, tile: Tile) -> NDArray[np.uint8]:
    rows, columns = tile.core
    size = (rows.stop - rows.start, columns.stop - columns.start)
    return labelled.truth(rows.start, columns.start, size)
