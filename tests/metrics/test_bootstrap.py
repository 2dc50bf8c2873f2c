"""Bootstrap intervals: against a plain loop, and where they must collapse or widen."""

import numpy as np
import pytest
import torch

from atrous.errors import ShapeError, UnknownNameError
from atrous.metrics import bootstrap, bootstrap_mean_iou, score


def random_matrices(num_images: int, *, num_classes: int = 4, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    shape = (num_images, num_classes + 1, num_classes)
    return torch.randint(40, shape, generator=generator)


@pytest.mark.parametrize(
    ("protocol", "void_class"), [("void_ignored", None), ("camvid_published", 3)]
)
def test_agrees_with_a_plain_loop_over_numpy_resamples(protocol, void_class):
    matrices = random_matrices(25)
    rng = np.random.default_rng(0)
    mean_ious = [
        score(
            matrices[torch.from_numpy(rng.integers(25, size=25))].sum(0),
            protocol=protocol,
            void_class=void_class,
        ).mean_iou
        for _ in range(2000)
    ]
    interval = bootstrap_mean_iou(
        matrices, protocol=protocol, void_class=void_class, num_resamples=4000, level=0.9
    )
    # Two independent draws of a quantile: they differ by sampling only.
    assert interval == pytest.approx(
        np.quantile(mean_ious, [0.05, 0.95]), abs=0.15 * np.ptp(mean_ious) / 4
    )


def test_contains_the_score_of_the_whole_set_and_widens_with_the_level():
    matrices = random_matrices(30)
    middle = score(matrices.sum(0), protocol="void_ignored").mean_iou
    narrow = bootstrap_mean_iou(matrices, protocol="void_ignored", level=0.5)
    wide = bootstrap_mean_iou(matrices, protocol="void_ignored", level=0.99)
    assert wide[0] < narrow[0] < middle < narrow[1] < wide[1]


def test_the_same_seed_gives_the_same_interval_and_another_seed_another():
    matrices = random_matrices(30)
    first, again, other = (
        bootstrap_mean_iou(matrices, protocol="void_ignored", seed=seed) for seed in (1, 1, 2)
    )
    assert first == again != other


def test_leaves_the_global_random_state_alone():
    before = torch.get_rng_state()
    bootstrap_mean_iou(random_matrices(5), protocol="void_ignored")
    assert torch.equal(torch.get_rng_state(), before)


def test_equal_images_leave_no_doubt():
    matrix = random_matrices(1)[0]
    exact = score(matrix, protocol="void_ignored").mean_iou
    interval = bootstrap_mean_iou(matrix.expand(8, -1, -1), protocol="void_ignored")
    assert interval == pytest.approx((exact, exact), abs=1e-12)


@pytest.mark.parametrize("num_images", [0, 1])
def test_fewer_than_two_images_have_no_interval(num_images):
    assert bootstrap_mean_iou(random_matrices(num_images), protocol="void_ignored") is None


def test_a_class_seen_on_few_images_does_not_spoil_the_interval():
    matrices = torch.zeros(6, 3, 2, dtype=torch.int64)
    matrices[:, 0, 0] = 10
    matrices[0, 1, 1] = 10  # the only image with class 1: a third of the resamples lack it
    assert bootstrap_mean_iou(matrices, protocol="void_ignored") == (1.0, 1.0)


def test_working_in_rounds_resamples_as_often(monkeypatch):
    matrices = random_matrices(10)
    drawn = []
    draw = bootstrap._draw
    monkeypatch.setattr(bootstrap, "_MAX_ELEMENTS", 60)
    monkeypatch.setattr(
        bootstrap,
        "_draw",
        lambda images, times, rng: drawn.append(times) or draw(images, times, rng),
    )
    low, high = bootstrap_mean_iou(matrices, protocol="void_ignored", num_resamples=100)
    assert sum(drawn) == 100
    assert max(drawn) == 3
    assert low < high


def test_bad_settings_are_refused():
    matrices = random_matrices(3)
    with pytest.raises(ShapeError, match="level=1"):
        bootstrap_mean_iou(matrices, protocol="void_ignored", level=1)
    with pytest.raises(ShapeError, match="num_resamples=0"):
        bootstrap_mean_iou(matrices, protocol="void_ignored", num_resamples=0)
    with pytest.raises(ShapeError, match=r"expected \(N, C \+ 1, C\)"):
        bootstrap_mean_iou(matrices[0], protocol="void_ignored")
    with pytest.raises(UnknownNameError, match="camvid_published"):
        bootstrap_mean_iou(matrices, protocol="camvid")
