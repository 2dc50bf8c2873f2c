"""Colours of dyes: the law of Beer and Lambert."""

import numpy as np

from atrous.data.synthetic.stain import Stain, colour, draw_stain


def amounts(*values):
    return tuple(np.array([[value]], np.float32) for value in values)


def test_no_dye_leaves_the_glass():
    stain = draw_stain(3)
    assert colour(stain, *amounts(0, 0, 0)).ravel().tolist() == [
        round(value) for value in stain.glass
    ]


def test_light_is_absorbed_as_beer_and_lambert_say():
    stain = draw_stain(8)
    rng = np.random.default_rng(0)
    dyes = [rng.uniform(0, 1.2, (20, 30)).astype(np.float32) for _ in range(3)]
    absorbed = sum(
        dye[..., None] * np.array(absorbance)
        for dye, absorbance in zip(
            dyes, (stain.haematoxylin, stain.eosin, stain.red_cells), strict=True
        )
    )
    expected = np.array(stain.glass) * np.exp(-absorbed)
    assert np.abs(colour(stain, *dyes) - expected).max() <= 1


def test_any_amount_of_dye_gives_a_colour():
    assert colour(Stain(), *amounts(50, 50, 50)).max() <= 5


def test_haematoxylin_is_blue_and_eosin_is_pink():
    red, _, blue = colour(Stain(), *amounts(1, 0, 0)).ravel().tolist()
    assert blue > red
    red, green, blue = colour(Stain(), *amounts(0, 1, 0)).ravel().tolist()
    assert red > blue > green


def test_every_seed_has_its_own_stain_and_keeps_it():
    assert draw_stain(1) == draw_stain(1)
    assert draw_stain(1) != draw_stain(2)
