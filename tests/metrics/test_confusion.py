"""Confusion matrices: counted against torchmetrics, refused where indices cannot be right."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torchmetrics.functional.classification import multiclass_confusion_matrix

from atrous.errors import DataError, ShapeError
from atrous.metrics import Confusion, confusion_matrix


def random_pair(seed: int, *, num_classes: int, shape=(9, 11)) -> tuple[Tensor, Tensor]:
    """Truth with some unlabelled pixels, and a prediction that is sometimes right."""
    generator = torch.Generator().manual_seed(seed)
    truth = torch.randint(num_classes, shape, generator=generator)
    guess = torch.randint(num_classes, shape, generator=generator)
    prediction = torch.where(torch.rand(shape, generator=generator) < 0.5, truth, guess)
    truth[torch.rand(shape, generator=generator) < 0.2] = 255
    return truth, prediction


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 10**6), num_classes=st.integers(2, 20))
def test_rows_of_classes_agree_with_torchmetrics(seed, num_classes):
    truth, prediction = random_pair(seed, num_classes=num_classes)
    expected = multiclass_confusion_matrix(
        prediction.flatten(), truth.flatten(), num_classes=num_classes, ignore_index=255
    )
    assert torch.equal(confusion_matrix(truth, prediction, num_classes=num_classes)[:-1], expected)


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 10**6), num_classes=st.integers(1, 255))
def test_every_pixel_is_counted_once_and_the_last_row_holds_the_unlabelled(seed, num_classes):
    truth, prediction = random_pair(seed, num_classes=num_classes)
    matrix = confusion_matrix(truth, prediction, num_classes=num_classes)
    on_unlabelled = torch.bincount(prediction[truth == 255], minlength=num_classes)
    assert matrix.dtype == torch.int64
    assert matrix.shape == (num_classes + 1, num_classes)
    assert matrix.sum() == truth.numel()
    assert torch.equal(matrix[-1], on_unlabelled)


@pytest.mark.parametrize("shape", [(7,), (2, 5, 4), (2, 3, 4, 5)])
def test_any_shape_is_counted(shape):
    truth, prediction = random_pair(0, num_classes=3, shape=shape)
    flat = confusion_matrix(truth.flatten(), prediction.flatten(), num_classes=3)
    assert torch.equal(confusion_matrix(truth, prediction, num_classes=3), flat)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.int32])
def test_small_integer_types_count_alike(dtype):
    truth, prediction = random_pair(1, num_classes=5)
    assert torch.equal(
        confusion_matrix(truth.to(dtype), prediction.to(dtype), num_classes=5),
        confusion_matrix(truth, prediction, num_classes=5),
    )


def test_no_pixels_give_a_matrix_of_zeros():
    empty = torch.zeros(0, dtype=torch.int64)
    assert confusion_matrix(empty, empty, num_classes=2).tolist() == [[0, 0], [0, 0], [0, 0]]


def test_inputs_are_left_as_they_were():
    truth, prediction = random_pair(2, num_classes=4)
    before = truth.clone(), prediction.clone()
    confusion_matrix(truth, prediction, num_classes=4)
    assert torch.equal(truth, before[0])
    assert torch.equal(prediction, before[1])


@pytest.mark.parametrize("value", [2, 3, 254, -1])
def test_truth_that_is_no_class_is_refused_with_its_value(value):
    truth = torch.tensor([0, 1, 255, value])
    with pytest.raises(DataError, match=rf"truth holds class {value}; expected 0 to 1, or 255"):
        confusion_matrix(truth, torch.zeros_like(truth), num_classes=2)


def test_minus_one_as_a_byte_is_not_taken_for_unlabelled():
    truth = torch.tensor([0, -1], dtype=torch.int8)
    with pytest.raises(DataError, match="truth holds class -1"):
        confusion_matrix(truth, torch.zeros_like(truth), num_classes=2)


@pytest.mark.parametrize("value", [2, 255, -1])
def test_a_prediction_outside_the_classes_is_refused(value):
    prediction = torch.tensor([0, value])
    with pytest.raises(ShapeError, match=rf"prediction holds class {value}; expected 0 to 1"):
        confusion_matrix(torch.zeros_like(prediction), prediction, num_classes=2)


def test_logits_are_refused_with_advice():
    truth = torch.zeros(4, 4, dtype=torch.int64)
    with pytest.raises(ShapeError, match=r"float32; expected integers.*argmax"):
        confusion_matrix(truth, torch.rand(4, 4), num_classes=2)


def test_unequal_sizes_are_refused_with_both():
    truth, prediction = torch.zeros(4, 5, dtype=torch.int64), torch.zeros(5, 4, dtype=torch.int64)
    with pytest.raises(ShapeError, match=r"\(4, 5\) and prediction \(5, 4\)"):
        confusion_matrix(truth, prediction, num_classes=2)


@pytest.mark.parametrize("num_classes", [0, 256])
def test_a_number_of_classes_that_meets_255_is_refused(num_classes):
    truth = torch.zeros(2, dtype=torch.int64)
    with pytest.raises(ShapeError, match="expected 1 to 255"):
        confusion_matrix(truth, truth, num_classes=num_classes)


@settings(deadline=None, max_examples=20)
@given(seeds=st.lists(st.integers(0, 999), max_size=6), cut=st.integers(0, 6))
def test_merging_two_halves_equals_adding_all(seeds, cut):
    whole, first, second = (Confusion(num_classes=3, keeps_images=True) for _ in range(3))
    for position, seed in enumerate(seeds):
        pair = random_pair(seed, num_classes=3)
        whole.add(*pair)
        (first if position < cut else second).add(*pair)
    first.merge(second)
    assert first.num_images == whole.num_images == len(seeds)
    assert torch.equal(first.matrix, whole.matrix)
    assert torch.equal(first.image_matrices, whole.image_matrices)
    assert torch.equal(whole.image_matrices.sum(0), whole.matrix)


def test_the_matrix_handed_out_is_a_copy():
    confusion = Confusion(num_classes=2)
    confusion.matrix[0, 0] = 7
    assert confusion.matrix.sum() == 0


def test_image_matrices_that_were_not_kept_are_refused():
    with pytest.raises(DataError, match="keeps_images=True"):
        _ = Confusion(num_classes=2).image_matrices
    with pytest.raises(DataError, match="keeps_images=True"):
        Confusion(num_classes=2, keeps_images=True).merge(Confusion(num_classes=2))


def test_a_refused_merge_changes_nothing():
    kept = Confusion(num_classes=2, keeps_images=True)
    other = Confusion(num_classes=2)
    other.add(torch.zeros(1, dtype=torch.int64), torch.zeros(1, dtype=torch.int64))
    with pytest.raises(DataError):
        kept.merge(other)
    assert kept.num_images == 0
    assert kept.matrix.sum() == 0


def test_merging_other_classes_is_refused():
    with pytest.raises(ShapeError, match="of 3 classes into one of 2"):
        Confusion(num_classes=2).merge(Confusion(num_classes=3))
