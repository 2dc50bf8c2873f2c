"""Made slides: files that openslide opens, labels that are the truth, a diagnosis that is there."""

import json

import numpy as np
import pytest

from atrous.data.synthetic.anatomy import Tissue
from atrous.data.synthetic.slides import (
    make_slide_world,
    write_slide,
    write_slide_folder,
    zone_shares,
)
from atrous.data.synthetic.tissue import DIAGNOSES, TISSUES, draw_region
from atrous.data.synthetic.world import Diagnosis
from atrous.errors import ShapeError

SIZE = (900, 1300)
MPP = (0.5, 0.4)


@pytest.fixture(scope="module")
def slide(tmp_path_factory):
    pytest.importorskip("tifffile", reason="needs the extra slides")
    pytest.importorskip("imagecodecs", reason="needs the extra slides")
    folder = tmp_path_factory.mktemp("slide")
    world = make_slide_world(2, size=SIZE, seed=3)
    image, labels = folder / "image.tif", folder / "labels.tif"
    truth = write_slide(image, labels, world=world, size=SIZE, mpp=MPP)
    return world, image, labels, truth


def pages(path):
    import tifffile

    with tifffile.TiffFile(path) as tiff:
        return [page.asarray() for page in tiff.pages]


def test_the_picture_is_the_world_but_for_what_jpeg_loses(slide):
    world, image, _, _ = slide
    rgb, _ = draw_region(0, 0, SIZE, world=world)
    assert np.abs(pages(image)[0].astype(int) - rgb).mean() < 4


def test_labels_are_the_true_mask_in_every_pixel(slide):
    world, _, labels, truth = slide
    _, mask = draw_region(0, 0, SIZE, world=world)
    assert np.array_equal(pages(labels)[0], mask)
    assert truth.num_pixels == tuple(np.bincount(mask.ravel(), minlength=8).tolist())


def test_areas_are_in_square_millimetres(slide):
    *_, truth = slide
    assert sum(truth.areas().values()) == pytest.approx(900 * 0.5 * 1300 * 0.4 / 1e6)


def test_openslide_opens_it_with_its_mpp(slide):
    openslide = pytest.importorskip("openslide", reason="needs the extra slides")
    with openslide.OpenSlide(slide[1]) as opened:
        assert opened.level_dimensions == ((1300, 900), (650, 450))
        assert float(opened.properties["openslide.mpp-x"]) == pytest.approx(0.4)
        assert float(opened.properties["openslide.mpp-y"]) == pytest.approx(0.5)


def test_tissue_lies_in_the_middle_and_glass_around(slide):
    world, *_ = slide
    rgb, mask = draw_region(0, 0, SIZE, world=world)
    border = np.concatenate([mask[0], mask[-1], mask[:, 0], mask[:, -1]])
    assert (border == Tissue.BACKGROUND).all()
    assert 0.3 < (mask != Tissue.BACKGROUND).mean() < 0.8
    assert len(np.unique(rgb[0], axis=0)) == 1


def test_glass_far_away_is_what_glass_near_by_is(slide):
    world, *_ = slide
    near, _ = draw_region(0, 0, (20, 20), world=world)
    far, mask = draw_region(-90_000, 5_000, (20, 20), world=world)
    assert np.array_equal(near, far)
    assert mask.max() == 0


@pytest.mark.parametrize("diagnosis", Diagnosis)
def test_zones_are_of_the_diagnosis_and_none_is_worse(diagnosis):
    for index in range(5):
        world = make_slide_world(index, size=(3000, 9000), diagnosis=diagnosis)
        shares = zone_shares(world)
        assert sum(shares) == pytest.approx(1)
        assert shares[diagnosis] >= 0.15
        assert sum(shares[diagnosis + 1 :]) == 0


def test_diagnoses_take_turns():
    worlds = [make_slide_world(index, size=SIZE) for index in range(5)]
    assert [world.diagnosis for world in worlds] == [0, 1, 2, 3, 0]


def test_tissue_of_a_huge_slide_is_a_few_cores():
    world = make_slide_world(0, size=(100_000, 100_000))
    area = sum(4 * section.half[0] * section.half[1] for section in world.sections)
    assert 1e8 < area < 5e8


@pytest.mark.parametrize("size", [(500, 2000), (2000,), (600, 600, 600)])
def test_sizes_that_are_no_slide_are_refused(size):
    with pytest.raises(ShapeError, match="at least 512"):
        make_slide_world(0, size=size)


def test_a_folder_of_slides(tmp_path):
    pytest.importorskip("tifffile", reason="needs the extra slides")
    pytest.importorskip("imagecodecs", reason="needs the extra slides")
    done = []
    root = write_slide_folder(
        tmp_path / "set", num_slides=2, size=(512, 600), mpp=MPP, advance=done.append
    )
    assert sum(done) == 2 * 2 * 3
    truth = json.loads((root / "truth.json").read_text())
    assert [each["diagnosis"] for each in truth.values()] == list(DIAGNOSES[:2])
    assert (root / "labels.csv").read_text() == "name,label\n000,benign\n001,atypia\n"
    for name, each in truth.items():
        labels = pages(root / "masks" / f"{name}.tif")[0]
        assert pages(root / "images" / f"{name}.tif")[0].shape == (512, 600, 3)
        counts = dict(zip(TISSUES, np.bincount(labels.ravel(), minlength=8).tolist(), strict=True))
        assert each["num_pixels"] == counts


def test_writing_twice_gives_the_same_files(tmp_path):
    pytest.importorskip("tifffile", reason="needs the extra slides")
    pytest.importorskip("imagecodecs", reason="needs the extra slides")
    roots = [
        write_slide_folder(tmp_path / name, num_slides=1, size=(512, 512)) for name in ("a", "b")
    ]
    files = [path for path in sorted(roots[0].rglob("*")) if path.is_file()]
    assert len(files) == 6
    for path in files:
        assert path.read_bytes() == (roots[1] / path.relative_to(roots[0])).read_bytes()
