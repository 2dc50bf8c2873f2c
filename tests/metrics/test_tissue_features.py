"""Tissues counted chunk by chunk: what brute force finds in the whole map."""

from itertools import product

import numpy as np
import pytest
from scipy import ndimage

from atrous.errors import DataError, ShapeError
from atrous.metrics.tissue_features import TissueCounter

MPP = (0.5, 0.25)


def counted(labels, chunk, num_classes=3):
    counter = TissueCounter(num_classes=num_classes, size=labels.shape, mpp=MPP)
    for top in range(0, labels.shape[0], chunk[0]):
        for left in range(0, labels.shape[1], chunk[1]):
            counter.add(labels[top : top + chunk[0], left : left + chunk[1]], top=top, left=left)
    return counter.features()


def random_map(seed=0, size=(31, 45)):
    rng = np.random.default_rng(seed)
    return rng.choice([0, 1, 2, 255], size, p=[0.5, 0.3, 0.1, 0.1]).astype(np.uint8)


@pytest.mark.parametrize("chunk", [(8, 8), (1, 45), (31, 1), (100, 100), (1, 1)])
def test_counts_are_those_of_the_whole_map(chunk):
    labels = random_map()
    features = counted(labels, chunk)
    lengths = np.zeros((3, 3))
    pairs = np.zeros((3, 3))
    for y, x in product(range(31), range(45)):
        for dy, dx, side in ((0, 1, MPP[0]), (1, 0, MPP[1])):
            if y + dy < 31 and x + dx < 45:
                one, other = labels[y, x], labels[y + dy, x + dx]
                if 255 not in (one, other):
                    pairs[one, other] += 1
                    pairs[other, one] += 1
                    if one != other:
                        lengths[one, other] += side / 1000
                        lengths[other, one] += side / 1000
    assert features.cooccurrence == pytest.approx(pairs / pairs.sum())
    assert features.interfaces == pytest.approx(lengths)
    for value in range(3):
        is_class = labels == value
        assert features.areas[value] == pytest.approx(is_class.sum() * 0.125e-6)
        assert features.frequencies[value] == pytest.approx(is_class.sum() / (labels != 255).sum())
        sizes = np.bincount(ndimage.label(is_class)[0].ravel())[1:]
        assert features.regions[value].tolist() == sorted(sizes.tolist(), reverse=True)
        assert features.region_areas[value].sum() == pytest.approx(features.areas[value])


def test_a_square_has_the_border_of_its_sides():
    labels = np.zeros((100, 100), np.uint8)
    labels[20:60, 30:80] = 1
    features = counted(labels, (16, 16), num_classes=2)
    down, right = 40 * 0.5, 50 * 0.25
    assert features.interfaces[0, 1] == pytest.approx(2 * (down + right) / 1000)
    assert features.interfaces[1, 0] == features.interfaces[0, 1]
    assert [len(sizes) for sizes in features.regions] == [1, 1]


def test_a_map_where_nothing_ran_has_no_area_and_no_warning():
    features = counted(np.full((20, 20), 255, np.uint8), (8, 8))
    assert features.areas.sum() == features.frequencies.sum() == features.cooccurrence.sum() == 0
    assert [len(sizes) for sizes in features.regions] == [0, 0, 0]


def test_classes_out_of_range_are_refused():
    with pytest.raises(DataError, match="class 3"):
        counted(np.full((4, 4), 3, np.uint8), (4, 4))


def test_chunks_out_of_turn_and_missing_ones_are_refused():
    counter = TissueCounter(num_classes=2, size=(8, 8), mpp=(1, 1))
    part = np.zeros((4, 4), np.uint8)
    counter.add(part, top=0, left=0)
    with pytest.raises(ShapeError, match="row by row"):
        counter.add(part, top=4, left=0)
    with pytest.raises(ShapeError, match="the other chunks"):
        counter.features()


@pytest.mark.parametrize(
    "wrong", [{"num_classes": 0}, {"num_classes": 256}, {"size": (3,)}, {"mpp": (0, 1)}]
)
def test_numbers_out_of_range_are_refused(wrong):
    with pytest.raises(ShapeError, match="expected 1 to 255 classes"):
        TissueCounter(**({"num_classes": 2, "size": (8, 8), "mpp": (1, 1)} | wrong))
