"""Slides: levels to the byte, exact resampling, one answer for every window, honest refusals."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from atrous.data.slides.write_pyramid import photo_tiles, write_pyramid
from atrous.errors import DataError, ShapeError, UnknownNameError

tifffile = pytest.importorskip("tifffile", reason="needs the extra slides")
pytest.importorskip("imagecodecs", reason="needs the extra slides")
openslide = pytest.importorskip("openslide", reason="needs the extra slides")

from atrous.data.slides.openslide import OpenSlidePixels  # noqa: E402
from atrous.data.slides.read import is_slide, open_slide  # noqa: E402

TILE = 64
SIZE = (1151, 2311)
MPP = (0.5, 0.25)


def photo_of(size):
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[: size[0], : size[1]]
    waves = [127 + 70 * np.sin(rows / 23 + columns / (17 + 5 * c)) for c in range(3)]
    noise = rng.integers(-40, 40, size=(*size, 3))
    return np.clip(np.stack(waves, axis=-1) + noise, 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """Three levels, whose sizes are odd: the ratio of two is no whole number."""
    path = tmp_path_factory.mktemp("slide") / "slide.tif"
    kind = photo_tiles()
    height, width = (-(-length // TILE) * TILE for length in SIZE)
    photo = photo_of((height, width))
    tiles = (
        kind.encode(np.ascontiguousarray(photo[y : y + TILE, x : x + TILE]))
        for y in range(0, height, TILE)
        for x in range(0, width, TILE)
    )
    write_pyramid(path, tiles, kind=kind, size=SIZE, tile=TILE, mpp=MPP)
    return path


@pytest.fixture(scope="module")
def slide(path):
    with open_slide(path) as slide:
        yield slide


def own_mpp(slide, level):
    down, right = slide.levels[level].downsample
    return slide.mpp[0] * down, slide.mpp[1] * right


def whole(slide, mpp):
    return slide.read((0, 0), slide.size_at(mpp), mpp=mpp)


def test_facts_are_those_of_openslide(slide, path):
    with openslide.OpenSlide(path) as other:
        sizes = tuple((height, width) for width, height in other.level_dimensions)
        assert tuple(level.size for level in slide.levels) == sizes
        assert slide.vendor == other.properties["openslide.vendor"]
        assert slide.mpp[1] == float(other.properties["openslide.mpp-x"])
    assert slide.mpp == pytest.approx(MPP)


def test_a_border_that_was_kept_does_not_bend_the_downsample(slide):
    assert [level.downsample for level in slide.levels] == [(1, 1), (2, 2), (4, 4)]


@pytest.mark.parametrize("level", [0, 1, 2])
def test_a_level_is_that_of_openslide_to_the_byte(slide, path, level):
    with openslide.OpenSlide(path) as other:
        expected = other.read_region((0, 0), level, other.level_dimensions[level])
    assert np.array_equal(whole(slide, own_mpp(slide, level)), np.asarray(expected)[..., :3])


def test_a_level_is_read_without_resampling_where_mpp_is_near_it(slide):
    near = tuple(length * 1.0009 for length in own_mpp(slide, 1))
    assert slide.level_at(near) == 1
    assert slide.size_at(near) == slide.levels[1].size
    assert slide.scale_at(near) == (2, 2)
    assert np.array_equal(whole(slide, near), whole(slide, own_mpp(slide, 1)))
    assert slide.level_at(tuple(length * 1.0011 for length in own_mpp(slide, 1))) is None


def test_a_grid_has_the_physical_size_of_the_slide(slide):
    assert slide.size_at(1.0) == (round(1151 * 0.5), round(2311 * 0.25))
    assert slide.size_at((2.0, 0.7)) == (round(1151 * 0.5 / 2), round(2311 * 0.25 / 0.7))
    assert slide.size_at(10_000) == (1, 1)


def area_mean(source, size, scale):
    """Each pixel's mean over its own area, by the integral of a piecewise constant picture."""
    for axis in range(2):
        sums = np.insert(np.cumsum(source, axis=axis, dtype=np.float64), 0, 0, axis=axis)
        limit = source.shape[axis]
        edges = np.minimum(np.arange(size[axis] + 1) * scale[axis], limit)
        low = np.minimum(edges.astype(int), limit - 1)
        part = np.expand_dims(edges - low, tuple(i for i in range(3) if i != axis))
        at = np.take(sums, low, axis) + part * np.take(source, low, axis)
        lengths = np.expand_dims(np.diff(edges), tuple(i for i in range(3) if i != axis))
        source = np.diff(at, axis=axis) / lengths
    return source


