"""Maps that are read in rectangles."""

import numpy as np
import pytest

from atrous.data.slides.mask_map import ArrayLabelMap, check_classes, iterate_chunks
from atrous.errors import DataError, ShapeError


def test_chunks_cover_a_map_once_row_by_row():
    labels = np.random.default_rng(0).integers(0, 9, (23, 31)).astype(np.uint8)
    covered = np.full(labels.shape, 255, np.uint8)
    places = []
    for top, left, part in iterate_chunks(ArrayLabelMap(labels, chunk=(7, 10))):
        places.append((top, left))
        window = covered[top : top + part.shape[0], left : left + part.shape[1]]
        assert (window == 255).all()
        window[:] = part
    assert np.array_equal(covered, labels)
    assert places == sorted(places)


@pytest.mark.parametrize(
    "labels",
    [np.zeros((2, 2), np.int64), np.zeros((2, 2, 3), np.uint8), np.zeros((0, 2), np.uint8)],
)
def test_arrays_that_are_no_map_are_refused(labels):
    with pytest.raises(ShapeError, match="expected"):
        ArrayLabelMap(labels)


def test_an_empty_chunk_is_refused():
    with pytest.raises(ShapeError, match="at least 1"):
        ArrayLabelMap(np.zeros((2, 2), np.uint8), chunk=(0, 4))


def test_255_is_allowed_and_other_values_beyond_the_classes_are_not():
    check_classes(np.array([[0, 2, 255]], np.uint8), 3)
    with pytest.raises(DataError, match="class 3"):
        check_classes(np.array([[0, 3, 255]], np.uint8), 3)
