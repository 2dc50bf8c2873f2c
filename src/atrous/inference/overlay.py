"""A mask drawn over its image, with a legend that people can read."""

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from atrous.inference.text_font import text_font
from atrous.types import UNLABELLED, Colour

Pixels: TypeAlias = NDArray[np.uint8]

MIN_WIDTH = 360
"""Narrower pictures get a legend of this width, so that class names fit."""


def overlay(
    image: Pixels, mask: NDArray[np.integer], *, names: Sequence[str], palette: Sequence[Colour]
) -> Image.Image:
    """The image tinted by class, outlines in full colour, and a legend with shares below.

    Args:
        image: `(H, W, 3)` RGB.
        mask: `(H, W)` class indices.
        names: Name of every class.
        palette: Colour of every class.
    """
    tinted = tint(image, mask, palette)
    counts = np.bincount(mask.ravel(), minlength=len(names)).tolist()
    shares = {name: count / mask.size for name, count in zip(names, counts, strict=True)}
    present = sorted((name for name in shares if shares[name]), key=lambda name: -shares[name])
    entries = [
        (f"{name} {_percent(shares[name])}", colour)
        for name in present
        for colour in [palette[list(names).index(name)]]
    ]
    return with_legend(Image.fromarray(tinted), entries)


def tint(image: Pixels, mask: NDArray[np.integer], palette: Sequence[Colour]) -> Pixels:
    """Half image, half class colour; where classes meet, the class colour alone.

    Args:
        image: `(H, W, 3)` RGB.
        mask: `(H, W)` class indices; 255 (unlabelled) shows the image as it is.
        palette: One colour per class.
    """
    colours = np.zeros((256, 3), np.uint8)
    colours[: len(palette)] = palette
    painted = colours[mask]
    tinted = (image >> 1) + (painted >> 1)
    edges = outline(mask)
    tinted[edges] = painted[edges]
    unlabelled = mask == UNLABELLED
    tinted[unlabelled] = image[unlabelled]
    return tinted


def outline(mask: NDArray[np.integer]) -> NDArray[np.bool_]:
    """`(H, W)`, true where the pixel to the right or below is of another class."""
    edges = np.zeros(mask.shape, np.bool_)
    edges[:, :-1] |= mask[:, :-1] != mask[:, 1:]
    edges[:-1] |= mask[:-1] != mask[1:]
    return edges


def with_legend(picture: Image.Image, entries: Sequence[tuple[str, Colour]]) -> Image.Image:
    """The picture on a white sheet, and below it a patch of colour and a text for every entry."""
    width = max(picture.width, MIN_WIDTH)
    text_size = max(13, width // 55)
    font = text_font(text_size)
    gap = text_size // 2
    line_height = text_size + gap
    rows = _wrap(entries, font, width=width - 2 * gap, patch=text_size, gap=gap)
    sheet = Image.new("RGB", (width, picture.height + gap + line_height * len(rows) + gap), "white")
    sheet.paste(picture, ((width - picture.width) // 2, 0))
    draw = ImageDraw.Draw(sheet)
    top = picture.height + gap
    for row in rows:
        for left, text, colour in row:
            box = (left, top, left + text_size, top + text_size)
            draw.rectangle(box, fill=colour, outline="black")
            draw.text((left + text_size + gap, top), text, fill="black", font=font)
        top += line_height
    return sheet


def _wrap(
    entries: Sequence[tuple[str, Colour]],
    font: ImageFont.FreeTypeFont,
    *,
    width: int,
    patch: int,
    gap: int,
) -> list[list[tuple[int, str, Colour]]]:
    """Entries in columns as wide as the longest needs, each with its left edge in pixels."""
    if not entries:
        return []
    longest = max(font.getlength(text) for text, _ in entries)
    column = int(patch + gap + longest + 2 * gap)
    per_row = max(1, width // column)
    return [
        [
            (gap + column * index, text, colour)
            for index, (text, colour) in enumerate(entries[start : start + per_row])
        ]
        for start in range(0, len(entries), per_row)
    ]


def _percent(share: float) -> str:
    return f"{share:.1%}" if share >= 0.001 else "<0.1%"
