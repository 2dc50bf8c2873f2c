"""A truth that was moved is found where it was; nothing is made of what fits."""

import math
from itertools import product

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from atrous.errors import ShapeError
from atrous.metrics.misalignment import find_displacement
from atrous.metrics.volumes import score_case

REGIONS = {"one": (1,), "both": (1, 2)}


def blob(seed=0, size=(9, 10, 11)):
    generator = torch.Generator().manual_seed(seed)
    labels = torch.zeros(size, dtype=torch.uint8)
    inner = tuple(length - 4 for length in size)
    labels[2:-2, 2:-2, 2:-2] = torch.randint(0, 3, inner, generator=generator).to(torch.uint8)
    return labels


@given(step=st.tuples(*[st.integers(-2, 2)] * 3))
def test_the_step_that_was_made_is_found(step):
    truth = blob()
    moved = truth.roll(step, (0, 1, 2))
    found = find_displacement(truth, moved, regions=REGIONS, reach=2)
    assert found.voxels == step
    assert found.moved_dice == 1


@pytest.mark.parametrize("has_unlabelled", [False, True])
def test_dice_where_it_lies_is_that_of_the_scores(has_unlabelled):
    truth, prediction = blob(0), blob(1)
    truth[3:5, 3:5, 3:8] = 255 if has_unlabelled else truth[3:5, 3:5, 3:8]
    scores = score_case(truth, prediction, regions=REGIONS, spacing=(1.0, 1.0, 1.0))
    expected = sum(score.dice for score in scores.values()) / len(scores)
    found = find_displacement(truth, prediction, regions=REGIONS, reach=0)
    assert found.dice == found.moved_dice == pytest.approx(expected)


@pytest.mark.parametrize("has_unlabelled", [False, True])
def test_every_place_is_tried_as_brute_force_does(has_unlabelled):
    truth, prediction = blob(2), blob(3)
    truth[3:5, 3:5, 3:8] = 255 if has_unlabelled else truth[3:5, 3:5, 3:8]
    tried = {}
    for step in product((-1, 0, 1), repeat=3):
        moved = truth.roll(step, (0, 1, 2))  # its rim is empty: nothing comes back at the far side
        scores = score_case(moved, prediction, regions=REGIONS, spacing=(1.0, 1.0, 1.0))
        tried[step] = sum(score.dice for score in scores.values()) / len(scores)
    found = find_displacement(truth, prediction, regions=REGIONS)
    assert found.moved_dice == pytest.approx(max(tried.values()))
    assert tried[found.voxels] == pytest.approx(found.moved_dice)


def test_of_equal_places_the_nearest_counts():
    truth = torch.ones(4, 4, 4, dtype=torch.uint8)
    empty = torch.zeros_like(truth)
    assert find_displacement(truth, empty, regions=REGIONS).voxels == (0, 0, 0)
    assert find_displacement(truth, truth, regions=REGIONS).voxels == (0, 0, 0)


def test_what_leaves_the_scan_is_missed_and_does_not_come_back():
    truth, prediction = (torch.zeros(3, 3, 3, dtype=torch.uint8) for _ in range(2))
    truth[2], prediction[0] = 1, 1
    assert find_displacement(truth, prediction, regions=REGIONS).moved_dice == 0


@pytest.mark.parametrize("said", [0, 1])
def test_a_truth_that_is_all_unlabelled_has_no_dice(said):
    truth = torch.full((3, 3, 3), 255, dtype=torch.uint8)
    found = find_displacement(truth, torch.full_like(truth, said), regions=REGIONS)
    assert math.isnan(found.dice)
    assert math.isnan(found.gain)


def test_other_sizes_are_refused():
    with pytest.raises(ShapeError, match="expected one"):
        find_displacement(torch.zeros(2, 2, 2), torch.zeros(2, 2, 3), regions=REGIONS)
    with pytest.raises(ShapeError, match="reach -1"):
        find_displacement(torch.zeros(2, 2, 2), torch.zeros(2, 2, 2), regions=REGIONS, reach=-1)
