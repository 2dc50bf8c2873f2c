"""Schedules against PyTorch's own, and the authors' against the rates they trained with."""

import pytest
import torch
from torch.optim import lr_scheduler

from atrous.errors import ShapeError, UnknownNameError
from atrous.training.schedules import SCHEDULES, one_cycle, poly, schedule_factor, stepwise


def rates_of(make_scheduler, num_steps):
    """The learning rates PyTorch gives for a base of 1, one a step."""
    optimiser = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    scheduler = make_scheduler(optimiser)
    rates = []
    for _ in range(num_steps):
        rates.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        scheduler.step()
    return rates


def factors(name, total_steps, *, steps_per_epoch=1, warmup_steps=0):
    return [
        schedule_factor(
            name,
            step=step,
            total_steps=total_steps,
            steps_per_epoch=steps_per_epoch,
            warmup_steps=warmup_steps,
        )
        for step in range(total_steps)
    ]


@pytest.mark.parametrize("total", [1, 2, 50, 51])
@pytest.mark.parametrize(
    ("name", "theirs"),
    [
        ("poly", lambda o, total: lr_scheduler.PolynomialLR(o, total_iters=total, power=0.9)),
        ("cosine", lambda o, total: lr_scheduler.CosineAnnealingLR(o, T_max=total)),
        ("constant", lambda o, _: lr_scheduler.ConstantLR(o, factor=1.0)),
    ],
)
def test_a_schedule_is_pytorchs_of_that_name(name, theirs, total):
    expected = rates_of(lambda optimiser: theirs(optimiser, total), total)
    assert factors(name, total) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("total", [2, 12, 100, 333])  # a rise of one step is 0 / 0 in PyTorch
@pytest.mark.parametrize(("share", "start", "end"), [(0.3, 25.0, 1e4), (0.1, 10.0, 100.0)])
def test_one_cycle_is_pytorchs(total, share, start, end):
    def theirs(optimiser):
        return lr_scheduler.OneCycleLR(
            optimiser,
            max_lr=1.0,
            total_steps=total,
            pct_start=share,
            div_factor=start,
            final_div_factor=end,
        )

    ours = [
        one_cycle(step, total, rising_share=share, start_divisor=start, end_divisor=end)
        for step in range(total)
    ]
    assert ours == pytest.approx(rates_of(theirs, total), rel=1e-9)
    assert ours[-1] == pytest.approx(1 / (start * end))


def test_one_cycle_begins_low_peaks_at_the_base_rate_and_ends_lowest():
    ours = factors("one_cycle", 100)
    assert ours[0] == pytest.approx(1 / 25)
    assert ours[29] == max(ours) == pytest.approx(1)
    assert ours[-1] == min(ours) == pytest.approx(1 / 250_000)
    assert factors("one_cycle", 1) == [pytest.approx(1 / 25)]


def test_step_is_espnets_halving_every_100_of_300_epochs():
    expected = rates_of(lambda o: lr_scheduler.StepLR(o, step_size=100, gamma=0.5), 300)
    assert factors("step", 300) == expected
    per_epoch = factors("step", 300 * 7, steps_per_epoch=7)
    assert per_epoch[::7] == per_epoch[6::7] == expected


def test_step_is_pytorchs_at_any_milestones():
    def theirs(optimiser):
        return lr_scheduler.MultiStepLR(optimiser, milestones=[20, 50, 75], gamma=0.1)

    ours = [stepwise(step, 100, at=(0.2, 0.5, 0.75), gamma=0.1) for step in range(100)]
    assert ours == pytest.approx(rates_of(theirs, 100))


@pytest.mark.parametrize("warmup", [1, 2, 7, 40])
@pytest.mark.parametrize("name", SCHEDULES)
def test_a_warm_up_rises_in_a_line_beneath_the_schedule(name, warmup):
    plain = factors(name, 40, steps_per_epoch=4)
    warm = factors(name, 40, steps_per_epoch=4, warmup_steps=warmup)
    ramp = [1.0] * 40
    if warmup > 1:
        ramp = rates_of(
            lambda o: lr_scheduler.LinearLR(o, start_factor=1 / warmup, total_iters=warmup - 1), 40
        )
    assert warm == pytest.approx([a * b for a, b in zip(plain, ramp, strict=True)])