@pytest.mark.parametrize(
    ("mpp", "level"), [((0.71, 0.4), 0), ((1.3, 0.77), 1), ((5.1, 2.3), 2), ((2.5, 0.3), 0)]
)
@pytest.mark.slow
def test_a_coarser_grid_holds_means_of_the_next_finer_level(slide, mpp, level):
    source = whole(slide, own_mpp(slide, level))
    scale = [mpp[axis] / own_mpp(slide, level)[axis] for axis in range(2)]
    exact = area_mean(source.astype(float), slide.size_at(mpp), scale)
    assert np.abs(whole(slide, mpp) - exact).max() <= 1


def test_a_grid_finer_than_level_0_is_interpolated_linearly(slide):
    mpp = (0.2, 0.11)
    top, left, height, width = 500, 3000, 60, 70
    places = np.mgrid[top : top + height, left : left + width] + 0.5
    places *= (np.array(mpp) / slide.mpp)[:, np.newaxis, np.newaxis]
    level = whole(slide, slide.mpp).astype(float)
    exact = [ndimage.map_coordinates(level[..., c], places - 0.5, order=1) for c in range(3)]
    window = slide.read((top, left), (height, width), mpp=mpp)
    assert np.abs(window - np.stack(exact, axis=-1)).max() <= 1


@pytest.mark.parametrize("mpp", [(0.5, 0.25), (1.0, 0.5), (0.2, 0.13), (0.7, 0.9), (3.3, 6.1)])
def test_windows_are_parts_of_the_whole_and_white_outside(slide, mpp):
    size = slide.size_at(mpp)
    around = np.full((size[0] + 200, size[1] + 200, 3), 255, np.uint8)
    around[100:-100, 100:-100] = whole(slide, mpp)
    rng = np.random.default_rng(1)
    for _ in range(6):
        y, x = (int(rng.integers(-100, length + 50)) for length in size)
        height, width = (int(length) for length in rng.integers(1, 50, 2))
        window = slide.read((y, x), (height, width), mpp=mpp)
        expected = around[y + 100 : y + 100 + height, x + 100 : x + 100 + width]
        assert np.array_equal(window, expected)
    assert (slide.read((-9999, 0), (5, 7), mpp=mpp) == 255).all()


@pytest.mark.slow
def test_threads_read_what_one_thread_reads(slide, path):
    rng = np.random.default_rng(2)
    places = [tuple(int(place) for place in rng.integers(0, 300, 2)) for _ in range(40)]
    with open_slide(path) as fresh, ThreadPoolExecutor(8) as pool:
        got = list(pool.map(lambda place: fresh.read(place, (150, 160), mpp=0.7), places))
    for place, window in zip(places, got, strict=True):
        assert np.array_equal(window, slide.read(place, (150, 160), mpp=0.7))


def test_a_thumbnail_has_the_shape_of_the_slide(slide):
    assert slide.read_thumbnail(400).shape == (round(1151 * 400 / 2311), 400, 3)
    assert slide.read_thumbnail(10**6).shape == (*SIZE, 3)


