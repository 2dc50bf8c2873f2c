"""Boundary IoU is what the paper's definition gives, pixel by pixel."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from atrous.errors import DataError, ShapeError
from atrous.metrics import boundary_counts, boundary_iou, boundary_width, inner_boundary


def eroded_once(mask):
    """A binary mask without the pixels that have a neighbour, diagonal ones too, outside it."""
    height, width = mask.shape
    kept = torch.zeros_like(mask)
    for row in range(1, height - 1):
        for column in range(1, width - 1):
            kept[row, column] = mask[row - 1 : row + 2, column - 1 : column + 2].all()
    return kept


def band_by_erosion(mask, width):
    """The paper's inner boundary of one binary mask: the mask less `width` erosions of it."""
    inside = torch.zeros(mask.shape[0] + 2, mask.shape[1] + 2, dtype=torch.bool)
    inside[1:-1, 1:-1] = mask
    for _ in range(width):
        inside = eroded_once(inside)
    return mask & ~inside[1:-1, 1:-1]


def random_masks(seed, *, num_classes, unlabelled=0.0):
    """Truth and prediction of blocks of random classes, with every share of agreement."""
    generator = torch.Generator().manual_seed(seed)
    height, width = (int(n) for n in torch.randint(2, 11, (2,), generator=generator))
    masks = []
    for _ in range(2):
        small = torch.randint(num_classes, (3, 3), generator=generator)
        rows = torch.arange(height) * 3 // height
        columns = torch.arange(width) * 3 // width
        masks.append(small[rows][:, columns])
    truth, other = masks
    agrees = torch.rand(truth.shape, generator=generator) < 0.8
    prediction = torch.where(agrees, truth, other)
    is_left_out = torch.rand(truth.shape, generator=generator) < unlabelled
    return torch.where(is_left_out, 255, truth), prediction


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 10**6), width=st.integers(1, 4))
def test_counts_are_those_of_every_class_eroded_alone(seed, width):
    truth, prediction = random_masks(seed, num_classes=3)
    counts = boundary_counts(truth, prediction, num_classes=3, width=width)
    for label in range(3):
        true, seen = (band_by_erosion(mask == label, width) for mask in (truth, prediction))
        assert counts[:, label].tolist() == [(true & seen).sum(), (true | seen).sum()]


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 10**6), width=st.integers(1, 3))
def test_unlabelled_pixels_are_outside_for_both_masks(seed, width):
    truth, prediction = random_masks(seed, num_classes=3, unlabelled=0.15)
    counts = boundary_counts(truth, prediction, num_classes=3, width=width)
    is_labelled = truth != 255
    for label in range(3):
        true = band_by_erosion((truth == label) & is_labelled, width)
        seen = band_by_erosion((prediction == label) & is_labelled, width)
        assert counts[:, label].tolist() == [(true & seen).sum(), (true | seen).sum()]


def test_a_wide_boundary_gives_plain_iou():
    truth, prediction = random_masks(7, num_classes=3)
    counts = boundary_counts(truth, prediction, num_classes=3, width=99)
    for label in range(3):
        true, seen = truth == label, prediction == label
        assert counts[:, label].tolist() == [(true & seen).sum(), (true | seen).sum()]


def test_a_thin_error_around_a_large_square_costs_more_at_the_boundary():
    truth, prediction = torch.zeros(2, 40, 40, dtype=torch.int64)
    truth[10:30, 10:30] = 1
    prediction[11:29, 11:29] = 1
    iou = boundary_iou(boundary_counts(truth, prediction, num_classes=2, width=1))
    assert iou[1] == 0  # rings beside each other
    iou = boundary_iou(boundary_counts(truth, prediction, num_classes=2, width=2))
    # Rings 20-16 and 18-14 squared; they share the ring 18-16.
    assert iou[1] == pytest.approx((18**2 - 16**2) / (20**2 - 14**2))


