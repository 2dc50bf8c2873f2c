"""The font of what is written into pictures."""

from pathlib import Path

from PIL import ImageFont


def text_font(size: int) -> ImageFont.FreeTypeFont:
    """DejaVu Sans as matplotlib brings it: unlike Pillow's own it has µ, ² and most alphabets.

    Args:
        size: Pixels.
    """
    import matplotlib as mpl

    path = Path(mpl.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
    return ImageFont.truetype(path, size)
