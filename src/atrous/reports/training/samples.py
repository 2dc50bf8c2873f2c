"""A sheet of sample predictions: image, truth and prediction side by side, with a legend."""

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from atrous.inference.overlay import tint, with_legend
from atrous.networks.card import Card

Row: TypeAlias = tuple[str, NDArray[np.uint8], NDArray[np.integer], NDArray[np.integer]]
"""Name, RGB image `(H, W, 3)`, true mask and predicted mask `(H, W)`."""

WIDTH = 320
"""Of every picture on the sheet, pixels."""
GAP = 4


def sample_sheet(rows: Sequence[Row], card: Card) -> Image.Image:
    """Rows of three pictures: the image, its true classes, the predicted ones."""
    pictures = [
        [
            _fitted(image),
            _fitted(tint(image, truth, card.palette)),
            _fitted(tint(image, predicted, card.palette)),
        ]
        for _, image, truth, predicted in rows
    ]
    height = sum(row[0].height + GAP for row in pictures)
    sheet = Image.new("RGB", (3 * (WIDTH + GAP), height), "white")
    top = 0
    for row in pictures:
        for column, picture in enumerate(row):
            sheet.paste(picture, (column * (WIDTH + GAP), top))
        top += row[0].height + GAP
    return with_legend(sheet, list(zip(card.class_names, card.palette, strict=True)))


def _fitted(pixels: NDArray[np.uint8]) -> Image.Image:
    picture = Image.fromarray(pixels)
    height = max(1, round(picture.height * WIDTH / picture.width))
    return picture.resize((WIDTH, height), Image.Resampling.BILINEAR)