def test_the_void_class_in_truth_counts_as_unlabelled():
    truth, prediction = random_masks(3, num_classes=3)
    as_class = boundary_counts(truth, prediction, num_classes=3, void_class=2, width=1)
    as_255 = boundary_counts(
        torch.where(truth == 2, 255, truth), prediction, num_classes=3, width=1
    )
    assert torch.equal(as_class, as_255)


def test_void_predicted_on_a_class_is_a_miss():
    truth = torch.zeros(1, 4, dtype=torch.int64)
    prediction = torch.tensor([[0, 0, 0, 1]])
    counts = boundary_counts(truth, prediction, num_classes=2, void_class=1, width=1)
    assert counts[:, 0].tolist() == [3, 4]


def test_a_class_in_neither_mask_has_no_score_and_equal_masks_have_one():
    truth, _ = random_masks(5, num_classes=2)
    truth[0] = torch.arange(truth.shape[1]) % 2
    iou = boundary_iou(boundary_counts(truth, truth, num_classes=3))
    assert iou[:2].tolist() == [1, 1]
    assert iou[2].isnan()


def test_volumes_have_boundaries_along_every_axis():
    labels = torch.zeros(7, 7, 7, dtype=torch.uint8)
    band = inner_boundary(labels, width=2)
    assert int((~band).sum()) == 3**3
    assert int(inner_boundary(labels, width=3).sum()) == 7**3 - 1


@pytest.mark.parametrize("size", [(1024, 2048), (360, 480), (5, 5), (30, 40, 50)])
def test_the_width_is_two_percent_of_the_diagonal(size):
    diagonal = math.sqrt(sum(length**2 for length in size))
    assert boundary_width(size) == max(1, round(0.02 * diagonal))
    assert boundary_width(size, share=0.1) == max(1, round(0.1 * diagonal))


def test_an_image_without_pixels_has_no_counts():
    empty = torch.zeros(0, 4, dtype=torch.int64)
    assert boundary_counts(empty, empty, num_classes=2).tolist() == [[0, 0], [0, 0]]


def test_the_tensors_given_are_left_as_they_were():
    truth, prediction = random_masks(9, num_classes=3, unlabelled=0.2)
    before = truth.clone(), prediction.clone()
    boundary_counts(truth, prediction, num_classes=3, void_class=1, width=1)
    assert torch.equal(truth, before[0])
    assert torch.equal(prediction, before[1])


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.int32])
def test_integers_of_every_kind_give_the_same(dtype):
    truth, prediction = random_masks(11, num_classes=3, unlabelled=0.2)
    expected = boundary_counts(truth, prediction, num_classes=3, width=1)
    ours = boundary_counts(truth.to(dtype), prediction.to(dtype), num_classes=3, width=1)
    assert torch.equal(ours, expected)


def test_bad_input_is_named():
    zeros = torch.zeros(4, 4, dtype=torch.int64)
    with pytest.raises(ShapeError, match="equal shapes"):
        boundary_counts(zeros, zeros[1:], num_classes=2)
    with pytest.raises(ShapeError, match="expected integers"):
        boundary_counts(zeros, zeros.float(), num_classes=2)
    with pytest.raises(ShapeError, match="prediction holds class 2"):
        boundary_counts(zeros, zeros + 2, num_classes=2)
    with pytest.raises(DataError, match="truth holds class 7"):
        boundary_counts(zeros + 7, zeros, num_classes=2)
    with pytest.raises(ShapeError, match="at least 1"):
        boundary_counts(zeros, zeros, num_classes=2, width=0)
    with pytest.raises(ShapeError, match="hold 256"):
        inner_boundary(zeros + 256, width=1)
    with pytest.raises(ShapeError, match="expected integers"):
        inner_boundary(zeros.float(), width=1)
    with pytest.raises(ShapeError, match=r"expected \(..., 2, C\)"):
        boundary_iou(torch.zeros(3, 4))
    for share in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(ShapeError, match="above 0"):
            boundary_width((3, 3), share=share)
