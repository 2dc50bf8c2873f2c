"""Dice of regions that overlap, learned through classes that do not."""

import pytest
import torch

from atrous.errors import ShapeError, UnknownNameError
from atrous.training.losses.catalog import sum_of_losses
from atrous.training.losses.dice import dice_loss
from atrous.training.losses.region_dice import region_dice_loss, region_members

CLASSES = ("background", "necrosis", "edema", "enhancing")


def logits_and_target():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 4, 5, 6, 7, generator=generator)
    return logits, torch.randint(0, 4, (2, 5, 6, 7), generator=generator)


def test_regions_of_one_class_each_are_plain_dice():
    logits, target = logits_and_target()
    expected = dice_loss(logits, target)
    found = region_dice_loss(logits, target, members=[[0], [1], [2], [3]])
    torch.testing.assert_close(found, expected)


def test_the_region_of_all_classes_is_always_right():
    logits, target = logits_and_target()
    assert float(region_dice_loss(logits, target, members=[[0, 1, 2, 3]])) < 1e-7


def test_a_mistake_inside_a_region_costs_it_nothing():
    target = torch.tensor([[[[1, 2, 0, 0]]]])
    said = torch.tensor([[[[2, 1, 0, 0]]]])  # both are of the whole tumour
    logits = 50.0 * torch.nn.functional.one_hot(said, 4).movedim(-1, 1)
    assert float(region_dice_loss(logits, target, members=[[1, 2, 3]])) == pytest.approx(0)
    assert float(region_dice_loss(logits, target, members=[[1], [2]])) == pytest.approx(1)


def test_unlabelled_voxels_and_absent_regions_do_not_count():
    logits, target = logits_and_target()
    target[:, :2] = 255
    target[target == 3] = 0
    changed = logits.clone()
    changed[:, :, :2] += 5 * torch.randn(1, 4, 1, 1, 1)
    members = [[1, 2], [3]]
    expected = region_dice_loss(logits, target, members=[[1, 2]])
    torch.testing.assert_close(region_dice_loss(changed, target, members=members), expected)


def test_nothing_labelled_gives_0_and_gradient_0():
    logits, target = logits_and_target()
    logits.requires_grad_()
    loss = region_dice_loss(logits, torch.full_like(target, 255), members=[[1]])
    loss.backward()
    assert float(loss.detach()) == 0
    assert not logits.grad.any()


def test_regions_name_classes():
    regions = {"whole": ("necrosis", "edema", "enhancing"), "core": ("necrosis", "enhancing")}
    assert region_members(regions, CLASSES) == ((1, 2, 3), (1, 3))
    with pytest.raises(UnknownNameError, match="Did you mean 'edema'"):
        region_members({"whole": ("edma",)}, CLASSES)
    with pytest.raises(ShapeError, match="has no class"):
        region_members({"whole": ()}, CLASSES)


def test_a_recipes_sum_of_losses_knows_regions():
    logits, target = logits_and_target()
    loss = sum_of_losses({"region_dice": 2.0}, class_weights=None, regions=[[1, 2]])
    expected = 2 * region_dice_loss(logits, target, members=[[1, 2]])
    torch.testing.assert_close(loss(logits, target), expected)
    with pytest.raises(ShapeError, match="there are no regions"):
        sum_of_losses({"region_dice": 1.0}, class_weights=None)
