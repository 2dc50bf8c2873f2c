"""A slide's thumbnail tinted by tissue, with a legend of areas and a scale bar."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from atrous._files import write_atomically
from atrous.data.slides.mask_map import Labels, MaskMap, check_classes
from atrous.inference.overlay import Pixels, tint, with_legend
from atrous.reports.scale_bar import draw_scale_bar
from atrous.types import Colour, Size


def write_slide_overlay(
    label_map: MaskMap,
    thumbnail: Pixels,
    path: Path,
    *,
    class_names: Sequence[str],
    palette: Sequence[Colour],
    mpp: tuple[float, float],
    areas: Sequence[float],
) -> None:
    """Write `slide_overlay` as PNG; it appears when it is whole.

    Raises:
        DataError: If the map holds other classes, or the file cannot be written.
    """
    picture = slide_overlay(
        label_map, thumbnail, class_names=class_names, palette=palette, mpp=mpp, areas=areas
    )
    with write_atomically(path) as file:
        picture.save(file, format="PNG")


def slide_overlay(
    label_map: MaskMap,
    thumbnail: Pixels,
    *,
    class_names: Sequence[str],
    palette: Sequence[Colour],
    mpp: tuple[float, float],
    areas: Sequence[float],
) -> Image.Image:
    """The thumbnail tinted by tissue; where nothing ran it stays as it is.

    Args:
        label_map: Class indices, and 255 where nothing ran.
        thumbnail: `(H, W, 3)` RGB of the same part of the slide, of any size.
        class_names: One name a class.
        palette: One colour a class.
        mpp: Micrometres per pixel of the map, down and to the right.
        areas: mm² of each class, for the legend; those without area are left out.

    Raises:
        DataError: If the map holds other classes.
    """
    labels = sample_labels(label_map, (thumbnail.shape[0], thumbnail.shape[1]))
    check_classes(labels, len(class_names))
    picture = Image.fromarray(tint(thumbnail, labels, palette))
    draw_scale_bar(picture, um_per_pixel=mpp[1] * label_map.size[1] / picture.width)
    total = sum(areas)
    entries = [
        (f"{name} {_area(area)}, {area / total:.1%}", colour)
        for area, name, colour in sorted(
            zip(areas, class_names, palette, strict=True), key=lambda entry: -entry[0]
        )
        if area > 0
    ]
    return with_legend(picture, entries)


def sample_labels(label_map: MaskMap, size: Size) -> Labels:
    """The label in the middle of every cell of a `(H, W)` grid over the map, read by its chunks.

    Args:
        label_map: Of any size.
        size: `(H, W)` of the grid.
    """
    down, right = (_middles(*lengths) for lengths in zip(label_map.size, size, strict=True))
    sampled = np.empty(size, np.uint8)
    for rows, top, height in _groups(down, label_map.chunk[0]):
        for columns, left, width in _groups(right, label_map.chunk[1]):
            part = label_map.read(top, left, height, width)
            sampled[rows, columns] = part[down[rows] - top][:, right[columns] - left]
    return sampled


def _middles(length: int, count: int) -> NDArray[np.int64]:
    return ((2 * np.arange(count, dtype=np.int64) + 1) * length) // (2 * count)


def _groups(places: NDArray[np.int64], chunk: int) -> list[tuple[slice, int, int]]:
    """Runs of places inside one chunk: which they are, and start and length of what to read."""
    numbers = places // chunk
    starts = np.flatnonzero(np.diff(numbers, prepend=-1)).tolist()
    groups = []
    for start, stop in zip(starts, [*starts[1:], len(places)], strict=True):
        first, last = int(places[start]), int(places[stop - 1])
        groups.append((slice(start, stop), first, last - first + 1))
    return groups


def _area(mm2: float) -> str:
    return f"{mm2:.3g} mm²" if mm2 >= 0.001 else "<0.001 mm²"
