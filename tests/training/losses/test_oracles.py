"""Losses against MONAI, segmentation-models-pytorch and torchmetrics; alone: slow to import."""

import monai.losses
import pytest
import segmentation_models_pytorch.losses
import torch
from torch.nn.functional import one_hot
from torchmetrics.functional.classification import multiclass_f1_score, multiclass_jaccard_index

from atrous.training.losses.dice import dice_loss
from atrous.training.losses.focal import focal_loss
from atrous.training.losses.lovasz import lovasz_softmax


@pytest.mark.parametrize("shape", [(3, 4, 6, 7), (2, 4, 3, 5, 4)])
def test_dice_is_monais_over_the_batch_where_all_classes_occur(shape, batch):
    logits, target = batch(*shape, num_unlabelled=0)
    theirs = monai.losses.DiceLoss(
        softmax=True, to_onehot_y=True, batch=True, smooth_nr=1e-6, smooth_dr=1e-6
    )
    torch.testing.assert_close(dice_loss(logits, target), theirs(logits, target.unsqueeze(1)))


def test_dice_is_smps_but_for_the_number_of_classes_in_the_mean(batch):
    logits, target = batch(3, 5, 6, 7)
    target[target == 1] = 2
    theirs = segmentation_models_pytorch.losses.DiceLoss(
        "multiclass", ignore_index=255, smooth=1e-6
    )
    torch.testing.assert_close(dice_loss(logits, target), theirs(logits, target) * 5 / 4)


def test_dice_of_certain_predictions_is_one_minus_the_mean_f1(batch):
    # Dice of two sets is their F1.
    logits, target = batch(3, 4, 6, 7)
    certain = 1000.0 * one_hot(logits.argmax(1), 4).movedim(-1, 1)
    f1 = multiclass_f1_score(logits.argmax(1), target, 4, average="macro", ignore_index=255)
    assert dice_loss(certain, target).item() == pytest.approx(1 - f1.item(), abs=1e-6)


@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (2, 3, 2, 3, 4)])
@pytest.mark.parametrize("gamma", [0.5, 2.0])
def test_focal_is_monais_times_the_classes_over_which_that_averages_too(shape, gamma, batch):
    logits, target = batch(*shape, num_unlabelled=0)
    theirs = monai.losses.FocalLoss(use_softmax=True, to_onehot_y=True, gamma=gamma)
    expected = 3 * theirs(logits, target.unsqueeze(1))
    torch.testing.assert_close(focal_loss(logits, target, gamma=gamma).float(), expected.float())


@pytest.mark.parametrize("scale", [0.1, 1.0, 5.0])
@pytest.mark.parametrize("per_image", [False, True])
def test_lovasz_and_its_gradient_are_smps(scale, per_image, batch):
    logits, target = batch(3, 5, 20, 21, num_unlabelled=100, dtype=torch.float32)
    ours, theirs = ((scale * logits).requires_grad_() for _ in range(2))
    value = lovasz_softmax(ours, target, per_image=per_image)
    expected = segmentation_models_pytorch.losses.LovaszLoss(
        "multiclass", per_image=per_image, ignore_index=255
    )(theirs, target)
    value.backward()
    expected.backward()
    torch.testing.assert_close(value, expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-3, atol=1e-7)


def test_lovasz_of_certain_predictions_is_one_minus_mean_iou(batch):
    logits, target = batch(3, 4, 6, 7)
    certain = 1000.0 * one_hot(logits.argmax(1), 4).movedim(-1, 1)
    iou = multiclass_jaccard_index(logits.argmax(1), target, 4, ignore_index=255)
    assert lovasz_softmax(certain, target).item() == pytest.approx(1 - iou.item(), abs=1e-6)
