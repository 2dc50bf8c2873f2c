"""Mosaics: the source's own bytes, levels that are means, files that other libraries read."""

import numpy as np
import pytest

from atrous.data.synthetic.slides import make_slide_world, write_slide
from atrous.errors import DataError, ShapeError

tifffile = pytest.importorskip("tifffile", reason="needs the extra slides")
openslide = pytest.importorskip("openslide", reason="needs the extra slides")
pytest.importorskip("imagecodecs", reason="needs the extra slides")
pytest.importorskip("skimage", reason="needs the extra slides")

from atrous.data.slides.read import open_slide  # noqa: E402
from atrous.data.slides.write_pyramid import num_levels  # noqa: E402
from atrous.data.synthetic.mosaic import write_mosaic  # noqa: E402

SOURCE_SIZE = (1100, 1600)
TILE = 256
SIZE = (5000, 7100)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    folder = tmp_path_factory.mktemp("source")
    world = make_slide_world(1, size=SOURCE_SIZE, seed=5)
    paths = folder / "image.tif", folder / "labels.tif"
    write_slide(*paths, world=world, size=SOURCE_SIZE, mpp=(0.5, 0.4))
    return paths[0]


@pytest.fixture(scope="module")
def mosaic(source, tmp_path_factory):
    path = tmp_path_factory.mktemp("mosaic") / "mosaic.tif"
    return path, write_mosaic(source, path, size=SIZE)


def pixels_of(path, level):
    with tifffile.TiffFile(path) as tiff:
        return tiff.pages[level].asarray()


def test_level_0_repeats_whole_tiles_of_the_source(source, mosaic):
    period = [length // TILE * TILE for length in SOURCE_SIZE]
    part = pixels_of(source, 0)[: period[0], : period[1]]
    times = [-(-SIZE[axis] // period[axis]) for axis in range(2)]
    expected = np.tile(part, (*times, 1))[: SIZE[0], : SIZE[1]]
    assert np.array_equal(pixels_of(mosaic[0], 0), expected)


def test_openslide_sees_its_levels_and_mpp(mosaic):
    with openslide.OpenSlide(mosaic[0]) as slide:
        sizes = ((7100, 5000), (3550, 2500), (1775, 1250), (888, 625))
        assert slide.level_dimensions == sizes
        assert float(slide.properties["openslide.mpp-x"]) == pytest.approx(0.4, rel=1e-6)
        assert float(slide.properties["openslide.mpp-y"]) == pytest.approx(0.5, rel=1e-6)
        region = slide.read_region((4000, 3000), 0, (600, 500))
    inside = pixels_of(mosaic[0], 0)[3000:3500, 4000:4600]
    assert np.array_equal(np.asarray(region)[..., :3], inside)


@pytest.mark.parametrize("level", [1, 2, 3])
def test_a_level_is_the_mean_of_the_one_before_but_for_what_jpeg_loses(mosaic, level):
    fine, coarse = pixels_of(mosaic[0], level - 1), pixels_of(mosaic[0], level)
    height, width = (length // 2 for length in fine.shape[:2])
    means = fine[: height * 2, : width * 2].reshape(height, 2, width, 2, 3).mean(axis=(1, 3))
    assert np.abs(coarse[:height, :width] - means).mean() < 4


def test_a_huge_one_is_small_and_has_all_its_levels(source, tmp_path):
    path = tmp_path / "huge.tif"
    made = write_mosaic(source, path, size=(60_000, 100_000), tissue_tiles=200)
    assert path.stat().st_size < 8e6
    assert made.num_tiles == -(-60_000 // TILE) * -(-100_000 // TILE)
    assert made.num_tissue_tiles == 200
    with open_slide(path) as slide:
        assert [level.size for level in slide.levels][::7] == [(60_000, 100_000), (469, 782)]
        assert len(slide.levels) == num_levels((60_000, 100_000))
        thumbnail = slide.read_thumbnail(500)
        far = slide.read((100, 70_000), (TILE, TILE), mpp=slide.mpp)
    # 200 tiles of 91,800 and the glass between them lie around the middle.
    dark = np.argwhere(thumbnail.mean(axis=-1) < 210)
    assert 0 < len(dark) < 0.01 * thumbnail[..., 0].size
    assert (np.abs(dark - [150, 250]) < 30).all()
    assert far.std() < 4


def test_what_cannot_be_made_is_told(source, tmp_path):
    with pytest.raises(ShapeError, match="expected H x W"):
        write_mosaic(source, tmp_path / "m.tif", size=(0, 100))
    with pytest.raises(ShapeError, match="expected H x W"):
        write_mosaic(source, tmp_path / "m.tif", size=(1 << 21, 100))
    plain = tmp_path / "plain.tif"
    glass = np.full((512, 512, 3), 244, np.uint8)
    tifffile.imwrite(plain, glass, tile=(256, 256), photometric="rgb", compression="deflate")
    with pytest.raises(DataError, match="no tiles of JPEG"):
        write_mosaic(plain, tmp_path / "m.tif", size=(900, 900), mpp=0.5)
    tifffile.imwrite(plain, glass, tile=(256, 256), photometric="rgb", compression="jpeg")
    with pytest.raises(DataError, match="no tissue is found"):
        write_mosaic(plain, tmp_path / "m.tif", size=(900, 900), mpp=0.5, tissue_tiles=3)
    pink = glass // np.array([2, 3, 2], np.uint8)
    tifffile.imwrite(plain, pink, tile=(256, 256), photometric="rgb", compression="jpeg")
    with pytest.raises(DataError, match="no tile of bare glass"):
        write_mosaic(plain, tmp_path / "m.tif", size=(900, 900), mpp=0.5, tissue_tiles=3)
    tifffile.imwrite(plain, glass[:200], tile=(256, 256), photometric="rgb", compression="jpeg")
    with pytest.raises(DataError, match="smaller than one of its tiles"):
        write_mosaic(plain, tmp_path / "m.tif", size=(900, 900), mpp=0.5)
    assert not (tmp_path / "m.tif").exists()


@pytest.mark.real
@pytest.mark.parametrize(
    ("name", "mpp"), [("cmu-1-small-region.svs", None), ("tcga-cr-7395-01a-01-ts1.svs", 0.25)]
)
def test_real_tiles_of_jpeg_and_jpeg_2000(shared, tmp_path, name, mpp):
    source, path = shared / "data" / "slides" / name, tmp_path / "mosaic.svs"
    made = write_mosaic(source, path, size=(100_000, 100_000), tissue_tiles=2000, mpp=mpp)
    assert made.num_tissue_tiles == 2000
    assert path.stat().st_size < 20e6
    with open_slide(source, mpp=mpp) as original, open_slide(path) as slide:
        assert slide.mpp == original.mpp
        assert slide.objective == original.objective
        assert slide.vendor == "aperio"
        with openslide.OpenSlide(path) as other:
            for level, at in ((0, 49_000), (2, 12_100), (5, 1_500)):
                down = round(slide.levels[level].downsample[0])
                region = other.read_region((at * down, at * down), level, (300, 300))
                pixels = slide.read((at, at), (300, 300), mpp=slide.mpp[0] * down)
                assert np.array_equal(pixels, np.asarray(region)[..., :3])
