"""Cross entropy of the hardest pixels against a plain statement of it."""

import math

import pytest
import torch

from atrous.errors import ShapeError
from atrous.training.losses.cross_entropy import cross_entropy
from atrous.training.losses.ohem import ohem_cross_entropy

WEIGHTS = torch.tensor([0.5, 2.0, 1.0], dtype=torch.float64)


def hardest_by_hand(logits, target, *, threshold, min_kept, weights):
    pixels = []
    for b, row, column in (target != 255).nonzero().tolist():
        scores = logits[b, :, row, column].tolist()
        truth = int(target[b, row, column])
        p = math.exp(scores[truth]) / sum(map(math.exp, scores))
        pixels.append((p, weights[truth]))
    pixels.sort()
    num_hard = sum(p < threshold for p, _ in pixels)
    kept = pixels[: max(num_hard, 1, int(min_kept * len(pixels)))]
    return -sum(w * math.log(p) for p, w in kept) / sum(w for _, w in kept)


@pytest.mark.parametrize("weights", [None, WEIGHTS])
@pytest.mark.parametrize(
    ("threshold", "min_kept"), [(0.7, 1 / 16), (0.3, 0.1), (0.01, 0.5), (0.001, 0.0), (1.5, 0.2)]
)
def test_it_is_the_mean_of_the_pixels_kept(weights, threshold, min_kept, batch):
    logits, target = batch(2, 3, 6, 7)
    expected = hardest_by_hand(
        logits,
        target,
        threshold=threshold,
        min_kept=min_kept,
        weights=[1.0] * 3 if weights is None else weights.tolist(),
    )
    value = ohem_cross_entropy(
        logits, target, threshold=threshold, min_kept=min_kept, class_weights=weights
    )
    assert value.item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_with_every_pixel_kept_it_is_cross_entropy(weights, batch):
    logits, target = batch(2, 3, 6, 7)
    torch.testing.assert_close(
        ohem_cross_entropy(logits, target, min_kept=1, class_weights=weights),
        cross_entropy(logits, target, class_weights=weights),
    )


def test_easy_pixels_pull_nowhere():
    logits = torch.tensor(
        [[[5.0, 1.0, 0.0], [0.0, 0.0, 2.0]]], requires_grad=True
    )  # p: .99 .73 .12
    ohem_cross_entropy(logits, torch.tensor([[0, 0, 0]])).backward()
    assert (logits.grad[..., :2] == 0).all()
    assert (logits.grad[..., 2] != 0).all()


@pytest.mark.parametrize(
    ("threshold", "min_kept"), [(0.0, 0.1), (-1.0, 0.1), (0.5, -0.1), (0.5, 1.1)]
)
def test_numbers_out_of_range_are_refused(threshold, min_kept, batch):
    with pytest.raises(ShapeError, match="expected a probability above 0 and a share"):
        ohem_cross_entropy(*batch(2, 3, 4, 5), threshold=threshold, min_kept=min_kept)
