"""Backgrounds: transparent, blurred without a halo, replaced by a picture that covers."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from atrous.reports.photos.background import (
    BLUR,
    Edits,
    blur_background,
    cut_out,
    replace_background,
)
from atrous.reports.photos.matte import Matte

RED, BLUE = np.array([220, 10, 0], np.uint8), np.array([0, 40, 230], np.uint8)


@pytest.fixture
def square():
    """A red square, opaque, before blue."""
    opacity = np.zeros((90, 130), np.float32)
    opacity[30:60, 40:90] = 1
    image = np.where(opacity[..., None] > 0, RED, BLUE)
    return Matte(image=image, opacity=opacity, colours=image * (opacity[..., None] > 0))


def test_a_cut_out_is_transparent_behind_and_the_photo_in_front(square):
    picture = cut_out(square)
    assert (picture.mode, picture.size) == ("RGBA", (130, 90))
    pixels = np.asarray(picture)
    assert (pixels[..., 3] == 255 * square.opacity).all()
    assert (pixels[square.opacity == 1, :3] == RED).all()


def test_a_blurred_background_takes_no_colour_from_the_front(square):
    pixels = np.asarray(blur_background(square)).astype(int)
    assert np.abs(pixels[square.opacity == 0] - BLUE).max() <= 1
    assert (pixels[square.opacity == 1] == RED).all()


def test_without_a_front_the_blur_is_a_gaussian_of_the_stated_width():
    image = np.random.default_rng(0).integers(0, 256, (300, 400, 3), np.uint8)
    empty = np.zeros((300, 400), np.float32)
    blurred = np.asarray(
        blur_background(Matte(image=image, opacity=empty, colours=np.zeros_like(image)))
    )
    sigma = BLUR * 400
    expected = gaussian_filter(image.astype(float), (sigma, sigma, 0), mode="nearest")
    assert np.abs(blurred - expected).mean() < 1
    assert np.abs(blurred - expected)[20:-20, 20:-20].max() < 4


def test_all_front_is_the_photo():
    image = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    matte = Matte(image=image, opacity=np.ones((20, 30), np.float32), colours=image)
    assert (np.asarray(blur_background(matte)) == image).all()
    other = np.zeros((5, 5, 3), np.uint8)
    assert (np.asarray(replace_background(matte, other)) == image).all()


def test_another_picture_is_scaled_to_cover_and_its_middle_is_kept(square):
    wide = np.zeros((60, 600, 3), np.uint8)
    wide[:, 300:] = 255  # dark to the left of its middle, light to the right
    pixels = np.asarray(replace_background(square, wide))
    assert pixels.shape == (90, 130, 3)
    assert (pixels[:30, :60] == 0).all()
    assert (pixels[:30, 70:] == 255).all()
    assert (pixels[square.opacity == 1] == RED).all()


@pytest.mark.parametrize("length", [1, 2, 3])
def test_the_smallest_photos_are_possible(length):
    image = np.full((length, 1, 3), 77, np.uint8)
    matte = Matte(image=image, opacity=np.full((length, 1), 0.5, np.float32), colours=image)
    assert (np.asarray(blur_background(matte)) == 77).all()
    assert (np.asarray(replace_background(matte, image)) == 77).all()


def test_what_pictures_depend_on_tells_classes_and_pictures_apart():
    names = ("background", "person", "dog")
    black, white = np.zeros((4, 6, 3), np.uint8), np.full((4, 6, 3), 255, np.uint8)

    def traces(foreground, picture):
        edits = Edits(foreground=foreground, kinds=("cutouts", "replaced"), picture=picture)
        return edits.traces(names)

    first = traces(1, black)
    assert first["cutouts"] == {"foreground": "person"}
    assert traces(1, black.copy()) == first
    assert traces(1, white)["replaced"] != first["replaced"]
    assert traces(1, white)["cutouts"] == first["cutouts"]
    assert traces(1, black.reshape(6, 4, 3))["replaced"] != first["replaced"]
    assert traces(2, black)["cutouts"] != first["cutouts"]
    with pytest.raises(ValueError, match="A picture is needed"):
        Edits(foreground=1, kinds=("replaced",))
