"""Where a slide is run: files of tissue and of regions; and broken tiles, which stay bare."""

import json

import numpy as np
import pytest
from PIL import Image

tifffile = pytest.importorskip("tifffile", reason="needs the extra slides")
pytest.importorskip("openslide", reason="needs the extra slides")
pytest.importorskip("zarr", reason="needs the extra slides")

from tests.data.slides.made import TILE, halves  # noqa: E402

from atrous.data.slides.read import open_slide  # noqa: E402
from atrous.data.slides.regions import read_area  # noqa: E402
from atrous.errors import DataError  # noqa: E402

SIZE = (700, 900)


def write_tiff(path, compression="adobe_deflate"):
    rng = np.random.default_rng(0)
    colours = rng.integers(60, 200, (7, 9, 3)).astype(np.uint8)
    pixels = colours.repeat(100, 0).repeat(100, 1)
    with tifffile.TiffWriter(path) as file:
        for number, level in enumerate(halves(pixels, 2)):
            file.write(
                level,
                tile=(TILE, TILE),
                photometric="rgb",
                compression=compression,
                metadata=None,
                subfiletype=int(number > 0),
                resolution=(2e4 / 2**number, 2e4 / 2**number),
                resolutionunit="CENTIMETER",
            )
    return path


@pytest.fixture(scope="module")
def slide_path(tmp_path_factory):
    return write_tiff(tmp_path_factory.mktemp("slide") / "s.tif")


def polygon(left, top, right, bottom, name=None):
    ring = [(left, top), (right, top), (right, bottom), (left, bottom), (left, top)]
    properties = {} if name is None else {"classification": {"name": name}}
    geometry = {"type": "Polygon", "coordinates": [ring]}
    return {"type": "Feature", "geometry": geometry, "properties": properties}


def saved(path, *features):
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return path


def test_areas_outside_the_slide_are_refused_with_where_they_lie(slide_path, tmp_path):
    beside = saved(tmp_path / "r.geojson", polygon(950, 20, 990, 60))
    touching = saved(tmp_path / "t.geojson", polygon(880, 20, 990, 60))
    with open_slide(slide_path) as slide:
        with pytest.raises(DataError, match="x 950 to 990 and y 20 to 60, lie outside"):
            read_area(beside, slide, frame="auto")
        assert read_area(touching, slide, frame="auto").any()


def labels_of(folder):
    with tifffile.TiffFile(folder / "labels.ome.tif") as tiff:
        return tiff.pages[0].asarray()


def test_polygons_and_masks_say_where_tissue_is(slide_path, tmp_path):
    area = polygon(100, 200, 400, 500)
    hole = polygon(200, 300, 300, 400, "Ignore*")
    mask = np.zeros((70, 90), np.uint8)
    mask[20:50, 10:40] = 7
    Image.fromarray(mask).save(tmp_path / "m.png")
    with open_slide(slide_path) as slide:
        drawn = read_area(saved(tmp_path / "a.geojson", area, hole), slide, frame="qupath")
        assert drawn[200:500, 100:400].mean() == pytest.approx(1 - 1 / 9, abs=0.01)
        assert drawn.sum() == pytest.approx(80_000, rel=0.02)
        assert np.array_equal(read_area(tmp_path / "m.png", slide, frame="qupath"), mask > 0)
        Image.fromarray(mask[:40]).save(tmp_path / "bad.png")
        with pytest.raises(DataError, match="a mask of 40 x 90"):
            read_area(tmp_path / "bad.png", slide, frame="qupath")
        with pytest.raises(DataError, match="holds no area"):
            read_area(saved(tmp_path / "no.geojson"), slide, frame="qupath")


def test_nothing_is_kept_outside_of_the_regions(atrous, slide_path, smooth_weights, tmp_path):
    inside = polygon(100, 200, 400, 500)
    roi = saved(tmp_path / "s.geojson", inside, polygon(200, 300, 300, 400, "Ignore*"))
    command = ("predict", smooth_weights, slide_path, "--context", "exact", "--probabilities")
    assert atrous(*command, "--out", tmp_path / "all")[0] == 0
    assert atrous(*command, "--out", tmp_path / "roi", "--roi", tmp_path)[0] == 0
    whole, cut = (labels_of(tmp_path / name / "s") for name in ("all", "roi"))
    expected = np.full(SIZE, 255)
    expected[200:500, 100:400] = whole[200:500, 100:400]
    expected[300:400, 200:300] = 255
    assert np.array_equal(cut, expected)
    note = json.loads((tmp_path / "roi/s/run.json").read_text())
    assert sum(note["areas_mm2"].values()) == pytest.approx(80_000 * 0.25e-6)
    assert note["run"]["roi"]["file"] == roi.name
    probabilities = tifffile.imread(tmp_path / "roi/s/probabilities.ome.tif")
    assert not probabilities[expected == 255].any()
    assert (tmp_path / "roi/s/tissue.png").stat().st_size > 1000


