"""Pieces of tissue: inside is where they are, and what touches none holds none."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from atrous.data.synthetic.noise import Region
from atrous.data.synthetic.section import Section, is_inside, touches

SECTIONS = (
    Section(centre=(400, 500), half=(200, 100)),
    Section(centre=(-300.5, 2000), half=(50, 700)),
)


def test_the_middle_is_inside_and_the_corners_are_not():
    inside = is_inside(SECTIONS[:1], Region(top=0, left=0, height=800, width=1000), seed=1)
    assert inside[390:410, 490:510].all()
    assert not inside[[0, 0, -1, -1], [0, -1, 0, -1]].any()


def test_a_section_has_nearly_the_area_of_its_form():
    """The points whose fourth powers sum to less than 1 fill 3.7081 of the square's 4."""
    inside = is_inside(SECTIONS[:1], Region(top=0, left=0, height=800, width=1000), seed=1)
    assert abs(inside.sum() / (3.7081 * 200 * 100) - 1) < 0.15


@settings(max_examples=40, deadline=None)
@given(top=st.integers(-700, 900), left=st.integers(-100, 2900), seed=st.integers(0, 2**62))
def test_a_region_that_touches_none_holds_none(top, left, seed):
    region = Region(top=top, left=left, height=60, width=80)
    around = is_inside(SECTIONS, region.grown(300), seed=seed)[300:-300, 300:-300]
    assert np.array_equal(is_inside(SECTIONS, region, seed=seed), around)
    assert touches(SECTIONS, region) or not around.any()
