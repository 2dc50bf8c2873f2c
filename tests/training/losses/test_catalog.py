"""What holds for every loss of the catalog, in 2D and 3D alike, and for sums of them."""

import pytest
import torch

from atrous.errors import DataError, ShapeError, UnknownNameError
from atrous.training.losses.catalog import LOSSES, sum_of_losses

every_loss = pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
both_dims = pytest.mark.parametrize("shape", [(2, 3, 5, 4), (2, 3, 2, 3, 4)], ids=["2d", "3d"])
WEIGHTS = torch.tensor([0.5, 2.0, 1.0], dtype=torch.float64)
maybe_weights = pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["alike", "weighted"])


def value_and_gradient(loss, logits, target, weights=None):
    logits = logits.detach().clone().requires_grad_()
    value = loss(logits, target, class_weights=weights)
    value.backward()
    return value.detach(), logits.grad


@every_loss
@both_dims
@maybe_weights
def test_gradients_are_those_of_finite_differences(loss, shape, weights, batch):
    logits, target = batch(*shape)
    logits.requires_grad_()
    assert torch.autograd.gradcheck(lambda x: loss(x, target, class_weights=weights), [logits])


@every_loss
@both_dims
@maybe_weights
def test_unlabelled_pixels_have_no_say(loss, shape, weights, batch):
    logits, target = batch(*shape)
    value, gradient = value_and_gradient(loss, logits, target, weights)
    is_labelled = (target != 255).unsqueeze(1)
    others = logits.where(is_labelled, 7 * torch.randn_like(logits))
    torch.testing.assert_close(value_and_gradient(loss, others, target, weights)[0], value)
    assert (gradient.where(is_labelled, 0) == gradient).all()


@pytest.mark.parametrize("name", sorted(set(LOSSES) - {"boundary"}))  # it looks at neighbours
@maybe_weights
def test_unlabelled_pixels_might_as_well_not_exist(name, weights, batch):
    logits, target = batch(2, 3, 5, 4)
    is_labelled = target != 255
    kept = logits.movedim(1, 0)[:, is_labelled][None]
    torch.testing.assert_close(
        LOSSES[name](kept, target[is_labelled][None], class_weights=weights),
        LOSSES[name](logits, target, class_weights=weights),
    )


@every_loss
@both_dims
@maybe_weights
def test_nothing_labelled_costs_nothing_and_pulls_nowhere(loss, shape, weights, batch):
    logits, target = batch(*shape)
    value, gradient = value_and_gradient(loss, logits, torch.full_like(target, 255), weights)
    assert value == 0
    assert (gradient == 0).all()


@every_loss
@maybe_weights
def test_an_image_is_a_volume_of_depth_one(loss, weights, batch):
    logits, target = batch(2, 3, 5, 4)
    for axis in (1, 2, 3):
        torch.testing.assert_close(
            loss(logits.unsqueeze(axis + 1), target.unsqueeze(axis), class_weights=weights),
            loss(logits, target, class_weights=weights),
        )


@every_loss
def test_an_absent_class_of_weight_zero_leaves_all_finite(loss, batch):
    logits, target = batch(2, 3, 5, 4)
    weights = torch.tensor([1.0, 2.0, 0.0])
    value, gradient = value_and_gradient(loss, logits, target.clamp(max=1), weights)
    assert value > 0
    assert gradient.isfinite().all()
    value, gradient = value_and_gradient(loss, logits, torch.full_like(target, 2), weights)
    assert value.isfinite()
    assert gradient.isfinite().all()


@every_loss
def test_certain_and_right_costs_nothing_certain_and_wrong_the_most(loss, batch):
    _, target = batch(2, 3, 5, 4)
    one_hot = torch.nn.functional.one_hot(target.clamp(max=2), 3).movedim(-1, 1).float()
    right, middling, wrong = (
        loss(scale * one_hot, target, class_weights=None) for scale in (50.0, 0.0, -50.0)
    )
    assert right == pytest.approx(0, abs=1e-6)
    assert right < middling < wrong


@every_loss
@pytest.mark.parametrize("scale", [1e2, 1e4, 1e30])
def test_huge_logits_leave_value_and_gradient_finite(loss, scale, batch):
    logits, target = batch(2, 3, 5, 4, dtype=torch.float32)
    value, gradient = value_and_gradient(loss, scale * logits, target)
    assert value.isfinite()
    assert gradient.isfinite().all()


@every_loss
@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
def test_a_logit_that_is_no_number_shows_in_the_loss(loss, bad, batch):
    logits, target = batch(2, 3, 5, 4, num_unlabelled=0, dtype=torch.float32)
    logits[1, 2, 3, 3] = bad
    assert not loss(logits, target, class_weights=None).isfinite()


