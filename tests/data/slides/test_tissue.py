"""Tissue on thumbnails: made slides against their truth, and pictures with nothing or all of it."""

import numpy as np
import pytest

from atrous.errors import ShapeError

pytest.importorskip("skimage", reason="needs the extra slides")

from atrous.data.slides.tissue import area_in_pixels, find_tissue
from atrous.data.synthetic.slides import make_slide_world
from atrous.data.synthetic.tissue import draw_region


def flat(colour, size=(80, 90)):
    noise = np.random.default_rng(0).integers(-3, 4, (*size, 3))
    return np.clip(np.array(colour) + noise, 0, 255).astype(np.uint8)


def block(glass, tissue, *, size=(80, 90)):
    picture = flat(glass, size)
    picture[20:60, 30:70] = flat(tissue, (40, 40))
    return picture


def is_the_block(mask):
    truth = np.zeros_like(mask)
    truth[20:60, 30:70] = True
    return (mask != truth).mean() < 0.03


@pytest.mark.parametrize("seed", range(4))
def test_made_slides_are_divided_as_they_were_drawn(seed):
    size = (768, 768)
    rgb, mask = draw_region(0, 0, size, world=make_slide_world(seed, size=size, seed=seed))
    small = rgb.reshape(96, 8, 96, 8, 3).mean(axis=(1, 3))
    truth = (mask != 0).reshape(96, 8, 96, 8).mean(axis=(1, 3)) > 0.5
    found = find_tissue(np.rint(small).astype(np.uint8))
    # What it takes beside the truth lies along borders, a pixel of the thumbnail wide.
    assert (found & truth).sum() / truth.sum() > 0.97
    assert (found & truth).sum() / found.sum() > 0.88


@pytest.mark.parametrize("glass", [(255, 255, 255), (243, 242, 245), (250, 246, 236)])
@pytest.mark.parametrize("tissue", [(230, 150, 190), (90, 60, 140), (238, 222, 232)])
def test_strong_and_pale_stain_on_white_and_tinted_glass(glass, tissue):
    assert is_the_block(find_tissue(block(glass, tissue)))


@pytest.mark.parametrize("glass", [(255, 255, 255), (243, 242, 245), (250, 246, 236)])
def test_bare_glass_holds_no_tissue(glass):
    assert not find_tissue(flat(glass)).any()


def test_a_slide_full_of_tissue_holds_no_glass():
    picture = flat((225, 150, 190))
    picture[:, 40:] = flat((120, 80, 150), (80, 50))
    assert find_tissue(picture).all()


@pytest.mark.parametrize(("glass", "tissue"), [(250, 120), (225, 190), (255, 30)])
def test_grey_slides_are_divided_by_darkness(glass, tissue):
    picture = np.repeat(block([glass] * 3, [tissue] * 3)[..., :1], 3, axis=-1)
    assert is_the_block(find_tissue(picture))


@pytest.mark.parametrize("level", [0, 128, 255])
def test_one_even_grey_holds_nothing(level):
    assert not find_tissue(np.full((50, 60, 3), level, np.uint8)).any()


def test_black_borders_of_a_scan_are_no_tissue():
    picture = block((245, 245, 245), (200, 120, 170))
    picture[:10] = flat((4, 4, 4), (10, 90))
    mask = find_tissue(picture)
    assert is_the_block(mask)
    assert not mask[:10].any()


def test_specks_and_holes_up_to_a_size_are_removed():
    picture = block((250, 250, 250), (200, 100, 160))
    picture[5:9, 5:9] = (200, 100, 160)
    picture[35:43, 45:53] = 250
    assert is_the_block(find_tissue(picture, speck=60, hole=150))
    kept = find_tissue(picture, speck=0, hole=0)
    assert kept[6:8, 6:8].all()
    assert not kept[38:40, 48:50].any()


def test_one_pixel_is_answered_and_a_grey_array_refused():
    assert find_tissue(np.zeros((1, 1, 3), np.uint8)).shape == (1, 1)
    with pytest.raises(ShapeError, match=r"expected \(H, W, 3\)"):
        find_tissue(np.zeros((4, 4), np.uint8))


def test_a_small_empty_slide_is_no_hole_in_tissue():
    assert not find_tissue(flat((243, 242, 245), (30, 40)), speck=20, hole=5000).any()


def test_areas_become_pixels():
    assert area_in_pixels(10_000, mpp=(8, 8)) == 156


@pytest.mark.real
@pytest.mark.parametrize(
    ("name", "least", "most"),
    [("cmu-1-small-region.svs", 0.3, 0.45), ("tcga-cr-7395-01a-01-ts1.svs", 0.6, 0.8)],
)
def test_real_slides_hold_as_much_tissue_as_is_seen(shared, name, least, most):
    slides = pytest.importorskip("atrous.data.slides.read")
    with slides.open_slide(shared / "data" / "slides" / name, mpp=0.5) as slide:
        thumbnail = slide.read_thumbnail(600)
    assert least < find_tissue(thumbnail).mean() < most


