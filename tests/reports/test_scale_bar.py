"""Scale bars: a round length, as long as they say."""

import numpy as np
import pytest
from PIL import Image

from atrous.inference.text_font import text_font
from atrous.reports.scale_bar import draw_scale_bar, length_text, round_length


@pytest.mark.parametrize("longest", [0.0123, 0.7, 1, 9.99, 10, 123, 4999, 5000, 1e6])
def test_lengths_are_round_and_between_two_fifths_and_the_whole(longest):
    length = round_length(longest)
    assert 0.4 * longest <= length <= longest
    assert f"{length:e}"[0] in "125"
    assert float(f"{length:e}"[:8]) in (1, 2, 5)


@pytest.mark.parametrize(("um", "text"), [(50, "50 µm"), (1000, "1 mm"), (20000, "20 mm")])
def test_lengths_are_written_in_their_unit(um, text):
    assert length_text(um) == text


@pytest.mark.parametrize(("width", "um_per_pixel"), [(1000, 2.0), (640, 0.31), (300, 40.0)])
def test_the_bar_is_as_long_as_it_says(width, um_per_pixel):
    picture = Image.new("RGB", (width, 400), (200, 120, 160))
    draw_scale_bar(picture, um_per_pixel=um_per_pixel)
    black = (np.array(picture) == 0).all(axis=2)
    box = black.sum(axis=1) > 10
    inner = [
        np.flatnonzero(row[4:-4]) for row in black[box] if np.diff(np.flatnonzero(row)).max() > 1
    ]
    runs = {
        len(run) for row in inner for run in np.split(row, np.flatnonzero(np.diff(row) > 1) + 1)
    }
    assert round(round_length(um_per_pixel * width / 4) / um_per_pixel) in runs


@pytest.mark.parametrize("size", [(5, 5), (20, 300), (300, 20)])
def test_tiny_pictures_do_not_break_it(size):
    picture = Image.new("RGB", size)
    draw_scale_bar(picture, um_per_pixel=1.0)
    assert picture.size == size


def test_the_font_has_the_signs_that_are_written():
    font = text_font(20)
    missing = bytes(font.getmask("\uffff"))
    for sign in "µ²äßé±":
        assert bytes(font.getmask(sign)) != missing