def test_broken_downsamples_through_openslide_are_the_same_in_every_window(path):
    with openslide.OpenSlide(path) as other:
        pixels = OpenSlidePixels(path, other)
        size = other.level_dimensions[1][::-1]
        everything = pixels.read(1, 0, 0, size)
        window = pixels.read(1, 130, 480, (400, 90))
        assert np.array_equal(window, everything[130:530, 480:570])
        exact = other.read_region((0, 0), 1, (512, 512))
        assert np.array_equal(everything[:512, :512], np.asarray(exact)[..., :3])
        finest = pixels.read(0, 7, 9, (80, 90))
        region = other.read_region((9, 7), 0, (90, 80))
        assert np.array_equal(finest, np.asarray(region)[..., :3])


def test_what_the_file_states_holds_until_it_is_overridden(path):
    with open_slide(path, mpp=0.3) as slide:
        assert slide.mpp == pytest.approx(MPP)
        assert slide.mpp_source == "stated"
        assert "--mpp 0.3 is not used" in slide.notes[0]
    with open_slide(path, mpp=MPP) as slide:
        assert slide.notes == ()
    with open_slide(path, override_mpp=0.3) as slide:
        assert slide.mpp == (0.3, 0.3)
        assert slide.mpp_source == "overridden"
        assert slide.size_at(0.3) == SIZE
        assert "the file states 0.5 x 0.25 µm; 0.3 x 0.3 is taken instead" in slide.notes[0]
    with pytest.raises(DataError, match=r"expected 0\.01 to 50"):
        open_slide(path, override_mpp=500)


def write_tiles(path, pixels, **options):
    tifffile.imwrite(path, pixels, tile=(TILE, TILE), photometric="rgb", **options)
    return path


def test_a_slide_without_mpp_is_refused_and_taken_with_it(tmp_path):
    path = write_tiles(tmp_path / "bare.tif", photo_of((200, 300)))
    with pytest.raises(DataError, match="--mpp"):
        open_slide(path)
    with open_slide(path, mpp=(0.5, 0.4)) as slide:
        assert np.array_equal(whole(slide, slide.mpp), photo_of((200, 300)))
        assert slide.mpp_source == "given"


@pytest.mark.parametrize("dots", [72, 300])
def test_the_resolution_of_print_is_no_mpp(tmp_path, dots):
    options = {"resolution": (dots, dots), "resolutionunit": "inch"}
    path = write_tiles(tmp_path / "print.tif", photo_of((200, 300)), **options)
    with pytest.raises(DataError, match=r"µm per pixel.*--mpp"):
        open_slide(path)
    with open_slide(path, mpp=0.5) as slide:
        assert (slide.mpp, slide.mpp_source) == ((0.5, 0.5), "given")


def write_ome(path, pixels, **options):
    metadata = {"axes": "YXS", "PhysicalSizeX": 0.4, "PhysicalSizeY": 0.0005} | options
    metadata |= {"PhysicalSizeXUnit": "µm", "PhysicalSizeYUnit": "mm"}
    with tifffile.TiffWriter(path, ome=True) as file:
        common = {"tile": (TILE, TILE), "compression": "deflate"}
        file.write(pixels, subifds=1, metadata=metadata, **common)
        half = pixels[..., ::2, ::2, :] if metadata["axes"].endswith("S") else pixels[..., ::2, ::2]
        file.write(half, subfiletype=1, **common)
    return path


def test_ome_tiff_with_its_levels_and_units(tmp_path):
    pixels = photo_of((301, 401))
    with open_slide(write_ome(tmp_path / "a.ome.tif", pixels)) as slide:
        assert slide.mpp == pytest.approx((0.5, 0.4))
        assert [level.size for level in slide.levels] == [(301, 401), (151, 201)]
        assert np.array_equal(whole(slide, own_mpp(slide, 0)), pixels)
        assert np.array_equal(whole(slide, own_mpp(slide, 1)), pixels[::2, ::2])
        assert slide.associated_names == ()


