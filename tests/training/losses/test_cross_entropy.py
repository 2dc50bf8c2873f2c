"""Cross entropy against its formula and PyTorch's own."""

import math

import pytest
import torch
from torch.nn.functional import cross_entropy as pytorch_cross_entropy

from atrous.training.losses.cross_entropy import cross_entropy

WEIGHTS = torch.tensor([0.5, 2.0, 1.0], dtype=torch.float64)


@pytest.mark.parametrize("weights", [None, WEIGHTS])
@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
def test_it_is_the_formula_pixel_by_pixel(weights, smoothing, batch):
    logits, target = batch(2, 3, 4, 5)
    of = [1.0] * 3 if weights is None else weights.tolist()
    total = weight = 0.0
    for b, row, column in (target != 255).nonzero().tolist():
        scores = logits[b, :, row, column].tolist()
        log_sum = math.log(sum(map(math.exp, scores)))
        truth = int(target[b, row, column])
        for c, score in enumerate(scores):
            aim = smoothing / 3 + (1 - smoothing) * (c == truth)
            total += aim * of[c] * (log_sum - score)
        weight += of[truth]
    value = cross_entropy(logits, target, class_weights=weights, label_smoothing=smoothing)
    assert value.item() == pytest.approx(total / weight, rel=1e-12)


@pytest.mark.parametrize("weights", [None, WEIGHTS])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("shape", [(6, 3), (2, 3, 4, 5), (2, 3, 2, 3, 4)])
def test_it_is_pytorchs_where_something_is_labelled(weights, smoothing, shape, batch):
    logits, target = batch(*shape)
    expected = pytorch_cross_entropy(
        logits, target, weights, ignore_index=255, label_smoothing=smoothing
    )
    value = cross_entropy(logits, target, class_weights=weights, label_smoothing=smoothing)
    torch.testing.assert_close(value, expected)


def test_no_weight_at_all_costs_nothing(batch):
    logits, target = batch(2, 3, 4, 5)
    assert cross_entropy(logits, target, class_weights=torch.zeros(3)) == 0