GLASS = (243, 243, 242)
KINDS = {
    "blue-grey": (236, 232, 238),
    "haematoxylin alone": (215, 215, 232),
    "pale eosin": (232, 222, 232),
    "fat": (238, 230, 236),
    "stained": (205, 140, 185),
}
BESIDE = {
    "nothing": None,
    "DAB": (120, 75, 40),
    "a green pen": (20, 140, 60),
    "a blue pen": (30, 40, 160),
    "a red pen": (200, 30, 40),
    "a black pen": (25, 25, 28),
}


def scene(glass, parts, *, size=(300, 420), noise=3, seed=0):
    """Discs `(colour, row, column, radius)` on glass, and where each of them is."""
    rng = np.random.default_rng(seed)
    picture = np.empty((*size, 3))
    picture[:] = glass
    down, right = np.mgrid[: size[0], : size[1]]
    discs = []
    for colour, row, column, radius in parts:
        discs.append((down - row) ** 2 + (right - column) ** 2 < radius**2)
        picture[discs[-1]] = np.array(colour) + rng.normal(0, 4, (discs[-1].sum(), 1))
    picture += rng.normal(0, noise, picture.shape)
    return np.clip(picture, 0, 255).astype(np.uint8), discs


@pytest.mark.parametrize("beside", BESIDE)
@pytest.mark.parametrize("kind", KINDS)
def test_tissue_is_found_whatever_lies_beside_it(kind, beside):
    parts = [(KINDS[kind], 150, 120, 80)]
    if BESIDE[beside]:
        parts.append((BESIDE[beside], 150, 330, 50))
    picture, discs = scene(GLASS, parts)
    found = find_tissue(picture)
    assert found[discs[0]].mean() > 0.97
    glass = ~np.any(discs, axis=0)
    assert found[glass].mean() < 0.03
    if "pen" in beside:
        assert found[discs[1]].mean() < 0.05


@pytest.mark.parametrize(
    ("glass", "tissue"), [((240, 236, 215), (225, 215, 205)), ((190, 190, 188), (150, 95, 130))]
)
def test_tinted_and_grey_glass(glass, tissue):
    picture, discs = scene(glass, [(tissue, 150, 120, 80)])
    found = find_tissue(picture)
    assert found[discs[0]].mean() > 0.97
    assert found[~discs[0]].mean() < 0.02


def test_black_frames_round_glass_and_round_tissue():
    picture, discs = scene((2, 2, 2), [(GLASS, 150, 210, 140), ((205, 140, 185), 150, 180, 60)])
    found = find_tissue(picture)
    assert found[discs[1]].mean() > 0.97
    assert found[~discs[1]].mean() < 0.03
    picture, discs = scene((2, 2, 2), [((205, 140, 185), 150, 210, 140)])
    found = find_tissue(picture)
    assert found[discs[0]].mean() > 0.95
    assert found[~discs[0]].mean() < 0.02


@pytest.mark.parametrize("glass", [(243, 243, 242), (236, 242, 245), (240, 236, 215)])
def test_white_that_was_not_scanned_is_not_taken_for_the_glass(glass):
    picture, discs = scene(glass, [((205, 140, 185), 150, 180, 60)])
    picture[:60], picture[260:], picture[:130, :90] = 255, 255, 255  # tiles with steps between
    found = find_tissue(picture)
    assert found[discs[0]].mean() > 0.97
    assert found[~discs[0]].mean() < 0.03


@pytest.mark.parametrize("tissue", [(236, 232, 238), (205, 140, 185)])
def test_white_glass_is_taken_for_the_glass(tissue):
    picture, discs = scene((262, 262, 262), [(tissue, 150, 180, 90)])
    found = find_tissue(picture)
    assert found[discs[0]].mean() > 0.95
    assert found[~discs[0]].mean() < 0.03


@pytest.mark.parametrize("colour", [(0, 180, 0), (20, 40, 200), (60, 10, 10)])
def test_on_a_dark_background_tissue_is_what_is_bright(colour):
    picture, discs = scene((6, 6, 6), [(colour, 150, 120, 60), ((70, 40, 60), 150, 320, 40)])
    found = find_tissue(picture)
    assert all(found[disc].mean() > 0.95 for disc in discs)
    assert found[~np.any(discs, axis=0)].mean() < 0.03


@pytest.mark.parametrize("colour", [(60, 50, 45), (170, 170, 168)])
def test_pigment_and_silver_beside_stained_tissue(colour):
    picture, discs = scene(GLASS, [(colour, 150, 120, 60), ((205, 140, 185), 150, 320, 60)])
    assert all(find_tissue(picture)[disc].mean() > 0.97 for disc in discs)


def test_a_stain_in_the_colour_of_ink_is_tissue():
    picture, discs = scene(GLASS, [((30, 40, 160), 150, 120, 80)])
    assert find_tissue(picture)[discs[0]].mean() > 0.97


@pytest.mark.parametrize("noise", [1, 3, 8])
def test_noise_and_dust_are_no_tissue(noise):
    picture, _ = scene(GLASS, [((230, 230, 228), 150, 120, 30)], noise=noise)
    assert find_tissue(picture).mean() < 0.001
