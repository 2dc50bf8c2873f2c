"""Pictures of shapes: the same seed the same picture, and masks that fit what is drawn."""

import numpy as np
import pytest

from atrous.data.synthetic.shapes import SHAPE_CLASSES, draw_shapes, write_mask_folder


def test_the_same_index_and_seed_give_the_same_picture():
    for first, again in zip(draw_shapes(5, seed=3), draw_shapes(5, seed=3), strict=True):
        assert np.array_equal(first, again)


@pytest.mark.parametrize(("index", "seed"), [(6, 3), (5, 4)])
def test_another_index_or_seed_gives_another(index, seed):
    assert not np.array_equal(draw_shapes(5, seed=3)[1], draw_shapes(index, seed=seed)[1])


def test_forms_and_types():
    rgb, mask = draw_shapes(0, size=(21, 34))
    assert rgb.shape == (21, 34, 3)
    assert mask.shape == (21, 34)
    assert rgb.dtype == mask.dtype == np.uint8


def test_all_classes_appear_within_a_few_pictures():
    seen = set().union(*(np.unique(draw_shapes(index)[1]).tolist() for index in range(10)))
    assert seen == set(range(len(SHAPE_CLASSES)))


def test_the_image_shows_the_mask():
    """The mean colours of any two classes lie further apart than the noise is wide."""
    pictures = [draw_shapes(index) for index in range(20)]
    pixels = np.concatenate([rgb.reshape(-1, 3) for rgb, _ in pictures]).astype(float)
    classes = np.concatenate([mask.ravel() for _, mask in pictures])
    means = [pixels[classes == index].mean(axis=0) for index in range(len(SHAPE_CLASSES))]
    widest = max(pixels[classes == index].std(axis=0).max() for index in range(len(means)))
    distances = [np.linalg.norm(a - b) for i, a in enumerate(means) for b in means[:i]]
    assert min(distances) > 4 * widest


def test_no_shapes_leave_background():
    assert draw_shapes(0, num_shapes=0)[1].max() == 0


def test_writing_twice_gives_the_same_files(tmp_path):
    first = write_mask_folder(tmp_path / "a", num_images=2)
    again = write_mask_folder(tmp_path / "b", num_images=2)
    for path in sorted(first.rglob("*.png")):
        assert path.read_bytes() == (again / path.relative_to(first)).read_bytes()
