"""Focal loss against its formula and cross entropy."""

import math

import pytest
import torch

from atrous.errors import ShapeError
from atrous.training.losses.cross_entropy import cross_entropy
from atrous.training.losses.focal import focal_loss

WEIGHTS = torch.tensor([0.5, 2.0, 1.0], dtype=torch.float64)


@pytest.mark.parametrize("weights", [None, WEIGHTS])
@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0, 5.0])
def test_it_is_the_formula_pixel_by_pixel(weights, gamma, batch):
    logits, target = batch(2, 3, 4, 5)
    of = [1.0] * 3 if weights is None else weights.tolist()
    total = weight = 0.0
    for b, row, column in (target != 255).nonzero().tolist():
        scores = logits[b, :, row, column].tolist()
        truth = int(target[b, row, column])
        p = math.exp(scores[truth]) / sum(map(math.exp, scores))
        total += -of[truth] * (1 - p) ** gamma * math.log(p)
        weight += of[truth]
    value = focal_loss(logits, target, gamma=gamma, class_weights=weights)
    assert value.item() == pytest.approx(total / weight, rel=1e-12)


@pytest.mark.parametrize("shape", [(6, 3), (2, 3, 4, 5)])
@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_gamma_zero_is_cross_entropy(shape, weights, batch):
    logits, target = batch(*shape)
    torch.testing.assert_close(
        focal_loss(logits, target, gamma=0, class_weights=weights),
        cross_entropy(logits, target, class_weights=weights),
    )


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0])
def test_the_slope_is_finite_where_the_network_is_certain(gamma):
    logits = torch.tensor([[100.0, 0.0], [0.0, 100.0]], requires_grad=True)
    focal_loss(logits, torch.tensor([0, 0]), gamma=gamma).backward()
    assert logits.grad.isfinite().all()
    assert logits.grad[1, 0] < 0


def test_a_negative_gamma_is_refused(batch):
    with pytest.raises(ShapeError, match="gamma=-1; expected 0 or more"):
        focal_loss(*batch(2, 3, 4, 5), gamma=-1)
