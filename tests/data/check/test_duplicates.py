"""Images that are there twice: copies, new compressions, and pictures that only seem alike."""

import io

import numpy as np
import pytest
from PIL import Image

from atrous.data.check.duplicates import connected, equal_groups, near_groups, near_pairs
from atrous.data.check.inspect import _image_look  # the one function that makes what is compared


def scene(seed, size=(90, 120)):
    """Smooth noise, as photos are at the scale of thumbnails."""
    rough = np.random.default_rng(seed).integers(0, 256, (7, 9, 3), np.uint8)
    return Image.fromarray(rough).resize(size[::-1], Image.Resampling.BICUBIC)


def look(image, name="image"):
    return _image_look(name, np.array(image))


def compressed(image, quality):
    data = io.BytesIO()
    image.save(data, format="JPEG", quality=quality)
    return Image.open(data).convert("RGB")


def test_equal_pixels_make_a_group_whatever_the_name():
    looks = [look(scene(seed)) for seed in (0, 1, 0, 2, 1, 0)]
    assert equal_groups(looks) == [[0, 2, 5], [1, 4]]


def test_one_pixel_or_another_shape_is_not_equal():
    pixels = np.array(scene(0))
    other = pixels.copy()
    other[3, 4, 1] ^= 1
    reshaped = pixels.reshape(pixels.shape[1], pixels.shape[0], 3)
    assert equal_groups([_image_look("a", p) for p in (pixels, other, reshaped)]) == []


@pytest.mark.parametrize(
    "altered",
    [
        lambda image: compressed(image, 40),
        lambda image: image.resize((60, 45)),
        lambda image: image.resize((257, 193), Image.Resampling.BILINEAR),
        lambda image: image.point(lambda level: min(255, level + 3)),
    ],
)
def test_a_new_compression_size_or_brightness_is_nearly_the_same(altered):
    looks = [look(scene(0)), look(scene(1)), look(altered(scene(0)))]
    assert near_groups(looks) == [[0, 2]]
    assert near_pairs(looks[2:], looks[:2]) == [(0, 0)]
    assert near_pairs(looks[:2], looks[2:]) == [(0, 0)]


def test_other_scenes_are_not_and_equal_ones_are_no_near_pair():
    looks = [look(scene(seed)) for seed in range(40)]
    assert near_groups(looks) == []
    assert near_pairs(looks, looks) == []


def test_the_same_scene_in_another_light_is_not_nearly_the_same():
    darker = scene(0).point(lambda level: level // 2)  # correlates fully
    assert near_groups([look(scene(0)), look(darker)]) == []


def test_blank_images_of_different_grey_are_not_alike():
    blanks = [look(Image.new("RGB", (20, 20), (level,) * 3)) for level in (0, 128, 129, 255)]
    assert near_groups(blanks) == []


def test_nothing_is_like_nothing():
    assert near_groups([]) == near_pairs([], [look(scene(0))]) == equal_groups([]) == []
    assert connected(3, []) == []
