"""Means, medians and intervals over cases."""

import math

import numpy as np
import pytest
from scipy.stats import bootstrap

from atrous.errors import ShapeError
from atrous.metrics.volume_summary import summarise
from atrous.metrics.volumes import RegionScore


def case(dice, hd95=1.0):
    score = RegionScore(
        dice=dice, iou=dice, surface_dice=dice, hd95=hd95, truth_ml=2.0, prediction_ml=3.0
    )
    return {"lesion": score}


def test_means_leave_out_what_the_protocol_does():
    found = summarise([case(0.5), case(math.nan, math.nan), case(1.0, math.nan)])["lesion"]
    assert (found["dice"].mean, found["dice"].median, found["dice"].num_cases) == (0.75, 0.75, 2)
    assert (found["hd95"].mean, found["hd95"].num_cases, found["hd95"].interval) == (1, 1, None)
    assert found["volume_difference_ml"].mean == 1


def test_no_case_that_counts_gives_no_number():
    found = summarise([case(math.nan)])["lesion"]["dice"]
    assert math.isnan(found.mean)
    assert found.num_cases == 0


def test_the_interval_is_that_of_scipys_bootstrap():
    values = np.random.default_rng(3).beta(8, 2, size=40)
    found = summarise([case(value) for value in values], num_resamples=20000)["lesion"]["dice"]
    theirs = bootstrap(
        (values,), np.mean, method="percentile", n_resamples=20000, rng=1
    ).confidence_interval
    assert found.interval == pytest.approx((theirs.low, theirs.high), abs=2e-3)


def test_what_cannot_be_summarised_is_refused():
    with pytest.raises(ShapeError, match="No case"):
        summarise([])
    with pytest.raises(ShapeError, match="level=1"):
        summarise([case(1.0)], level=1)
