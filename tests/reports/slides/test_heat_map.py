"""Heat maps of a diagnosis and the tissue that speaks for it."""

import numpy as np
import pytest
from PIL import Image

from atrous.errors import ShapeError
from atrous.reports.figure_file import write_figure
from atrous.reports.slides.heat_map import discriminative_mask, discriminative_picture, heat_map


def test_the_mask_is_the_tissue_of_tiles_where_the_diagnosis_is_most_probable():
    labels = np.random.default_rng(0).integers(0, 5, (60, 80)).astype(np.uint8)
    labels[:10] = 255
    probabilities = np.random.default_rng(1).dirichlet([1] * 4, (3, 4)).transpose(2, 0, 1)
    probabilities[:, 1, 2] = np.nan
    for diagnosis in range(4):
        mask = discriminative_mask(labels, probabilities, diagnosis=diagnosis)
        for row in range(3):
            for column in range(4):
                tile = np.s_[row * 20 : row * 20 + 20, column * 20 : column * 20 + 20]
                of_tile = probabilities[:, row, column]
                is_most = not np.isnan(of_tile).any() and of_tile.argmax() == diagnosis
                expected = labels[tile] if is_most else np.full((20, 20), 255)
                assert np.array_equal(mask[tile], expected)


def test_wrong_shapes_are_refused():
    labels = np.zeros((6, 8), np.uint8)
    for probabilities, diagnosis in ((np.zeros((3, 4)), 0), (np.zeros((2, 3, 4)), 2)):
        with pytest.raises(ShapeError, match="do not fit"):
            discriminative_mask(labels, probabilities, diagnosis=diagnosis)
    with pytest.raises(ShapeError, match="equal sizes"):
        discriminative_picture(
            np.zeros((5, 8, 3), np.uint8), labels, class_names=("a",), palette=((1, 2, 3),),
            mpp=(1.0, 1.0),
        )  # fmt: skip


def test_the_picture_is_coloured_where_the_mask_is_and_pale_elsewhere():
    thumbnail = np.full((200, 400, 3), 80, np.uint8)
    mask = np.full((200, 400), 255, np.uint8)
    mask[:, :100] = 1
    picture = np.array(
        discriminative_picture(
            thumbnail, mask, class_names=("a", "b"), palette=((9, 9, 9), (200, 0, 40)),
            mpp=(4.0, 4.0),
        )
    )  # fmt: skip
    assert picture[20, 20].tolist() == [170, 20, 50]
    assert len(set(picture[20, 300].tolist())) == 1
    assert picture[20, 300, 0] > 160


def test_hot_tiles_are_brighter_and_bare_ones_show_the_slide(tmp_path):
    thumbnail = np.full((300, 400, 3), 128, np.uint8)
    probabilities = np.array([[0.0, 1.0], [np.nan, 0.5]])
    path = tmp_path / "heat.png"
    write_figure(heat_map(thumbnail, probabilities, name="DCIS", mpp=(2.0, 2.0)), path)
    with Image.open(path) as picture:
        seen = np.array(picture.convert("RGB")).astype(int)
    height, width = seen.shape[:2]
    cold, hot = seen[height // 4, width // 5], seen[height // 4, width * 3 // 5]
    bare = seen[height * 3 // 5, width // 5]
    assert hot.sum() > cold.sum() + 150
    assert bare.tolist() == [128, 128, 128]


@pytest.mark.parametrize("wrong", [np.zeros(3), np.full((2, 2), 1.5), np.full((2, 2), -0.1)])
def test_numbers_that_are_no_probabilities_are_refused(wrong):
    with pytest.raises(ShapeError, match="of 0 to 1"):
        heat_map(np.zeros((9, 9, 3), np.uint8), wrong, name="DCIS", mpp=(1.0, 1.0))


def test_a_slide_where_nothing_ran_has_a_heat_map_too(tmp_path):
    figure = heat_map(
        np.zeros((90, 90, 3), np.uint8), np.full((2, 2), np.nan), name="DCIS", mpp=(1.0, 2.0)
    )
    write_figure(figure, tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_size > 0