def test_only_tiles_that_touch_the_given_tissue_are_run(
    atrous, slide_path, smooth_weights, tmp_path
):
    tissue = saved(tmp_path / "t.geojson", polygon(130, 130, 140, 140))
    out = tmp_path / "out"
    command = ("predict", smooth_weights, slide_path, "--tile", 128, "--out", out)
    assert atrous(*command, "--tissue", tissue)[0] == 0
    labels = labels_of(out / "s")
    side = json.loads((out / "s/run.json").read_text())["grid"]["core"]
    is_run = np.zeros(SIZE, np.bool_)
    row, column = 130 // side * side, 130 // side * side
    is_run[row : row + side, column : column + side] = True
    assert np.array_equal(labels != 255, is_run)
    code, _, error = atrous(*command, "--tissue", tmp_path / "none.geojson")
    assert code == 2
    assert "none.geojson is not there" in error


def broken_copy(path, compression):
    """A slide whose tile at row 256 and column 384 is of zeros."""
    write_tiff(path, compression)
    with tifffile.TiffFile(path) as tiff:
        page = tiff.pages[0]
        number = 2 * -(-page.imagewidth // TILE) + 3
        offset, length = page.dataoffsets[number], page.databytecounts[number]
    data = bytearray(path.read_bytes())
    data[offset : offset + length] = bytes(length)
    path.write_bytes(data)
    return path


# Of the first, tiles are decoded here; of the second, by openslide, which names no tile.
@pytest.mark.parametrize("compression", ["adobe_deflate", "deflate"])
def test_a_broken_tile_is_unlabelled_and_named(atrous, smooth_weights, tmp_path, compression):
    path = broken_copy(tmp_path / "s.tif", compression)
    code, _, error = atrous(
        "predict", smooth_weights, path, "--tile", 128, "--out", tmp_path / "out"
    )
    assert code == 0
    assert "a broken tile is left unlabelled: rows" in error
    is_bare = labels_of(tmp_path / "out/s") == 255
    inside = (slice(256, 384), slice(384, 512))
    assert is_bare[inside].all()
    around = np.array(is_bare)
    around[256 - 64 : 384 + 64, 384 - 64 : 512 + 64] = False
    assert not around.any()
    if compression == "adobe_deflate":
        assert is_bare.sum() == 128 * 128
        assert "rows 256 to 384, columns 384 to 512 of level 0" in error
    note = json.loads((tmp_path / "out/s/run.json").read_text())
    assert any("broken tile" in said for said in note["notes"])


def test_a_broken_tile_is_not_scored_and_named(atrous, smooth_weights, tmp_path):
    path = broken_copy(tmp_path / "s.tif", "adobe_deflate")
    names = ("background", "disc", "square", "stripe")
    (tmp_path / "classes.txt").write_text("\n".join(names))
    saved(
        tmp_path / "s.geojson", polygon(0, 0, 900, 700, "disc"), polygon(300, 0, 600, 700, "square")
    )
    truth = np.full(SIZE, 1)
    truth[:, 300:600] = 2
    options = (smooth_weights, "--tile", 128, "--context", "exact")
    assert atrous("predict", *options, path, "--all-tiles", "--out", tmp_path / "out")[0] == 0
    found = labels_of(tmp_path / "out/s")
    seen = found != 255
    assert (~seen).sum() == 128 * 128
    code, text, error = atrous("evaluate", *options, tmp_path, "--layout", "slides", "--json")
    assert code == 0, error
    record = json.loads(text)
    for index, name in enumerate(names):
        is_true, is_found = (truth == index) & seen, (found == index) & seen
        union = (is_true | is_found).sum()
        expected = 100 * (is_true & is_found).sum() / union if union else None
        assert record["iou"][name] == pytest.approx(expected, abs=1e-4)
    assert any("rows 256 to 384, columns 384 to 512" in note for note in record["notes"])


def test_where_no_tissue_is_found_the_picture_shows_what_was_seen(atrous, smooth_weights, tmp_path):
    path = tmp_path / "white.tif"
    glass = np.full((300, 400, 3), 243, np.uint8)
    options = {"resolution": (2e4, 2e4), "resolutionunit": "CENTIMETER", "metadata": None}
    tifffile.imwrite(path, glass, tile=(TILE, TILE), photometric="rgb", **options)
    out = tmp_path / "out"
    code, _, error = atrous("predict", smooth_weights, path, "--out", out)
    assert code == 2
    assert str(out / "white/tissue.png") in error
    with Image.open(out / "white/tissue.png") as picture:
        assert picture.width >= 400
    assert [entry.name for entry in (out / "white").iterdir()] == ["tissue.png"]
    assert atrous("predict", smooth_weights, path, "--out", out, "--all-tiles")[0] == 0
