"""Protocols: what each does with unlabelled pixels, and the published CamVid numbers."""

import json

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchmetrics.functional.classification import multiclass_jaccard_index

from atrous.errors import ShapeError, UnknownNameError
from atrous.metrics import PROTOCOLS, confusion_matrix, score

every_protocol = pytest.mark.parametrize("protocol", PROTOCOLS)
any_classes = pytest.mark.parametrize(
    "protocol", [name for name, rules in PROTOCOLS.items() if rules.num_averaged is None]
)

# Rows: truth 0, 1, 2, unlabelled. Class 2 is the network's void.
WITH_VOID = torch.tensor([[6, 1, 1], [2, 4, 0], [0, 0, 0], [3, 0, 5]])


def test_published_counts_void_truth_as_false_positives_and_void_predictions_as_misses():
    result = score(WITH_VOID, protocol="camvid_published", void_class=2)
    assert result.class_iou == pytest.approx((6 / (8 + 11 - 6), 4 / (6 + 5 - 4), 5 / (8 + 6 - 5)))
    assert result.class_accuracy == pytest.approx((6 / 8, 4 / 6, 5 / 8))
    assert result.mean_iou == pytest.approx((6 / 13 + 4 / 7) / 2)
    assert result.mean_accuracy == pytest.approx((6 / 8 + 4 / 6) / 2)
    assert result.pixel_accuracy == pytest.approx((6 + 4 + 5) / 22)
    assert result.averaged_classes == (0, 1)


def test_void_ignored_leaves_void_truth_out_and_counts_void_predictions_as_misses():
    result = score(WITH_VOID, protocol="void_ignored", void_class=2)
    assert result.class_iou[:2] == pytest.approx((6 / (8 + 8 - 6), 4 / (6 + 5 - 4)))
    assert result.mean_iou == pytest.approx((6 / 10 + 4 / 7) / 2)
    assert result.pixel_accuracy == pytest.approx(10 / 14)
    assert all(scores[2] != scores[2] for scores in (result.class_iou, result.class_dice))


def test_without_a_void_class_all_classes_are_averaged():
    matrix = torch.tensor([[6, 2], [0, 4], [3, 1]])
    published = score(matrix, protocol="camvid_published")
    ignored = score(matrix, protocol="void_ignored")
    assert published.averaged_classes == ignored.averaged_classes == (0, 1)
    assert published.class_iou == pytest.approx((6 / 11, 4 / 7))
    assert published.pixel_accuracy == pytest.approx(10 / 16)
    assert ignored.class_iou == pytest.approx((6 / 8, 4 / 6))
    assert ignored.pixel_accuracy == pytest.approx(10 / 12)


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 10**6))
def test_published_iou_is_torchmetrics_with_void_as_one_more_class(seed):
    generator = torch.Generator().manual_seed(seed)
    truth, prediction = torch.randint(5, (2, 900), generator=generator)
    theirs = multiclass_jaccard_index(prediction, truth, num_classes=5, average="none")
    unlabelled = torch.where(truth == 4, 255, truth)
    matrix = confusion_matrix(unlabelled, prediction, num_classes=5)
    ours = score(matrix, protocol="camvid_published", void_class=4)
    assert ours.class_iou == pytest.approx(theirs.tolist(), abs=1e-6)
    assert ours.mean_iou == pytest.approx(float(theirs[:4].mean()), abs=1e-6)


@any_classes
def test_truth_of_the_void_class_counts_as_unlabelled(protocol):
    as_class = WITH_VOID[[0, 1, 3, 2]]
    ours = score(as_class, protocol=protocol, void_class=2)
    assert str(ours) == str(score(WITH_VOID, protocol=protocol, void_class=2))


@any_classes
def test_where_all_is_labelled_and_void_unused_protocols_agree(protocol):
    matrix = torch.tensor([[6, 2, 0], [1, 4, 0], [0, 0, 0], [0, 0, 0]])
    result = score(matrix, protocol=protocol, void_class=2)
    assert result.class_iou[:2] == pytest.approx((6 / 9, 4 / 7))
    assert result.pixel_accuracy == pytest.approx(10 / 13)


@any_classes
def test_the_matrix_is_left_as_it_was(protocol):
    before = WITH_VOID.clone()
    score(WITH_VOID, protocol=protocol, void_class=2)
    assert torch.equal(WITH_VOID, before)


