"""Overlays: tint, outlines, unlabelled pixels, and a legend that fits its sheet."""

import numpy as np
import pytest
import torch
from PIL import Image

from atrous.inference.overlay import outline, overlay, tint, with_legend

PALETTE = ((200, 0, 0), (0, 200, 0))


def test_half_image_half_class_and_the_class_alone_on_its_outline():
    image = np.full((4, 6, 3), 100, np.uint8)
    mask = np.zeros((4, 6), np.uint8)
    mask[:, 3:] = 1
    tinted = tint(image, mask, PALETTE)
    assert tinted[0, 0].tolist() == [150, 50, 50]
    assert tinted[0, 5].tolist() == [50, 150, 50]
    assert tinted[:, 2].tolist() == [list(PALETTE[0])] * 4
    assert outline(mask).sum() == 4


def test_unlabelled_pixels_show_the_image():
    image = np.random.default_rng(0).integers(0, 256, (4, 4, 3), np.uint8)
    assert np.array_equal(tint(image, np.full((4, 4), 255, np.uint8), PALETTE), image)


@pytest.mark.parametrize("size", [(1, 1), (40, 30), (30, 900)])
def test_the_overlay_holds_the_picture_and_a_legend_of_what_is_there(size):
    mask = torch.zeros(size, dtype=torch.uint8)
    image = np.zeros((*size, 3), np.uint8)
    sheet = overlay(image, mask.numpy(), names=("a", "b"), palette=PALETTE)
    assert sheet.width >= size[1]
    assert sheet.height > size[0]
    colours = {colour for _, colour in sheet.getcolors(sheet.width * sheet.height)}
    assert PALETTE[0] in colours
    assert PALETTE[1] not in colours


def test_many_long_entries_wrap_inside_the_sheet():
    entries = [(f"a rather long class name {i} 12.3%", (i, 0, 0)) for i in range(40)]
    sheet = with_legend(Image.new("RGB", (200, 10)), entries)
    pixels = np.array(sheet)
    assert (pixels[10:, -1] == 255).all()
    assert sheet.height > 10 + 40 * 13 / 2


def test_no_entries_leave_the_picture_alone():
    sheet = with_legend(Image.new("RGB", (400, 10), "red"), [])
    assert sheet.getpixel((0, 0)) == (255, 0, 0)
