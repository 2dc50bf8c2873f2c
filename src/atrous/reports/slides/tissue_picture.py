"""What of a slide was chosen: its thumbnail with the tissue outlined and the tiles that are run."""

from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from atrous._files import write_atomically
from atrous.inference.overlay import Pixels, outline, with_legend
from atrous.inference.slides.plan import SlidePlan
from atrous.types import Colour

_OUTLINE: Final[Colour] = (255, 0, 255)
_TILES: Final[Colour] = (0, 160, 60)
_PALE: Final = 0.5
"""How far what is not run is mixed with white."""


def write_tissue_picture(
    path: Path, thumbnail: Pixels, chosen: NDArray[np.bool_] | None, plan: SlidePlan, *, by: str
) -> None:
    """Write the picture as PNG; it appears when it is whole.

    Args:
        path: The file.
        thumbnail: `(H, W, 3)` RGB of the whole slide.
        chosen: Where something is to be run, on a picture of the whole slide of any size; None for
            everywhere.
        plan: The tiles.
        by: Who chose, for the legend.

    Raises:
        DataError: If it cannot be written.
    """
    height, width = thumbnail.shape[:2]
    pixels = thumbnail.astype(np.float32)
    is_run = np.zeros((height, width), np.bool_)
    scale = [length / whole for length, whole in zip((height, width), plan.grid.size, strict=True)]
    boxes = []
    for place in plan.places:
        rows, columns = plan.grid.tile(place).core
        top, bottom = round(rows.start * scale[0]), round(rows.stop * scale[0])
        left, right = round(columns.start * scale[1]), round(columns.stop * scale[1])
        is_run[top:bottom, left:right] = True
        boxes.append((left, top, max(left, right - 1), max(top, bottom - 1)))
    pixels[~is_run] += _PALE * (255 - pixels[~is_run])
    picture = Image.fromarray(np.rint(pixels).astype(np.uint8))
    draw = ImageDraw.Draw(picture)
    for box in boxes:
        draw.rectangle(box, outline=_TILES)
    if chosen is not None:
        shown = Image.fromarray(chosen.astype(np.uint8)).resize((width, height))
        marked = np.array(picture)
        marked[outline(np.asarray(shown))] = _OUTLINE
        picture = Image.fromarray(marked)
    entries = [(by, _OUTLINE), (f"{len(plan.places)} tiles that are run", _TILES)]
    with write_atomically(path) as file:
        with_legend(picture, entries).save(file, format="PNG")
