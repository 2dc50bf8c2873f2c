"""Scores of volumes: the rules for empty regions, unlabelled voxels, and what they agree with."""

import numpy as np
import pytest
import torch

from atrous.errors import ShapeError, UnknownNameError
from atrous.metrics.confusion import confusion_matrix
from atrous.metrics.iou import class_dice, class_iou
from atrous.metrics.volumes import class_regions, score_case

SIZE = (6, 7, 8)
UNIT = (1.0, 1.0, 1.0)
REGIONS = {"WT": (1, 2, 3), "TC": (1, 3), "ET": (3,)}


def labels_of(seed, high=4):
    return torch.randint(high, SIZE, generator=torch.Generator().manual_seed(seed))


def scored(truth, prediction, **options):
    return score_case(truth, prediction, **{"regions": REGIONS, "spacing": UNIT, **options})


def test_dice_and_iou_are_those_of_the_confusion_matrix():
    truth, prediction = labels_of(0), labels_of(1)
    counts = confusion_matrix(truth, prediction, num_classes=4)[:-1]
    scores = scored(truth, prediction, regions=class_regions("abcd"))
    assert list(scores) == ["b", "c", "d"]
    assert [score.dice for score in scores.values()] == pytest.approx(class_dice(counts)[1:])
    assert [score.iou for score in scores.values()] == pytest.approx(class_iou(counts)[1:])


def test_a_region_is_the_union_of_its_classes():
    truth, prediction = labels_of(0), labels_of(1)
    core = scored(truth, prediction)["TC"]
    merged = scored(
        ((truth == 1) | (truth == 3)).long(),
        ((prediction == 1) | (prediction == 3)).long(),
        regions={"one": (1,)},
    )["one"]
    assert core == merged


@pytest.mark.parametrize(
    ("protocol", "dice_of_none", "hd95_of_none", "hd95_of_one"),
    [("brats", 1.0, 0.0, 373.13), ("absent_left_out", np.nan, np.nan, np.nan)],
)
def test_empty_regions_count_by_protocol(protocol, dice_of_none, hd95_of_none, hd95_of_one):
    nothing, some = torch.zeros(SIZE, dtype=torch.int64), labels_of(0, high=2)
    none = scored(nothing, nothing, protocol=protocol)["WT"]
    for truth, prediction in ((nothing, some), (some, nothing)):
        one = scored(truth, prediction, protocol=protocol)["WT"]
        assert (one.dice, one.iou, one.surface_dice) == (0, 0, 0)
        assert np.array_equal(one.hd95, hd95_of_one, equal_nan=True)
    assert np.array_equal([none.dice, none.iou, none.surface_dice], [dice_of_none] * 3, True)
    assert np.array_equal(none.hd95, hd95_of_none, equal_nan=True)


def test_the_distance_of_one_empty_is_the_diagonal_of_the_challenges_scans():
    assert np.linalg.norm([240, 240, 155]) == pytest.approx(373.13, abs=0.005)


def test_unlabelled_voxels_count_on_neither_side():
    truth = torch.zeros(SIZE, dtype=torch.int64)
    truth[:, :3] = 1
    prediction = truth.clone()
    prediction[:, 5:] = 1
    truth[:, 5:] = 255
    score = scored(truth, prediction, regions={"one": (1,)})["one"]
    assert (score.dice, score.hd95, score.volume_difference_ml) == (1, 0, 0)


def test_volumes_and_distances_are_in_physical_units():
    truth = torch.zeros(20, 20, 20, dtype=torch.int64)
    truth[:10] = 1
    prediction = truth.clone()
    prediction[8:10] = 0
    score = scored(truth, prediction, regions={"one": (1,)}, spacing=(5.0, 1.0, 0.5))["one"]
    assert score.truth_ml == pytest.approx(10 * 20 * 20 * 2.5 / 1000)
    assert score.volume_difference_ml == pytest.approx(-2 * 20 * 20 * 2.5 / 1000)
    assert score.hd95 == pytest.approx(10)  # two slices of 5 mm


def test_what_cannot_be_scored_is_refused():
    with pytest.raises(UnknownNameError, match=r"volume protocol is named 'brat'"):
        scored(labels_of(0), labels_of(1), protocol="brat")
    with pytest.raises(ShapeError, match="resample the prediction"):
        scored(labels_of(0), labels_of(1)[1:])
    with pytest.raises(ShapeError, match="expected 0 or more"):
        scored(labels_of(0), labels_of(1), tolerance=-1)


def test_a_truth_of_other_classes_has_regions_of_its_own():
    """The tumour is 2 or 3 in the truth and 1 in the prediction: the same voxels, so Dice 1."""
    prediction = torch.zeros(4, 4, 4, dtype=torch.int64)
    prediction[:2] = 1
    truth = prediction * 2
    truth[0] = 3
    scores = score_case(
        truth,
        prediction,
        regions={"tumour": (1,)},
        truth_regions={"tumour": (2, 3)},
        spacing=(1.0, 1.0, 1.0),
    )
    assert scores["tumour"].dice == 1
