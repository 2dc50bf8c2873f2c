"""Lovász-Softmax against its definition, and its two ways to sort against each other."""

import pytest
import torch

from atrous.training.losses.lovasz import extend, lovasz_softmax
from atrous.training.losses.lovasz_cpu import extend_on_cpu


def by_definition(logits, target):
    """Equations 8 to 11: each error times the gain in 1 - IoU as its pixel joins the wrong ones."""
    p = (logits.exp() / logits.exp().sum(1, keepdim=True)).movedim(1, -1)[target != 255].tolist()
    labels = target[target != 255].tolist()
    losses = []
    for c in sorted(set(labels)):
        truth = {i for i, label in enumerate(labels) if label == c}
        errors = [1 - row[c] if i in truth else row[c] for i, row in enumerate(p)]

        def one_minus_iou(wrong, truth=truth):
            predicted = truth ^ wrong
            return 1 - len(truth & predicted) / len(truth | wrong)

        wrong, loss = set(), 0.0
        for i in sorted(range(len(errors)), key=errors.__getitem__, reverse=True):
            loss += errors[i] * (one_minus_iou(wrong | {i}) - one_minus_iou(wrong))
            wrong.add(i)
        losses.append(loss)
    return sum(losses) / len(losses)


@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (2, 3, 2, 3, 4)])
@pytest.mark.parametrize("seed", range(3))
def test_it_is_the_lovasz_extension_of_one_minus_iou(shape, seed, batch):
    logits, target = batch(*shape, seed=seed)
    target[target == 1] = 2
    assert lovasz_softmax(logits, target).item() == pytest.approx(
        by_definition(logits, target), rel=1e-12
    )


def test_per_image_it_is_the_mean_over_images_with_labels(batch):
    logits, target = batch(4, 3, 4, 5)
    target[2] = 255
    expected = sum(by_definition(logits[i : i + 1], target[i : i + 1]) for i in (0, 1, 3)) / 3
    value = lovasz_softmax(logits, target, per_image=True)
    assert value.item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("per_image", [False, True])
def test_per_image_gradients_are_those_of_finite_differences(per_image, batch):
    logits, target = batch(3, 3, 3, 4)
    target[1] = 255
    logits.requires_grad_()
    assert torch.autograd.gradcheck(
        lambda x: lovasz_softmax(x, target, per_image=per_image), [logits]
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("scale", [0.1, 1.0, 10.0])
@pytest.mark.parametrize("shape", [(2, 6, 130, 131), (1, 6, 9, 10, 11)])
def test_sorting_by_class_on_the_cpu_is_sorting_all_at_once(dtype, scale, shape, batch):
    logits, target = batch(*shape, num_unlabelled=99, dtype=dtype)
    target[target == 1] = 2
    probabilities = (scale * logits).softmax(1)
    slopes, expected_slopes = torch.zeros_like(probabilities), torch.zeros_like(probabilities)
    value = extend_on_cpu(probabilities, target, slopes)
    expected = extend(probabilities, target, expected_slopes)
    torch.testing.assert_close(value, expected)
    # Where the CPU leaves a pixel out its slope is 0, or its error is.
    is_wrong = (probabilities != 0) & (probabilities != 1)
    torch.testing.assert_close(slopes * is_wrong, expected_slopes * is_wrong)


def test_a_class_of_one_pixel_costs_what_is_missing():
    # That pixel is the whole class: IoU falls from 1 to 0 with it, whatever the others do after.
    probability = torch.tensor([[[0.3, 0.1], [0.7, 0.9]]])  # (B=1, C=2, S=2)
    value = lovasz_softmax(probability.log(), torch.tensor([[0, 1]]))
    # Class 0: errors .7 (inside), .1. Class 1: errors .7 (outside: IoU 1 to 1/2), .1 (inside).
    assert value.item() == pytest.approx((0.7 + (0.7 * 0.5 + 0.1 * 0.5)) / 2)
