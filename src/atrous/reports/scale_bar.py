"""A bar of a round length drawn into a picture."""

from math import floor, log10

from PIL import Image, ImageDraw

from atrous.inference.text_font import text_font


def round_length(longest: float) -> float:
    """The largest of 1, 2 and 5 times a power of ten that is not longer, same unit.

    Example:
        >>> [round_length(longest) for longest in (999, 1000, 4.9, 0.03)]
        [500.0, 1000.0, 2.0, 0.02]
    """
    power = floor(log10(longest))
    steps = [digit * 10.0**exponent for exponent in (power - 1, power) for digit in (1, 2, 5)]
    fitting = [step for step in steps if step <= longest * (1 + 1e-9)]
    return float(f"{fitting[-1]:.1g}")


def length_text(um: float) -> str:
    """Micrometres below a millimetre, millimetres from there on.

    Example:
        >>> length_text(500), length_text(2000), length_text(0.5)
        ('500 µm', '2 mm', '0.5 µm')
    """
    return f"{um / 1000:g} mm" if um >= 1000 else f"{um:g} µm"


def draw_scale_bar(picture: Image.Image, *, um_per_pixel: float) -> None:
    """Draw a bar with its length into the lower left corner, on white; a quarter as wide at most.

    Args:
        picture: RGB; drawn into.
        um_per_pixel: Micrometres per pixel of the picture, to the right.
    """
    draw = ImageDraw.Draw(picture)
    size = max(11, min(picture.size) // 40)
    font = text_font(size)
    um = round_length(um_per_pixel * max(picture.width / 4, 1))
    bar, text, gap = round(um / um_per_pixel), length_text(um), max(3, size // 3)
    thickness = max(3, size // 4)
    width = max(bar, round(font.getlength(text)))
    box_height = size + thickness + 3 * gap
    top = picture.height - box_height - gap
    draw.rectangle((gap, top, 3 * gap + width, top + box_height), fill="white", outline="black")
    draw.text((2 * gap, top + gap // 2), text, fill="black", font=font)
    low = top + box_height - gap
    draw.rectangle((2 * gap, low - thickness + 1, 2 * gap + bar - 1, low), fill="black")
