"""Soft Dice against its formula."""

import pytest
import torch

from atrous.training.losses.dice import dice_loss


@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (2, 3, 2, 3, 4)])
@pytest.mark.parametrize("epsilon", [1e-6, 1.0])
def test_it_is_the_formula_class_by_class(shape, epsilon, batch):
    logits, target = batch(*shape)
    target[target == 1] = 2  # class 1 is absent and left out of the mean
    p = logits.exp() / logits.exp().sum(1, keepdim=True)
    losses = []
    for c in (0, 2):
        overlap = of_prediction = of_truth = 0.0
        for position in (target != 255).nonzero().tolist():
            b, *place = position
            chance = p[(b, c, *place)].item()
            is_class = int(target[tuple(position)]) == c
            overlap += chance * is_class
            of_prediction += chance
            of_truth += is_class
        losses.append(1 - (2 * overlap + epsilon) / (of_prediction + of_truth + epsilon))
    value = dice_loss(logits, target, epsilon=epsilon)
    assert value.item() == pytest.approx(sum(losses) / 2, rel=1e-12)


def test_a_million_pixels_in_float32_are_summed_well(batch):
    logits, target = batch(1, 2, 1000, 1000, dtype=torch.float32)
    torch.testing.assert_close(
        dice_loss(logits, target).double(), dice_loss(logits.double(), target), rtol=1e-6, atol=0
    )
