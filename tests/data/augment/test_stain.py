"""Stain jitter: amounts as scikit-image finds them, white that stays white, chance kept apart."""

import numpy as np
import pytest
import torch

from atrous.data.augment.photos import Augmentation, augment
from atrous.data.augment.stain import StainChange, change_stain, draw_stain_change, dye_matrix
from atrous.errors import DataError, ShapeError

DYES = np.array([[0.65, 0.70, 0.29], [0.07, 0.99, 0.11]])
DYES /= np.linalg.norm(DYES, axis=1, keepdims=True)


@pytest.fixture
def tissue():
    """Colours of amounts of both dyes, by Beer and Lambert, `(3, 40, 50)` uint8."""
    amounts = np.random.default_rng(0).uniform(0.2, 0.8, (40 * 50, 2))
    light = 255 * np.exp(-amounts @ DYES)
    return torch.from_numpy(light.T.reshape(3, 40, 50).round().astype(np.uint8))


def amounts_of(image):
    """By scikit-image, whose unit is another."""
    colour = pytest.importorskip("skimage.color", reason="needs the extra slides")
    return colour.separate_stains(image.permute(1, 2, 0).numpy(), np.linalg.inv(dye_matrix()))


def test_amounts_of_dye_are_scaled_as_another_implementation_finds_them(tissue):
    before = amounts_of(tissue)
    after = amounts_of(change_stain(tissue, StainChange(factors=(1.3, 0.8))))
    # Grey levels are whole numbers, so single pixels are off by a little.
    assert after[..., 0] == pytest.approx(1.3 * before[..., 0], rel=0.05, abs=1e-3)
    assert after[..., 1] == pytest.approx(0.8 * before[..., 1], rel=0.05, abs=1e-3)
    assert after[..., 0].sum() == pytest.approx(1.3 * before[..., 0].sum(), rel=2e-3)
    assert after[..., 1].sum() == pytest.approx(0.8 * before[..., 1].sum(), rel=2e-3)


def test_a_shift_adds_the_absorbance_of_a_dye_to_every_pixel():
    white = torch.full((3, 4, 5), 255, dtype=torch.uint8)
    seen = change_stain(white, StainChange(shifts=(0.4, 0.0)))
    expected = np.rint(255 * np.exp(-0.4 * DYES[0])).astype(int).tolist()
    assert seen[:, 0, 0].tolist() == expected
    assert (seen == seen[:, :1, :1]).all()


def test_white_takes_up_no_dye_by_scaling():
    white = torch.full((3, 4, 5), 255, dtype=torch.uint8)
    assert torch.equal(change_stain(white, StainChange(factors=(1.4, 0.6))), white)


def test_no_change_gives_every_colour_back():
    levels = torch.randint(256, (3, 64, 64), dtype=torch.uint8)
    nearly = change_stain(levels, StainChange(factors=(1.0 + 1e-9, 1.0)))
    assert (nearly.int() - levels.clamp(min=1).int()).abs().max() <= 1
    assert change_stain(levels, StainChange()) is levels


def test_stains_are_drawn_within_bounds_and_leave_the_generator_as_it_was():
    rng, twin = (np.random.default_rng(3) for _ in range(2))
    changes = [draw_stain_change(scale=0.2, shift=0.05, rng=rng) for _ in range(50)]
    assert rng.random() == twin.random()
    factors = np.array([change.factors for change in changes])
    shifts = np.array([change.shifts for change in changes])
    assert (abs(factors - 1) <= 0.2).all()
    assert factors.std() > 0.08
    assert (abs(shifts) <= 0.05).all()
    assert len({change.factors for change in changes}) == 50


def test_a_view_depends_on_its_seed_alone_and_moves_as_without_stain(tissue):
    mask = torch.arange(40 * 50).reshape(40, 50) % 7
    settings = {"size": (24, 24), "scale": (0.8, 1.3), "rotation": 20}

    def view(stain):
        rng = np.random.default_rng(5)
        return augment(tissue, mask, Augmentation(**settings, stain=stain), rng)

    plain, stained, again = view(0.0), view(0.3), view(0.3)
    assert torch.equal(stained[0], again[0])
    assert not torch.equal(stained[0], plain[0])
    assert torch.equal(stained[1], plain[1])


def test_grey_images_and_amounts_beyond_one_are_refused(tissue):
    with pytest.raises(ShapeError, match="grey and stain need red, green and blue"):
        augment(tissue[:1], None, Augmentation(stain=0.1), np.random.default_rng(0))
    with pytest.raises(DataError, match=r"stain, stain_shift \(1.5, 0.0\); expected 0 to 1"):
        Augmentation(stain=1.5)