@every_loss
@pytest.mark.parametrize("half", [torch.bfloat16, torch.float16])
def test_half_precision_is_computed_in_float32_under_autocast(loss, half, batch):
    logits, target = batch(2, 3, 9, 8, dtype=torch.float32)
    logits = logits.to(half)
    expected, _ = value_and_gradient(loss, logits.float(), target, WEIGHTS)
    with torch.autocast("cpu", dtype=half):
        value, gradient = value_and_gradient(loss, logits, target, WEIGHTS)
    assert value.dtype == torch.float32
    assert gradient.dtype == half
    torch.testing.assert_close(value, expected, rtol=1e-6, atol=0)


@every_loss
def test_memory_formats_give_the_same(loss, batch):
    logits, target = batch(2, 3, 9, 8)
    value, gradient = value_and_gradient(loss, logits, target, WEIGHTS)
    last = logits.contiguous(memory_format=torch.channels_last)
    other_value, other_gradient = value_and_gradient(loss, last, target, WEIGHTS)
    torch.testing.assert_close(other_value, value)
    torch.testing.assert_close(other_gradient, gradient)


@every_loss
def test_inputs_are_left_as_they_were(loss, batch):
    logits, target = batch(2, 3, 5, 4)
    before = logits.clone(), target.clone()
    loss(logits, target, class_weights=WEIGHTS)
    assert torch.equal(logits, before[0])
    assert torch.equal(target, before[1])


@every_loss
def test_what_does_not_fit_is_refused(loss, batch):
    logits, target = batch(2, 3, 5, 4)
    with pytest.raises(ShapeError, match=r"expected \(B, C, \*S\) and \(B, \*S\)"):
        loss(logits, target[:, :-1], class_weights=None)
    with pytest.raises(ShapeError, match="expected floats and int64"):
        loss(logits, target.float(), class_weights=None)
    with pytest.raises(DataError, match="holds class 3; expected 0 to 2, or 255"):
        loss(logits, target.masked_fill(target == 0, 3), class_weights=None)
    with pytest.raises(DataError, match="holds class -1"):
        loss(logits, target.masked_fill(target == 0, -1), class_weights=None)


@pytest.mark.parametrize("name", ["boundary", "cross_entropy", "focal", "ohem"])
def test_another_number_of_weights_is_refused(name, batch):
    logits, target = batch(2, 3, 5, 4)
    with pytest.raises(ShapeError, match=r"Class weights are \(4,\) for logits of 3 classes"):
        LOSSES[name](logits, target, class_weights=torch.ones(4))


@pytest.mark.parametrize("name", ["boundary", "cross_entropy", "focal", "ohem"])
def test_only_the_proportions_of_weights_matter(name, batch):
    logits, target = batch(2, 3, 5, 4)
    value = LOSSES[name](logits, target, class_weights=WEIGHTS)
    torch.testing.assert_close(LOSSES[name](logits, target, class_weights=8 * WEIGHTS), value)
    with pytest.raises(AssertionError):
        torch.testing.assert_close(LOSSES[name](logits, target, class_weights=None), value)


def test_a_sum_is_the_sum_of_its_terms(batch):
    logits, target = batch(2, 3, 5, 4)
    factors = {"lovasz": 0.5, "cross_entropy": 1, "focal": 2.0}
    total = sum_of_losses(factors, class_weights=WEIGHTS)
    expected = sum(
        factor * LOSSES[name](logits, target, class_weights=WEIGHTS)
        for name, factor in factors.items()
    )
    torch.testing.assert_close(total(logits, target), expected)


@pytest.mark.parametrize(
    ("factors", "error", "message"),
    [
        ({"cross_entropi": 1.0}, UnknownNameError, "Did you mean 'cross_entropy'"),
        ({}, ShapeError, "No loss is named"),
        ({"dice": 0.0}, ShapeError, "'dice' is 0.0; expected a positive number"),
        ({"dice": float("nan")}, ShapeError, "'dice' is nan"),
    ],
)
def test_a_sum_of_what_is_no_loss_is_refused(factors, error, message):
    with pytest.raises(error, match=message):
        sum_of_losses(factors, class_weights=None)


@every_loss
@both_dims
@pytest.mark.gpu
def test_a_gpu_gives_what_the_cpu_gives(loss, shape, batch):
    logits, target = batch(*shape, dtype=torch.float32)
    value, gradient = value_and_gradient(loss, logits, target, WEIGHTS)
    on_gpu = value_and_gradient(loss, logits.cuda(), target.cuda(), WEIGHTS.cuda())
    torch.testing.assert_close(on_gpu[0].cpu(), value)
    torch.testing.assert_close(on_gpu[1].cpu(), gradient)