def test_ome_tiff_of_three_planes_and_of_grey(tmp_path):
    pixels = photo_of((200, 170))
    planes = write_ome(tmp_path / "p.ome.tif", pixels.transpose(2, 0, 1).copy(), axes="CYX")
    with open_slide(planes) as slide:
        assert np.array_equal(whole(slide, slide.mpp), pixels)
    with open_slide(write_ome(tmp_path / "g.ome.tif", pixels[..., 0].copy(), axes="YX")) as slide:
        assert np.array_equal(whole(slide, slide.mpp), np.repeat(pixels[..., :1], 3, axis=-1))


def test_a_tiff_of_separate_colours(tmp_path):
    pixels = photo_of((200, 170))
    planes = pixels.transpose(2, 0, 1).copy()
    options = {"planarconfig": "separate", "resolution": (20_000, 25_000)}
    path = write_tiles(tmp_path / "s.tif", planes, resolutionunit="centimeter", **options)
    with open_slide(path) as slide:
        assert slide.mpp == pytest.approx((0.4, 0.5))
        assert np.array_equal(whole(slide, slide.mpp), pixels)


def test_other_pixels_than_rgb_and_grey_of_8_bits_are_refused(tmp_path):
    five = np.zeros((5, 128, 128), np.uint16)
    with pytest.raises(DataError, match="5 channels or planes of uint16"):
        open_slide(write_ome(tmp_path / "f.ome.tif", five, axes="CYX"))


def test_what_is_a_slide_and_what_is_a_photo(path, tmp_path):
    photo = photo_of((100, 120))
    Image.fromarray(photo).save(tmp_path / "photo.jpg")
    Image.fromarray(photo).save(tmp_path / "jpeg.svs", "JPEG")
    tifffile.imwrite(tmp_path / "strips.tif", photo, photometric="rgb")
    (tmp_path / "zeros.tif").write_bytes(bytes(4096))
    (tmp_path / "empty.svs").touch()
    for name in ("photo.jpg", "jpeg.svs", "strips.tif", "zeros.tif", "empty.svs", "none.svs", "."):
        assert not is_slide(tmp_path / name), name
    assert is_slide(path)
    assert is_slide(write_ome(tmp_path / "a.ome.tif", photo))
    for name in ("photo.jpg", "jpeg.svs", "strips.tif", "zeros.tif", "empty.svs", "none.svs", "."):
        with pytest.raises(DataError, match=r"expected .*") as caught:
            open_slide(tmp_path / name)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_a_slide_that_is_cut_off_is_refused_at_once(path, tmp_path, share):
    data = path.read_bytes()
    (tmp_path / "cut.tif").write_bytes(data[: int(len(data) * share)])
    with pytest.raises(DataError, match=r"cut off|cannot be read"):
        open_slide(tmp_path / "cut.tif")


def change_tag(path, page, name, value):
    with tifffile.TiffFile(path, mode="r+b") as tiff:
        tiff.pages[page].tags[name].overwrite(value)


@pytest.mark.parametrize(("page", "name"), [(0, "ImageLength"), (1, "ImageWidth")])
@pytest.mark.parametrize("value", [300, 40_000])
def test_levels_that_lie_about_their_size_are_refused(path, tmp_path, page, name, value):
    lying = tmp_path / "lying.tif"
    lying.write_bytes(path.read_bytes())
    change_tag(lying, page, name, value)
    with pytest.raises(DataError, match="tiles; expected"):
        open_slide(lying)


def test_a_level_of_another_shape_is_refused(tmp_path):
    path = tmp_path / "shapes.tif"
    with tifffile.TiffWriter(path) as file:
        for size, kind in (((400, 300), 0), ((100, 140), 1)):
            file.write(photo_of(size), tile=(TILE, TILE), photometric="rgb", subfiletype=kind)
    with pytest.raises(DataError, match=r"100 x 140.*smaller copy"):
        open_slide(path, mpp=0.5)


