"""A scan and its labels as pictures: three planes, and a montage of axial slices.

Planes are shown as they lie in the world: square millimetres are square, the head is up, the front
is up in axial slices, and the patient's left is on the left.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from atrous.data.volumes.slice import grey8
from atrous.inference.overlay import Pixels, outline, with_legend
from atrous.inference.text_font import text_font
from atrous.types import UNLABELLED, Colour

_SIDE: Final = 420
"""Pixels of the longest side of a plane."""
_GAP: Final = 6
_NUM_SLICES: Final = 20
_COLUMNS: Final = 5
_WRONG: Final = ((220, 40, 40), (40, 120, 255))
"""Said but not true, true but not said."""

Labels = NDArray[np.uint8]
Values = NDArray[np.float32]


def three_planes(
    values: Values,
    labels: Labels,
    *,
    spacing: tuple[float, float, float],
    names: Sequence[str],
    palette: Sequence[Colour],
    truth: Labels | None = None,
) -> Image.Image:
    """Axial, coronal and sagittal plane through the middle of what is labelled, outlined.

    Args:
        values: One channel `(D, H, W)`.
        labels: Class indices; the first class is not drawn.
        spacing: mm along D, H, W.
        names: Of the classes.
        palette: Of the classes.
        truth: With it a second row shows where labels and truth differ; 255 where unlabelled.
    """
    at = middle(labels)
    grey = grey8(values)
    rows = [[_drawn(grey, labels, axis, at[axis], spacing, palette) for axis in range(3)]]
    if truth is not None:
        is_right = (labels == truth) | (truth == UNLABELLED)
        wrong = np.where(is_right, 0, np.where(labels > 0, 1, 2)).astype(np.uint8)
        colours = ((0, 0, 0), *_WRONG)
        rows.append(
            [_drawn(grey, wrong, axis, at[axis], spacing, colours, fills=True) for axis in range(3)]
        )
    entries = _entries(labels, names, palette)
    if truth is not None:
        entries += [("said, but not so in truth", _WRONG[0]), ("missed", _WRONG[1])]
    return with_legend(_grid(rows), entries)


def montage(
    values: Values,
    labels: Labels,
    *,
    spacing: tuple[float, float, float],
    names: Sequence[str],
    palette: Sequence[Colour],
) -> Image.Image:
    """Axial slices from the lowest to the highest that is labelled, evenly spread, outlined."""
    depths = np.flatnonzero(labels.any(axis=(1, 2)))
    low, high = (depths[0], depths[-1]) if len(depths) else (0, len(labels) - 1)
    chosen = sorted({round(depth) for depth in np.linspace(low, high, _NUM_SLICES)})
    grey = grey8(values)
    tiles = [_drawn(grey, labels, 0, depth, spacing, palette, side=_SIDE // 2) for depth in chosen]
    rows = [tiles[start : start + _COLUMNS] for start in range(0, len(tiles), _COLUMNS)]
    return with_legend(_grid(rows), _entries(labels, names, palette))


def outlined(grey: Pixels, labels: Labels, palette: Sequence[Colour]) -> Pixels:
    """A plane `(h, w)` as RGB, with the outlines of all classes but the first."""
    colours = np.zeros((256, 3), np.uint8)
    colours[: len(palette)] = palette
    rgb = np.repeat(grey[..., np.newaxis], 3, axis=2)
    edges = outline(labels)
    edges[:, 1:] |= labels[:, 1:] != labels[:, :-1]
    edges[1:] |= labels[1:] != labels[:-1]
    edges &= labels > 0
    rgb[edges] = colours[labels[edges]]
    return rgb


def _drawn(
    grey: Pixels,
    labels: Labels,
    axis: int,
    index: int,
    spacing: tuple[float, float, float],
    palette: Sequence[Colour],
    *,
    side: int = _SIDE,
    fills: bool = False,
) -> Image.Image:
    steps = [step for i, step in enumerate(spacing) if i != axis]
    # Up is the end of the first axis that is left: the head, or the front of an axial slice.
    plane, mask = (np.take(volume, index, axis=axis)[::-1] for volume in (grey, labels))
    lengths = [n * step for n, step in zip(plane.shape, steps, strict=True)]
    scale = side / max(lengths)
    size_wh = (max(1, round(lengths[1] * scale)), max(1, round(lengths[0] * scale)))
    smooth = np.asarray(Image.fromarray(plane).resize(size_wh, Image.Resampling.BILINEAR))
    crisp = np.asarray(Image.fromarray(mask).resize(size_wh, Image.Resampling.NEAREST))
    rgb = outlined(smooth, crisp, palette)
    if fills:
        colours = np.array([*palette, *[(0, 0, 0)] * (256 - len(palette))], np.uint8)
        rgb[crisp > 0] = colours[crisp[crisp > 0]]
    picture = Image.fromarray(rgb)
    _letters(picture, axis)
    return picture


def _letters(picture: Image.Image, axis: int) -> None:
    """Where left, right, front and back are."""
    left, right = ("L", "R") if axis < 2 else ("P", "A")
    draw, font = ImageDraw.Draw(picture), text_font(13)
    middle = picture.height // 2 - 8
    draw.text((3, middle), left, fill="white", font=font)
    draw.text((picture.width - 13, middle), right, fill="white", font=font)


def middle(labels: Labels) -> tuple[int, int, int]:
    """The voxel that planes are laid through: amid what is labelled, else amid all."""
    is_labelled = labels > 0
    total = np.count_nonzero(is_labelled)
    if not total:
        depth, height, width = labels.shape
        return depth // 2, height // 2, width // 2
    across = np.zeros(labels.shape[1:], np.int64)
    for plane in is_labelled:
        across += plane
    counts = (is_labelled.sum(axis=(1, 2)), across.sum(axis=1), across.sum(axis=0))
    mean = [float(np.arange(len(n)) @ n) / total for n in counts]
    # The labelled voxel nearest to the mean: the mean itself may lie between two structures.
    rows, columns = np.ogrid[: labels.shape[1], : labels.shape[2]]
    in_plane = (rows - mean[1]) ** 2 + (columns - mean[2]) ** 2
    best, found = np.inf, (0, 0, 0)
    for depth in np.flatnonzero(counts[0]):
        far = np.where(is_labelled[depth], (depth - mean[0]) ** 2 + in_plane, np.inf)
        if far.min() < best:
            best, at = far.min(), np.unravel_index(far.argmin(), far.shape)
            found = (int(depth), int(at[0]), int(at[1]))
    return found


def _entries(
    labels: Labels, names: Sequence[str], palette: Sequence[Colour]
) -> list[tuple[str, Colour]]:
    present = np.zeros(256, np.int64)
    for plane in labels:  # counts take eight bytes for every voxel that they are given
        present += np.bincount(plane.ravel(), minlength=256)
    return [
        (name, colour)
        for index, (name, colour) in enumerate(zip(names, palette, strict=True))
        if index and present[index]
    ]


def _grid(rows: Sequence[Sequence[Image.Image]]) -> Image.Image:
    heights = [max(picture.height for picture in row) for row in rows]
    widths = [sum(picture.width + _GAP for picture in row) - _GAP for row in rows]
    sheet = Image.new("RGB", (max(widths), sum(heights) + _GAP * (len(rows) - 1)), "black")
    top = 0
    for row, height in zip(rows, heights, strict=True):
        left = 0
        for picture in row:
            sheet.paste(picture, (left, top + (height - picture.height) // 2))
            left += picture.width + _GAP
        top += height + _GAP
    return sheet
