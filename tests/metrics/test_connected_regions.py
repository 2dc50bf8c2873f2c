"""Regions of chunks joined: the same as regions of the whole map."""

import numpy as np
import pytest
from scipy import ndimage

from atrous.metrics.connected_regions import RegionJoiner


def joined(labels, chunk):
    joiner = RegionJoiner(width=labels.shape[1])
    numbers = np.empty(labels.shape, np.int64)
    for top in range(0, labels.shape[0], chunk[0]):
        for left in range(0, labels.shape[1], chunk[1]):
            part = labels[top : top + chunk[0], left : left + chunk[1]]
            regions = joiner.add(part, top=top, left=left)
            place = numbers[top : top + chunk[0], left : left + chunk[1]]
            place[:] = regions.local.astype(np.int64) + regions.first
            assert np.array_equal(regions.classes[regions.local], part)
    return np.vectorize(joiner.find)(numbers)


@pytest.mark.parametrize("chunk", [(5, 7), (1, 1), (100, 3), (64, 64)])
@pytest.mark.parametrize("num_classes", [2, 3])
def test_joined_regions_are_those_of_the_whole(chunk, num_classes):
    labels = np.random.default_rng(1).integers(0, num_classes, (37, 41)).astype(np.uint8)
    ours = joined(labels, chunk)
    for value in range(num_classes):
        whole, count = ndimage.label(labels == value)
        pairs = np.unique(np.stack([whole[whole > 0], ours[whole > 0]]), axis=1)
        assert pairs.shape[1] == count  # each of theirs is one of ours
        assert len(np.unique(pairs[1])) == count  # and the other way round


def test_a_spiral_over_many_chunks_is_one_region():
    labels = np.zeros((21, 21), np.uint8)
    for inset in range(0, 10, 2):
        labels[inset, inset : 21 - inset] = 1
        labels[inset : 21 - inset, 20 - inset] = 1
        labels[20 - inset, inset : 21 - inset] = 1
        labels[inset + 2 : 21 - inset, inset] = 1
        labels[inset + 2, inset : inset + 3] = 1
    count = ndimage.label(labels)[1]
    ours = joined(labels, (4, 4))
    assert count == 1
    assert len(np.unique(ours[labels == 1])) == 1


def test_reaching_regions_are_those_in_the_last_row():
    joiner = RegionJoiner(width=4)
    regions = joiner.add(np.array([[1, 1, 2, 2], [0, 0, 2, 0]], np.uint8), top=0, left=0)
    last = {int(number) for number in regions.local[-1]}
    assert joiner.reaching() == last
    assert len(last) == 3
