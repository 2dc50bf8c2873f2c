"""Values as pages show them: fractions in percent, intervals, pictures inside the page."""

import base64
import io
import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def percent(value: float) -> str:
    """A fraction in percent, or a dash for not-a-number.

    Example:
        >>> percent(0.7), percent(math.nan)
        ('70.00', '-')
    """
    return "-" if math.isnan(value) else f"{100 * value:.2f}"


def bounds(interval: tuple[float, float] | None) -> str:
    """An interval of fractions in percent; nothing for None.

    Example:
        >>> bounds((0.25, 0.75)), bounds(None)
        ('25.00 to 75.00', '')
    """
    return "" if interval is None else f"{percent(interval[0])} to {percent(interval[1])}"


def embedded(pixels: NDArray[np.uint8], *, width: int) -> str:
    """A picture as the address of an `img`: JPEG inside the page.

    Args:
        pixels: `(H, W, 3)` RGB.
        width: Wider pictures are shrunk to this.
    """
    picture = Image.fromarray(pixels)
    if picture.width > width:
        height = max(1, round(picture.height * width / picture.width))
        picture = picture.resize((width, height), Image.Resampling.BOX)
    data = io.BytesIO()
    picture.save(data, format="JPEG", quality=85)
    return f"data:image/jpeg;base64,{base64.b64encode(data.getvalue()).decode()}"
