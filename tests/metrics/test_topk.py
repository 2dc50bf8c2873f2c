"""Rankings, hits and intervals of labels, against other implementations and by hand."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest
from torchmetrics.functional.classification import (
    multiclass_accuracy,
    multiclass_confusion_matrix,
)

from atrous.errors import ShapeError
from atrous.metrics.topk import label_confusion, rank_classes, topk_hits, wilson_interval
from atrous.metrics.topk_scores import score_labels


@pytest.fixture
def answers():
    generator = torch.Generator().manual_seed(1)
    probabilities = torch.rand(200, 8, generator=generator).softmax(1)
    return probabilities, torch.randint(8, (200,), generator=generator)


@pytest.mark.parametrize("k", [1, 3, 5])
def test_topk_accuracy_is_that_of_torchmetrics(answers, k):
    probabilities, truth = answers
    hits = topk_hits(rank_classes(probabilities, count=5), truth)
    expected = multiclass_accuracy(probabilities, truth, num_classes=8, top_k=k, average="micro")
    assert float(hits[:, k - 1].double().mean()) == pytest.approx(float(expected))


def test_scores_are_those_of_torchmetrics(answers):
    probabilities, truth = answers
    ranking = rank_classes(probabilities, count=5)
    scores = score_labels(ranking, truth, num_classes=8, has_top5=True)
    per_class = multiclass_accuracy(probabilities, truth, num_classes=8, average=None)
    assert scores.class_accuracy == pytest.approx(per_class.tolist())
    assert scores.mean_class_accuracy == pytest.approx(float(per_class.mean()))
    assert torch.equal(
        scores.confusion, multiclass_confusion_matrix(probabilities, truth, num_classes=8)
    )
    assert scores.top1 == float(scores.confusion.diagonal().sum()) / 200
    assert scores.top1 <= scores.top5
    low, high = scores.top1_interval
    assert low < scores.top1 < high


def test_a_class_without_images_has_no_accuracy_and_is_not_averaged():
    scores = score_labels(
        torch.tensor([[0], [2]]), torch.tensor([0, 0]), num_classes=3, has_top5=False
    )
    assert scores.class_accuracy[0] == scores.mean_class_accuracy == 0.5
    assert scores.class_accuracy[1] != scores.class_accuracy[1]
    assert scores.top5 is None
    assert scores.top5_interval is None


def test_of_equal_classes_the_first_is_taken():
    assert rank_classes(torch.ones(2, 4), count=3).tolist() == [[0, 1, 2]] * 2


def test_a_merged_class_is_found_where_any_of_its_members_is():
    # The network ranks 4, 2, 0; classes 2 and 4 are one, 7.
    table = torch.tensor([1, 1, 7, 1, 7])
    ranking = table[torch.tensor([[4, 2, 0]])]
    assert topk_hits(ranking, torch.tensor([7])).tolist() == [[True, True, True]]
    assert topk_hits(ranking, torch.tensor([1])).tolist() == [[False, False, True]]


@given(st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_interval_is_that_of_scipy(counts):
    hits, count = counts
    expected = binomtest(hits, count).proportion_ci(method="wilson")
    assert wilson_interval(hits, count) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_no_image_has_no_interval():
    assert wilson_interval(0, 0) is None


@pytest.mark.parametrize("arguments", [(3, 2), (-1, 2)])
def test_impossible_counts_are_refused(arguments):
    with pytest.raises(ShapeError, match="expected hits between"):
        wilson_interval(*arguments)


def test_probabilities_that_are_no_numbers_are_refused():
    with pytest.raises(ShapeError, match="no numbers"):
        rank_classes(torch.tensor([[0.5, float("nan")]]), count=1)


def test_shapes_that_do_not_belong_together_are_refused():
    with pytest.raises(ShapeError, match="expected"):
        topk_hits(torch.zeros(3, 2), torch.zeros(2))
    with pytest.raises(ShapeError, match="one row an image"):
        rank_classes(torch.zeros(3), count=1)
    with pytest.raises(ShapeError, match="one class an image"):
        label_confusion(torch.zeros(2).long(), torch.zeros(3).long(), num_classes=2)
    with pytest.raises(ShapeError, match="truth holds class 2"):
        label_confusion(torch.tensor([2]), torch.tensor([0]), num_classes=2)
    with pytest.raises(ShapeError, match="at least one image"):
        score_labels(torch.zeros(0, 5), torch.zeros(0), num_classes=2, has_top5=False)
    with pytest.raises(ShapeError, match="5 classes"):
        score_labels(torch.zeros(1, 3), torch.zeros(1), num_classes=9, has_top5=True)
