"""Label maps as pyramids: read back by tifffile and openslide they are the map."""

from xml.etree import ElementTree as ET

import numpy as np
import pytest

from atrous.data.slides.mask_map import ArrayLabelMap
from atrous.errors import DataError

tifffile = pytest.importorskip("tifffile", reason="needs the extra slides")
pytest.importorskip("imagecodecs", reason="needs the extra slides")

from atrous.reports.slides.mask_tiff import ome_xml, write_label_tiff  # noqa: E402

NAMES = ("glass", "fat <yellow>", "Bindegewebe, stra\u00df")
PALETTE = ((200, 200, 200), (130, 0, 130), (0, 0, 130))
SIZE = (1300, 2310)
MPP = (0.5, 0.25)


@pytest.fixture(scope="module")
def labels():
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    labels = ((rows // 37 + columns // 53) % 3).astype(np.uint8)
    labels[:600, :1100] = 255
    labels[700:] = 1
    return labels


@pytest.fixture(scope="module", params=[(1024, 1024), (300, 700)])
def path(request, labels, tmp_path_factory):
    path = tmp_path_factory.mktemp("labels") / "labels.ome.tif"
    label_map = ArrayLabelMap(labels, chunk=request.param)
    write_label_tiff(label_map, path, palette=PALETTE, class_names=NAMES, mpp=MPP)
    return path


def test_ome_readers_find_one_picture_with_all_its_levels(path, labels):
    with tifffile.TiffFile(path) as tiff:
        assert tiff.is_ome
        assert len(tiff.series) == 1
        levels = [level.asarray() for level in tiff.series[0].levels]
    assert len(levels) == 3
    for number, level in enumerate(levels):
        assert np.array_equal(level, labels[:: 2**number, :: 2**number])


def test_the_chain_of_pages_holds_the_same_levels(path, labels):
    with tifffile.TiffFile(path) as tiff:
        assert [page.shape for page in tiff.pages] == [(1300, 2310), (650, 1155), (325, 578)]
        assert list(tiff.pages[0].subifds) == [page.offset for page in tiff.pages[1:]]
        assert {page.is_tiled for page in tiff.pages} == {True}
        assert np.array_equal(tiff.pages[2].asarray(), labels[::4, ::4])


def test_colours_are_those_of_the_palette_and_255_is_white(path):
    with tifffile.TiffFile(path) as tiff:
        colours = tiff.pages[0].colormap // 257
    assert np.array_equal(colours[:, :3].T, PALETTE)
    assert colours[:, 255].tolist() == [255, 255, 255]


def test_openslide_shows_the_colours_and_knows_the_scale(path, labels):
    openslide = pytest.importorskip("openslide", reason="needs the extra slides")
    with openslide.OpenSlide(path) as slide:
        assert slide.level_dimensions == ((2310, 1300), (1155, 650), (578, 325))
        assert float(slide.properties["openslide.mpp-x"]) == pytest.approx(0.25)
        assert float(slide.properties["openslide.mpp-y"]) == pytest.approx(0.5)
        seen = np.array(slide.read_region((1050, 550), 0, (200, 100)).convert("RGB"))
    colours = np.full((256, 3), 255)
    colours[:3] = PALETTE
    assert np.array_equal(seen, colours[labels[550:650, 1050:1250]])


def test_the_description_says_size_scale_and_names():
    root = ET.fromstring(ome_xml((7, 9), mpp=MPP, name="a&b", class_names=NAMES))  # noqa: S314
    space = "{http://www.openmicroscopy.org/Schemas/OME/2016-06}"
    pixels = root.find(f"{space}Image/{space}Pixels")
    assert (pixels.get("SizeX"), pixels.get("SizeY")) == ("9", "7")
    assert (pixels.get("PhysicalSizeX"), pixels.get("PhysicalSizeY")) == ("0.25", "0.5")
    assert pixels.get("PhysicalSizeXUnit") == "µm"
    names = {each.get("K"): each.text for each in root.iter(f"{space}M")}
    assert names == {"0": NAMES[0], "1": NAMES[1], "2": NAMES[2]}


def test_a_small_map_has_one_level(tmp_path, labels):
    path = tmp_path / "a.ome.tif"
    small = ArrayLabelMap(np.ascontiguousarray(labels[580:630, 1090:1160]))
    write_label_tiff(small, path, palette=PALETTE, class_names=NAMES, mpp=MPP)
    with tifffile.TiffFile(path) as tiff:
        assert tiff.is_ome
        assert len(tiff.pages) == 1
        assert np.array_equal(tiff.asarray(), small.labels)


def test_a_class_without_a_name_is_refused_and_nothing_is_left(tmp_path):
    label_map = ArrayLabelMap(np.full((9, 9), 3, np.uint8))
    with pytest.raises(DataError, match="class 3"):
        write_label_tiff(label_map, tmp_path / "a.tif", palette=PALETTE, class_names=NAMES, mpp=MPP)
    assert list(tmp_path.iterdir()) == []


def test_files_with_offsets_of_64_bits_are_the_same_pictures(tmp_path, labels, monkeypatch):
    monkeypatch.setattr("atrous.data.slides.write_pyramid._BIG", 1)
    path = tmp_path / "big.ome.tif"
    write_label_tiff(ArrayLabelMap(labels), path, palette=PALETTE, class_names=NAMES, mpp=MPP)
    with tifffile.TiffFile(path) as tiff:
        assert tiff.is_bigtiff
        levels = [level.asarray() for level in tiff.series[0].levels]
    assert len(levels) == 3
    assert np.array_equal(levels[2], labels[::4, ::4])


def test_libtiff_reads_it_too(path, labels):
    from PIL import Image

    with Image.open(path) as picture:
        assert np.array_equal(np.array(picture), labels)
        assert picture.getpalette()[:9] == [part for colour in PALETTE for part in colour]
