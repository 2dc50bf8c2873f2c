"""The weights near borders against SciPy's distances, and the loss against its formula."""

import math

import numpy as np
import pytest
import torch
from scipy.ndimage import distance_transform_edt

from atrous.data.synthetic.shapes import draw_shapes
from atrous.errors import ShapeError
from atrous.training.losses.boundary import boundary_loss
from atrous.training.losses.cross_entropy import cross_entropy

WEIGHTS = torch.tensor([0.5, 2.0, 1.0, 3.0], dtype=torch.float64)


def borders_by_hand(mask):
    """Pixels with a labelled neighbour of another class, one pixel after the other."""
    border = np.zeros(mask.shape, dtype=bool)
    for place in np.ndindex(mask.shape):
        for axis in range(mask.ndim):
            for step in (-1, 1):
                other = list(place)
                other[axis] += step
                if not 0 <= other[axis] < mask.shape[axis]:
                    continue
                here, there = mask[place], mask[tuple(other)]
                border[place] |= here != there and 255 not in (here, there)
    return border


def masks(kind):
    if kind == "2d":
        target = np.stack([draw_shapes(i, size=(30, 41))[1] for i in range(3)])
        target[1, 5:15, 8:20] = 255
        target[2] = 1  # no border at all
        return target.astype(np.int64)
    target = np.random.default_rng(0).integers(0, 4, (1, 1, 1, 1)).repeat(9, 1).repeat(8, 2)
    target = target.repeat(7, 3)
    target[0, 4:, 2:5, 3:] = 3
    target[0, :2, :3] = 255
    return target


@pytest.mark.parametrize("kind", ["2d", "3d"])
@pytest.mark.parametrize("weights", [None, WEIGHTS])
@pytest.mark.parametrize(("border_weight", "sigma"), [(10.0, 5.0), (3.0, 1.5)])
def test_it_is_the_formula_with_scipys_distances(kind, weights, border_weight, sigma):
    target = masks(kind)
    logits = torch.randn(target.shape[0], 4, *target.shape[1:], dtype=torch.float64)
    of_class = np.ones(4) if weights is None else weights.numpy()
    entropy = -logits.log_softmax(1).numpy()
    total = weight = 0.0
    for b, mask in enumerate(target):
        border = borders_by_hand(mask)
        distance = distance_transform_edt(~border) if border.any() else np.full(mask.shape, np.inf)
        for place in zip(*np.nonzero(mask != 255), strict=True):
            w = of_class[mask[place]]
            w *= 1 + border_weight * math.exp(-2 * distance[place] ** 2 / sigma**2)
            total += w * entropy[(b, mask[place], *place)]
            weight += w
    value = boundary_loss(
        logits,
        torch.from_numpy(target),
        class_weights=weights,
        border_weight=border_weight,
        sigma=sigma,
    )
    # Beyond 2 σ the weight is rounded off: at most exp(-8) of w0, 0.03 %.
    assert value.item() == pytest.approx(total / weight, rel=1e-4)


@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_without_borders_or_without_their_weight_it_is_cross_entropy(weights, batch):
    logits, target = batch(2, 4, 6, 7)
    torch.testing.assert_close(
        boundary_loss(logits, target, border_weight=0, class_weights=weights),
        cross_entropy(logits, target, class_weights=weights),
    )
    target = torch.full_like(target, 2)
    torch.testing.assert_close(
        boundary_loss(logits, target, class_weights=weights),
        cross_entropy(logits, target, class_weights=weights),
    )


def test_an_error_at_a_border_costs_more_than_one_inside():
    target = torch.zeros(1, 21, 40, dtype=torch.int64)
    target[..., 20:] = 1
    right = 10.0 * torch.nn.functional.one_hot(target, 2).movedim(-1, 1).float()
    at_border, inside = right.clone(), right.clone()
    at_border[0, :, 10, 20] = right[0, :, 10, 20].flip(0)
    inside[0, :, 10, 39] = right[0, :, 10, 39].flip(0)
    assert boundary_loss(at_border, target) > 5 * boundary_loss(inside, target)


def test_an_axis_of_length_one_is_no_border(batch):
    logits, target = batch(2, 3, 1, 7)
    torch.testing.assert_close(
        boundary_loss(logits, target), boundary_loss(logits[:, :, 0], target[:, 0])
    )


@pytest.mark.parametrize(("border_weight", "sigma"), [(-1.0, 5.0), (10.0, 0.0)])
def test_numbers_out_of_range_are_refused(border_weight, sigma, batch):
    with pytest.raises(ShapeError, match="a weight of 0 or more and a positive sigma"):
        boundary_loss(*batch(2, 3, 4, 5), border_weight=border_weight, sigma=sigma)


def test_labels_of_whole_images_have_no_borders(batch):
    with pytest.raises(ShapeError, match="with spatial axes"):
        boundary_loss(*batch(6, 3))
