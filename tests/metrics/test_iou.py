"""Scores against torchmetrics, and properties they keep by definition."""

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torchmetrics.functional.classification import (
    multiclass_accuracy,
    multiclass_f1_score,
    multiclass_jaccard_index,
)

from atrous.metrics import confusion_matrix, score
from atrous.metrics.iou import class_accuracy, class_dice, class_iou, pixel_accuracy

seeds = st.integers(0, 10**6)


def random_matrix(seed: int, *, num_classes: int, high: int = 50) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(high, (num_classes + 1, num_classes), generator=generator)


def void_ignored(matrix: torch.Tensor):
    return score(matrix, protocol="void_ignored")


@settings(deadline=None, max_examples=25)
@given(seed=seeds, num_classes=st.integers(2, 12))
def test_agree_with_torchmetrics_on_random_pixels(seed, num_classes):
    generator = torch.Generator().manual_seed(seed)
    truth = torch.randint(num_classes, (2000,), generator=generator)
    guess = torch.randint(num_classes, (2000,), generator=generator)
    prediction = torch.where(torch.rand(2000, generator=generator) < 0.6, truth, guess)
    truth[torch.rand(2000, generator=generator) < 0.1] = 255
    ours = void_ignored(confusion_matrix(truth, prediction, num_classes=num_classes))

    def theirs(metric, average):
        return metric(
            prediction, truth, num_classes=num_classes, average=average, ignore_index=255
        ).to(torch.float64)

    def close(ours_value, metric, average):
        torch.testing.assert_close(
            torch.tensor(ours_value, dtype=torch.float64),
            theirs(metric, average),
            rtol=1e-5,
            atol=1e-6,
        )

    close(ours.class_iou, multiclass_jaccard_index, "none")
    close(ours.mean_iou, multiclass_jaccard_index, "macro")
    close(ours.frequency_weighted_iou, multiclass_jaccard_index, "weighted")
    close(ours.class_accuracy, multiclass_accuracy, "none")
    close(ours.mean_accuracy, multiclass_accuracy, "macro")
    close(ours.pixel_accuracy, multiclass_accuracy, "micro")
    close(ours.class_dice, multiclass_f1_score, "none")
    close(ours.mean_dice, multiclass_f1_score, "macro")


@settings(deadline=None, max_examples=50)
@given(seed=seeds, num_classes=st.integers(1, 8), protocol=st.sampled_from(["p", "v"]))
def test_every_score_lies_between_0_and_1(seed, num_classes, protocol):
    name = {"p": "camvid_published", "v": "void_ignored"}[protocol]
    matrix = random_matrix(seed, num_classes=num_classes, high=3)
    result = score(matrix, protocol=name)
    means = (
        result.pixel_accuracy,
        result.mean_accuracy,
        result.mean_iou,
        result.mean_dice,
        result.frequency_weighted_iou,
    )
    everything = torch.tensor(
        [*means, *result.class_accuracy, *result.class_iou, *result.class_dice]
    )
    known = everything[~everything.isnan()]
    assert ((known >= 0) & (known <= 1)).all()


@settings(deadline=None, max_examples=50)
@given(seed=seeds, num_classes=st.integers(1, 8))
def test_a_perfect_prediction_scores_1_and_absent_classes_do_not_count(seed, num_classes):
    counts = torch.randint(3, (num_classes,), generator=torch.Generator().manual_seed(seed))
    assume(counts.any())
    matrix = torch.cat([counts.diag(), torch.zeros(1, num_classes, dtype=torch.int64)])
    result = void_ignored(matrix)
    assert result.pixel_accuracy == result.mean_accuracy == result.mean_iou == 1
    assert result.mean_dice == result.frequency_weighted_iou == 1
    for count, iou in zip(counts, result.class_iou, strict=True):
        assert iou == 1 if count else iou != iou


@settings(deadline=None, max_examples=50)
@given(seed=seeds, order=st.permutations(range(5)))
def test_renaming_classes_permutes_their_scores_and_keeps_the_means(seed, order):
    matrix = random_matrix(seed, num_classes=5)
    renamed = torch.cat([matrix[:-1][order][:, order], matrix[-1:][:, order]])
    for protocol in ("camvid_published", "void_ignored"):
        before = score(matrix, protocol=protocol)
        after = score(renamed, protocol=protocol)
        assert after.class_iou == tuple(before.class_iou[index] for index in order)
        assert after.mean_iou == pytest.approx(before.mean_iou, abs=1e-12)
        assert after.frequency_weighted_iou == pytest.approx(before.frequency_weighted_iou)


@settings(deadline=None, max_examples=50)
@given(seed=seeds)
def test_dice_follows_from_iou(seed):
    matrix = random_matrix(seed, num_classes=6)[:-1]
    iou = class_iou(matrix)
    torch.testing.assert_close(class_dice(matrix), 2 * iou / (1 + iou), equal_nan=True)


def test_counting_more_images_of_the_same_kind_changes_no_score():
    matrix = random_matrix(3, num_classes=4)
    once, thrice = void_ignored(matrix), void_ignored(3 * matrix)
    assert once.class_iou == pytest.approx(thrice.class_iou)
    assert once.frequency_weighted_iou == pytest.approx(thrice.frequency_weighted_iou)


def test_a_class_only_predicted_has_iou_0_and_no_accuracy():
    result = void_ignored(torch.tensor([[3, 1], [0, 0], [0, 0]]))
    assert result.class_iou == (0.75, 0.0)
    assert result.mean_iou == 0.375
    assert result.class_accuracy[0] == result.mean_accuracy == 0.75
    assert result.class_accuracy[1] != result.class_accuracy[1]
    assert result.frequency_weighted_iou == 0.75


def test_no_pixels_at_all_score_not_a_number():
    result = void_ignored(torch.zeros(3, 2, dtype=torch.int64))
    assert result.mean_iou != result.mean_iou
    assert result.pixel_accuracy != result.pixel_accuracy
    assert result.frequency_weighted_iou != result.frequency_weighted_iou


def test_leading_axes_are_scored_apart():
    stack = torch.stack([random_matrix(seed, num_classes=4) for seed in range(6)]).unflatten(
        0, (2, 3)
    )
    for function in (class_accuracy, class_iou, class_dice, pixel_accuracy):
        apart = torch.stack([function(matrix) for matrix in stack.flatten(0, 1)])
        torch.testing.assert_close(function(stack).flatten(0, 1), apart, equal_nan=True)


def test_counts_too_large_for_float32_stay_exact():
    billions = 2**40
    matrix = torch.tensor([[billions + 1, 1], [0, 1], [0, 0]])
    assert void_ignored(matrix).class_iou[0] == (billions + 1) / (billions + 2)