def test_a_tile_that_would_fill_the_memory_is_refused(tmp_path):
    path = write_tiles(tmp_path / "bomb.tif", np.zeros((100, 100, 3), np.uint8))
    for name in ("ImageLength", "ImageWidth", "TileLength", "TileWidth"):
        change_tag(path, 0, name, 65_536 - 16)
    with pytest.raises(DataError, match="tiles of 65520 x 65520"):
        open_slide(path, mpp=0.5)


def test_a_broken_tile_is_one_line(tmp_path):
    path = write_tiles(tmp_path / "t.tif", photo_of((300, 300)), compression="deflate")
    with tifffile.TiffFile(path) as tiff:
        offset = tiff.pages[0].dataoffsets[7]
    data = bytearray(path.read_bytes())
    data[offset : offset + 40] = bytes(40)
    path.write_bytes(data)
    with open_slide(path, mpp=1) as slide, pytest.raises(DataError, match="cannot be read"):
        whole(slide, 1)


def test_damaged_tags_are_refused_or_read_but_never_crash(tmp_path):
    sound = write_ome(tmp_path / "sound.ome.tif", photo_of((150, 170)))
    data, path = sound.read_bytes(), tmp_path / "damaged.ome.tif"
    with tifffile.TiffFile(sound) as tiff:
        directory = tiff.pages[0].offset
    rng, refusals = np.random.default_rng(3), []
    for _ in range(120):
        damaged = bytearray(data)
        for place in rng.integers(directory, directory + 250, 2):
            damaged[place] = int(rng.integers(256))
        path.write_bytes(damaged)
        is_slide(path)
        try:
            with open_slide(path) as slide:
                slide.read((0, 0), (40, 40), mpp=slide.mpp)
        except DataError as error:
            refusals.append(str(error))
    assert len(refusals) > 20
    assert not any("\n" in refusal for refusal in refusals)


def test_wrong_questions_are_answered(slide):
    with pytest.raises(ShapeError, match="0 x 4"):
        slide.read((0, 0), (0, 4), mpp=1)
    with pytest.raises(UnknownNameError, match="associated image"):
        slide.associated("label")


@pytest.mark.real
@pytest.mark.parametrize(
    ("name", "mpp"), [("cmu-1-small-region.svs", None), ("tcga-cr-7395-01a-01-ts1.svs", 0.5)]
)
def test_real_slides_are_read_as_openslide_reads_them(shared, name, mpp):
    path = shared / "data" / "slides" / name
    with open_slide(path, mpp=mpp) as slide, openslide.OpenSlide(path) as other:
        if mpp is None:
            assert slide.mpp[1] == float(other.properties["openslide.mpp-x"])
            assert slide.objective == float(other.properties["openslide.objective-power"])
        assert slide.associated_names == tuple(other.associated_images)
        for associated in slide.associated_names:
            picture = other.associated_images[associated].convert("RGB")
            assert np.array_equal(slide.associated(associated), np.asarray(picture))
        assert len(slide.levels) == other.level_count
        for level in range(other.level_count):
            region = other.read_region((0, 0), level, other.level_dimensions[level])
            pixels = whole(slide, own_mpp(slide, level))
            assert np.array_equal(pixels, np.asarray(region)[..., :3])


@pytest.mark.real
def test_real_files_that_cannot_be_read_are_refused(shared, tmp_path):
    slides = shared / "data" / "slides"
    with pytest.raises(DataError, match="--mpp"):
        open_slide(slides / "tcga-cr-7395-01a-01-ts1.svs")
    with pytest.raises(DataError, match="cannot be read as a slide"):
        open_slide(slides / "small_dicom.dcm")
    data = (slides / "cmu-1-small-region.svs").read_bytes()
    for share in (0.02, 0.5, 0.95, 0.99):
        (tmp_path / "cut.svs").write_bytes(data[: int(len(data) * share)])
        with pytest.raises(DataError, match=r"cut off|cannot be read"):
            open_slide(tmp_path / "cut.svs")
