"""Objects: counted once each, measured by their box, compared with a field."""

import math

import numpy as np
import pytest

from atrous.analysis.objects import object_sizes
from atrous.errors import DataError


def scene():
    mask = np.zeros((20, 30), np.uint8)
    mask[2:5, 3:10] = 1  # 3 x 7
    mask[10:18, 20:22] = 1  # 8 x 2
    mask[5, 10] = 1  # touches the first across a corner only
    mask[0:2, 28:30] = 255
    return mask


def test_objects_of_a_class_are_counted_with_their_boxes():
    background, thing = object_sizes([scene()], num_classes=3)
    assert (background.label, background.num_objects) == (0, 1)
    assert background.extents.tolist() == [[20, 30]]
    assert thing.num_objects == 3
    assert sorted(thing.extents.tolist()) == [[1, 1], [3, 7], [8, 2]]
    assert sorted(thing.pixels.tolist()) == [1, 16, 21]


def test_several_images_add_up_and_specks_can_be_left_out():
    _, thing = object_sizes([scene(), scene(), np.zeros((4, 4), int)], num_classes=2, min_pixels=2)
    assert thing.num_objects == 4
    assert thing.num_images == 2


def test_share_larger_than_a_field():
    _, thing = object_sizes([scene()], num_classes=2)
    assert thing.share_larger((3, 7)) == pytest.approx(1 / 3)
    assert thing.share_larger((1, 1)) == pytest.approx(2 / 3)
    assert thing.share_larger((3, 7), by_area=True) == pytest.approx(16 / 38)
    assert thing.share_larger((math.inf, math.inf)) == 0
    with pytest.raises(DataError, match="3 axes and the masks 2"):
        thing.share_larger((1, 1, 1))


def test_quantiles_are_of_the_longest_side():
    _, thing = object_sizes([scene()], num_classes=2)
    assert thing.quantiles((0.0, 0.5, 1.0)) == (1, 7, 8)


def test_volumes_have_three_axes():
    mask = np.zeros((6, 7, 8), int)
    mask[1:3, 2:5, 0:8] = 1
    _, thing = object_sizes([mask], num_classes=2)
    assert thing.extents.tolist() == [[2, 3, 8]]


def test_no_masks_are_refused():
    with pytest.raises(DataError, match="no masks"):
        object_sizes([], num_classes=2)
