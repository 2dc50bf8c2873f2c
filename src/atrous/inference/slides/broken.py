"""Tiles of a slide that could not be decoded: where they lie for the network, and what is said."""

from collections.abc import Iterable, Sequence
from math import ceil, floor

import numpy as np
from numpy.typing import NDArray

from atrous.data.slides.read import Slide
from atrous.inference.slides.cut_map import Box
from atrous.inference.slides.plan import SlidePlan
from atrous.inference.tiles.grid import Tile
from atrous.types import UNLABELLED


def broken_boxes(slide: Slide, plan: SlidePlan, earlier: Iterable[Sequence[int]] = ()) -> list[Box]:
    """Top, left, bottom and right of what could not be read for the network, in the plan's pixels.

    Args:
        slide: That was run.
        plan: As it ran.
        earlier: What `Slide.broken` said in runs that were stopped.
    """
    level = slide.source_level(plan.mpp)
    down, right = plan.scale
    return sorted(
        (
            floor(top / down),
            floor(left / right),
            ceil((top + height) / down),
            ceil((left + width) / right),
        )
        for number, top, left, height, width in {*map(tuple, earlier), *slide.broken}
        if number == level
    )


def hide_broken(labels: NDArray[np.uint8], tile: Tile, boxes: Sequence[Box]) -> None:
    """Write 255 into the labels of a tile's core, `(h, w)`, wherever a box lies."""
    rows, columns = tile.core
    for top, left, bottom, right in boxes:
        down = slice(max(top - rows.start, 0), max(bottom - rows.start, 0))
        along = slice(max(left - columns.start, 0), max(right - columns.start, 0))
        labels[down, along] = UNLABELLED


def broken_notes(slide: Slide, plan: SlidePlan, boxes: Sequence[Box]) -> list[str]:
    """Where a slide could not be read, in pixels of level 0."""
    notes = [
        f"a broken tile is left unlabelled: rows {round(box[0] * plan.scale[0])} to "
        f"{round(box[2] * plan.scale[0])}, columns {round(box[1] * plan.scale[1])} to "
        f"{round(box[3] * plan.scale[1])} of level 0"
        for box in _merged(boxes)
    ]
    others = {level for level, *_ in slide.broken} - {slide.source_level(plan.mpp)}
    if others:
        levels = ", ".join(map(str, sorted(others)))
        notes.append(f"broken tiles of level {levels} are white on the pictures")
    return notes


def _merged(boxes: Sequence[Box]) -> list[Box]:
    """Boxes that touch as the one around them."""
    merged: list[Box] = []
    for box in boxes:
        top, left, bottom, right = box
        apart = []
        for other in merged:
            if other[0] <= bottom and top <= other[2] and other[1] <= right and left <= other[3]:
                top, left = min(top, other[0]), min(left, other[1])
                bottom, right = max(bottom, other[2]), max(right, other[3])
            else:
                apart.append(other)
        merged = [*apart, (top, left, bottom, right)]
    return merged