@every_protocol
def test_its_description_is_one_line(protocol):
    assert PROTOCOLS[protocol].description
    assert "\n" not in PROTOCOLS[protocol].description


def test_an_unknown_protocol_is_answered_with_the_nearest():
    with pytest.raises(UnknownNameError, match="Did you mean 'void_ignored'"):
        score(WITH_VOID, protocol="void-ignored")


@pytest.mark.parametrize("shape", [(3, 3), (2, 3), (3,), ()])
def test_a_matrix_without_the_unlabelled_row_is_refused(shape):
    with pytest.raises(ShapeError, match=r"expected \(C \+ 1, C\)"):
        score(torch.zeros(shape, dtype=torch.int64), protocol="void_ignored")


@pytest.mark.parametrize("void_class", [-1, 3])
def test_a_void_class_outside_the_network_is_refused(void_class):
    with pytest.raises(ShapeError, match="0 to 2"):
        score(WITH_VOID, protocol="void_ignored", void_class=void_class)


# Published and reproduced figures for the authors' 12-class ESPNet on CamVid, in percent:
# IoU, accuracy, IoU with void ignored, by class in the order of the SegNet tutorial.
PER_CLASS = {
    "val": """94.29|97.07|94.65 84.20|86.58|84.49 11.92|13.29|12.07 96.62|97.47|96.81
        86.25|96.65|86.84 90.17|96.73|90.70 40.08|51.65|40.36 65.83|94.51|70.85
        77.82|93.53|81.31 38.80|71.68|42.84 69.50|77.63|70.22 22.85|46.67|nan""",
    "train": """93.90|96.62|94.82 93.07|94.46|93.33 52.42|73.70|54.49 97.85|98.25|97.94
        86.40|95.81|87.39 86.65|93.55|87.64 72.47|90.89|73.84 85.32|94.68|86.97
        91.66|97.53|92.39 61.87|84.63|66.36 77.15|92.13|79.31 68.34|83.27|nan""",
}
MEANS = {  # mean IoU, mean accuracy, pixel accuracy
    ("val", "camvid_published"): (68.681, 79.709, 91.899),
    ("val", "void_ignored"): (70.103, 79.709, 92.683),
    ("train", "camvid_published"): (81.704, 92.023, 95.420),
    ("train", "void_ignored"): (83.134, 92.023, 95.920),
}


def authors_matrix(shared, split):
    """The authors' 12 x 12 matrix with its void row where unlabelled truth belongs."""
    rows = json.loads((shared / "reference" / "camvid_confusion_12x12.json").read_text())[split]
    matrix = torch.tensor(rows)
    return torch.cat([matrix[:11], torch.zeros(1, 12, dtype=torch.int64), matrix[11:]])


@pytest.mark.real
@pytest.mark.parametrize(("split", "protocol"), MEANS)
def test_the_authors_means_on_camvid(shared, split, protocol):
    result = score(authors_matrix(shared, split), protocol=protocol, void_class=11)
    percent = [100 * x for x in (result.mean_iou, result.mean_accuracy, result.pixel_accuracy)]
    assert percent == pytest.approx(MEANS[split, protocol], abs=0.0006)


@pytest.mark.real
@pytest.mark.parametrize("split", PER_CLASS)
def test_the_authors_scores_of_every_class_on_camvid(shared, split):
    matrix = authors_matrix(shared, split)
    published = score(matrix, protocol="camvid_published", void_class=11)
    ignored = score(matrix, protocol="void_ignored", void_class=11)
    ours = torch.tensor([published.class_iou, published.class_accuracy, ignored.class_iou]).T
    expected = torch.tensor(
        [[float(number) for number in row.split("|")] for row in PER_CLASS[split].split()]
    )
    torch.testing.assert_close(100 * ours, expected, atol=0.0051, rtol=0, equal_nan=True)


@pytest.mark.real
@pytest.mark.parametrize(
    ("split", "means"), {"val": (64.862, 76.955), "train": (80.590, 91.293)}.items()
)
def test_the_authors_means_over_all_twelve_classes(shared, split, means):
    result = score(authors_matrix(shared, split), protocol="camvid_published", void_class=11)
    ours = [100 * sum(scores) / 12 for scores in (result.class_iou, result.class_accuracy)]
    assert ours == pytest.approx(means, abs=0.0006)