def test_cyclic_times_the_base_is_what_the_authors_classifiers_had():
    # SPEC_ESPNET_FAMILY 9: clr(0.1) is 0.1, then .5 .4 .3 .2 .1 again and again; .25 from 51.
    rates = [round(0.1 * factor, 5) for factor in factors("cyclic", 300)]
    halvings = [51, 101, 131, 161, 191, 221, 251, 281]
    expected = [0.1]
    for epoch in range(1, 300):
        lowest = 0.1 / 2 ** sum(epoch >= halving for halving in halvings)
        expected.append(round(lowest * (5, 4, 3, 2, 1)[(epoch - 1) % 5], 5))
    assert rates[:7] == [0.1, 0.5, 0.4, 0.3, 0.2, 0.1, 0.5]
    assert rates[50:57] == [0.1, 0.25, 0.2, 0.15, 0.1, 0.05, 0.25]
    assert rates == expected


def test_hybrid_times_the_base_is_what_the_authors_segmenters_had():
    # SPEC_ESPNET_FAMILY 9: hybrid(0.009, clr_max 61) over 100 epochs.
    rates = [round(0.009 * factor, 6) for factor in factors("hybrid", 100)]
    assert rates[0] == 0.009
    assert rates[1:61] == [0.045, 0.036, 0.027, 0.018, 0.009] * 12
    assert rates[61] == 0.008775
    assert rates[61:] == [round(0.009 * (1 - (epoch - 60) / 40), 6) for epoch in range(61, 100)]
    assert rates[99] == 0.000225


def test_poly_times_the_base_is_what_the_authors_segmenters_had():
    # SPEC_ESPNET_FAMILY 9: base * (1 - e/E)^p an epoch, rounded to six decimals.
    rates = [round(0.007 * factor, 6) for factor in factors("poly", 50)]
    assert rates[0] == 0.007
    assert rates[25] == round(0.007 * 0.5**0.9, 6)
    assert poly(25, 50, power=1.0) == 0.5


@pytest.mark.parametrize("name", ["cyclic", "hybrid"])
@pytest.mark.parametrize("epochs", [1, 3, 10, 37, 300])
def test_the_authors_schedules_change_between_epochs_only(name, epochs):
    of_epochs = factors(name, epochs)
    of_steps = factors(name, epochs * 9, steps_per_epoch=9)
    assert of_steps == [factor for factor in of_epochs for _ in range(9)]


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize(("total", "per_epoch"), [(1, 1), (2, 5), (7, 3), (1000, 10)])
def test_every_factor_is_positive_and_bounded(name, total, per_epoch):
    ours = factors(name, total, steps_per_epoch=per_epoch)
    assert all(0 < factor <= 5 for factor in ours)


@pytest.mark.parametrize("name", ["cosine", "hybrid", "one_cycle", "poly", "cyclic", "step"])
@pytest.mark.parametrize("epochs", [30, 100, 300])
def test_a_training_ends_lower_than_it_began(name, epochs):
    ours = factors(name, epochs * 4, steps_per_epoch=4)
    assert ours[-1] < ours[0]


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(UnknownNameError, match=r"named 'cosin'\. Did you mean 'cosine'"):
        schedule_factor("cosin", step=0, total_steps=1, steps_per_epoch=1)


@pytest.mark.parametrize(
    ("step", "total", "per_epoch", "warmup", "message"),
    [
        (-1, 10, 1, 0, "Step -1 of 10"),
        (10, 10, 1, 0, "expected a step from 0 to below the total"),
        (0, 0, 1, 0, "Step 0 of 0"),
        (0, 10, 0, 0, "at least one an epoch"),
        (0, 10, 1, 11, "11 warm-up steps in a training of 10"),
        (0, 10, 1, -1, "shorten the warm-up"),
    ],
)
def test_numbers_out_of_range_are_refused(step, total, per_epoch, warmup, message):
    with pytest.raises(ShapeError, match=message):
        schedule_factor(
            "poly",
            step=step,
            total_steps=total,
            steps_per_epoch=per_epoch,
            warmup_steps=warmup,
        )
