"""Colours by algebra and by torchvision, one property at a time."""

import numpy as np
import pytest
import torch

from atrous.data.augment.colour import ColourJitter, colour_matrix, gaussian_blur, recolour

LUMA = torch.tensor([0.299, 0.587, 0.114], dtype=torch.float64)


def middling(height=32, width=48):
    """Colours so moderate that nothing is clipped."""
    return torch.randint(90, 160, (3, height, width), dtype=torch.uint8)


def recoloured(image, **settings):
    return recolour(image, ColourJitter(**settings), np.random.default_rng(0))


def luma(image):
    return torch.einsum("c,chw->hw", LUMA, image.to(torch.float64))


def test_nothing_asked_for_changes_nothing():
    image = torch.randint(0, 256, (3, 9, 9), dtype=torch.uint8)
    assert torch.equal(recoloured(image), image)


@pytest.mark.parametrize("factor", [0.6, 1.0, 1.4])
@pytest.mark.parametrize("name", ["brightness", "contrast", "saturation"])
def test_each_factor_is_that_of_torchvision(name, factor):
    """They cut off what we round, so a level apart is equal."""
    from torchvision.transforms.v2 import functional as TF  # noqa: N812

    image = middling()
    theirs = getattr(TF, f"adjust_{name}")(image, factor)
    assert (recoloured(image, **{name: factor}).int() - theirs.int()).abs().max() <= 1


def test_factors_are_applied_one_after_the_other():
    """Together as in turn: brightness, contrast, saturation; each in turn rounds once more."""
    image = middling()
    together = recoloured(image, brightness=1.1, contrast=0.7, saturation=1.2)
    in_turn = image
    for name, factor in (("brightness", 1.1), ("contrast", 0.7), ("saturation", 1.2)):
        in_turn = recoloured(in_turn, **{name: factor})
    assert (together.int() - in_turn.int()).abs().max() <= 2


def test_no_saturation_is_grey():
    image = middling()
    grey = recoloured(image, saturation=0.0)
    assert torch.equal(grey[0], grey[1])
    assert torch.equal(grey[0], grey[2])
    assert (grey[0] - luma(image)).abs().max() <= 0.51


def test_no_contrast_is_the_mean_grey():
    image = middling()
    flat = recoloured(image, contrast=0.0)
    assert flat.unique().tolist() == [round(float(luma(image).mean()))]


@pytest.mark.parametrize("hue", [-0.3, 0.05, 0.5])
def test_hue_keeps_luma_and_grey(hue):
    image = middling()
    assert (luma(recoloured(image, hue=hue)) - luma(image)).abs().max() < 0.6
    grey = image[:1].expand(3, -1, -1)
    assert (recoloured(grey, hue=hue).int() - grey.int()).abs().max() <= 1


def test_turns_of_the_colour_wheel_add_up():
    third = colour_matrix(ColourJitter(hue=1 / 3))
    assert np.allclose(third @ third @ third, np.eye(3), atol=1e-12)
    assert not np.allclose(third, np.eye(3), atol=0.1)


def test_a_small_turn_of_hue_goes_the_way_of_torchvision():
    """Red becomes more yellow: green rises, blue does not."""
    from torchvision.transforms.v2 import functional as TF  # noqa: N812

    red = torch.tensor([180, 90, 90], dtype=torch.uint8)[:, None, None]
    for hue in (0.04, -0.04):
        ours = recoloured(red, hue=hue).int() - red.int()
        theirs = TF.adjust_hue(red, hue).int() - red.int()
        assert bool(ours[1] > ours[2]) == bool(theirs[1] > theirs[2])


def test_what_leaves_the_range_is_clipped_not_wrapped():
    image = torch.tensor([0, 100, 250], dtype=torch.uint8)[:, None, None]
    assert recoloured(image, brightness=1.5).flatten().tolist() == [0, 150, 255]
    assert recoloured(image, contrast=2.0).min() == 0


@pytest.mark.parametrize("sigma", [0.4, 1.0, 2.0])
def test_blur_is_that_of_torchvision_away_from_the_border(sigma):
    from torchvision.transforms.v2 import functional as TF  # noqa: N812

    image = torch.rand(3, 40, 50)
    radius = int(np.ceil(3 * sigma))
    theirs = TF.gaussian_blur(image, kernel_size=[2 * radius + 1] * 2, sigma=[sigma] * 2)
    inside = (slice(None), slice(radius, -radius), slice(radius, -radius))
    assert torch.allclose(gaussian_blur(image, sigma)[inside], theirs[inside], atol=1e-5)


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (3, 2)])
def test_blur_leaves_plain_colour_and_narrow_images_in_peace(size):
    plain = torch.full((3, *size), 77.0)
    assert torch.allclose(gaussian_blur(plain, 2.0), plain)


def test_noise_has_the_deviation_asked_for():
    grey = torch.full((3, 100, 100), 128, dtype=torch.uint8)
    noise = recoloured(grey, noise=0.04).double() - 128
    assert abs(float(noise.mean())) < 0.3
    # 30,000 values know their deviation to 0.4 %; rounding adds a variance of 1/12.
    assert float(noise.std()) == pytest.approx(np.hypot(255 * 0.04, 12**-0.5), rel=0.02)
