"""Slides with bounds: polygons in QuPath's frame, and truths drawn in either of the two."""

import json

import numpy as np
import pytest

pytest.importorskip("openslide", reason="needs the extra slides")
pytest.importorskip("rasterio", reason="needs the extra slides")

from tests.data.slides.made import (
    NAMES,
    drawn_in_qupath,
    imported_by_qupath,
    qupath_box,
    write_scn,
)

from atrous.data.slides.frame import frame_box, has_two_frames
from atrous.data.slides.labelled import LabelledSlide, SlidePair
from atrous.data.slides.mask_map import ArrayLabelMap
from atrous.data.slides.parts import SlideReading
from atrous.data.slides.read import open_slide
from atrous.errors import DataError, UnknownNameError
from atrous.reports.slides.geojson import write_geojson
from atrous.reports.slides.mask_tiff import write_label_tiff

PALETTE = ((255, 255, 255), (255, 0, 255), (0, 0, 255))
REGIONS = ((300, 500, 400, 700), (900, 1300, 500, 400))


@pytest.fixture(scope="module")
def scanned(tmp_path_factory):
    path = tmp_path_factory.mktemp("scn") / "a.scn"
    return path, write_scn(path, plane=(1600, 2000), regions=REGIONS)


def labelled(path, truth, **reading):
    return LabelledSlide(
        SlidePair(name="a", image=path, truth=truth),
        mpp=None,
        num_classes=len(NAMES),
        class_names=NAMES,
        reading=SlideReading(**reading),
    )


def share_on_place(found, truth):
    is_tissue = (truth > 0) & (truth != 255)
    return (found[is_tissue] == truth[is_tissue]).mean()


def test_the_made_slide_has_bounds_as_openslide_states_them(scanned):
    with open_slide(scanned[0]) as slide:
        assert slide.bounds == (300, 500, 1100, 1200)
        assert qupath_box(scanned[0]) == (500, 300, 1200, 1100)
        assert has_two_frames(slide)
        assert frame_box(slide, "level0") == (0, 0, 1600, 2000)


@pytest.mark.parametrize("frame", ["qupath", "level0"])
def test_polygons_fall_on_their_tissue_in_qupath(scanned, tmp_path, frame):
    path, truth = scanned
    with open_slide(path) as slide:
        left, top, _, _ = qupath_box(path)
        record = {"name": "qupath", "left": left, "top": top}
        write_geojson(
            ArrayLabelMap(truth),
            tmp_path / "r.geojson",
            class_names=NAMES,
            palette=PALETTE,
            scale=(1.0, 1.0),
            mpp=slide.mpp,
            frame=record if frame == "qupath" else None,
            skip=(0,),
        )
    labels, inside = imported_by_qupath(tmp_path / "r.geojson", path)
    share = share_on_place(labels, truth[inside])
    assert share > 0.99 if frame == "qupath" else share < 0.5


@pytest.mark.parametrize("told", ["auto", "qupath"])
def test_a_truth_drawn_in_qupath_is_found_there(scanned, tmp_path, told):
    path, truth = scanned
    _, inside = imported_by_qupath(drawn_in_qupath(truth, tmp_path / "x.geojson"), path)
    drawn = drawn_in_qupath(truth[inside], tmp_path / "a.geojson")
    with labelled(path, drawn, frame=told) as slide:
        assert slide.frame == "qupath"
        assert share_on_place(slide.truth(0, 0, truth.shape), truth) == 1
        assert "read in frame qupath" in slide.notes[-1]


def test_a_truth_of_level_0_is_found_there_and_a_wrong_word_is_seen(scanned, tmp_path):
    path, truth = scanned
    drawn = drawn_in_qupath(truth, tmp_path / "a.geojson")
    with labelled(path, drawn) as slide:
        assert slide.frame == "level0"
        assert share_on_place(slide.truth(0, 0, truth.shape), truth) == 1
    with labelled(path, drawn, frame="qupath") as slide:
        assert share_on_place(slide.truth(0, 0, truth.shape), truth) < 0.5
        assert any("in level0" in note for note in slide.notes)
        assert any("lie outside the slide" in note for note in slide.notes)


def test_what_the_file_names_goes_before_what_is_guessed(scanned, tmp_path):
    path, truth = scanned
    drawn = drawn_in_qupath(truth, tmp_path / "a.geojson", frame={"name": "qupath"})
    with labelled(path, drawn) as slide:
        assert slide.frame == "qupath"
    drawn = drawn_in_qupath(truth, tmp_path / "b.geojson", frame="qpath")
    with pytest.raises(UnknownNameError, match="qupath"):
        labelled(path, drawn)


def test_a_truth_that_fits_both_frames_is_refused_until_it_is_told(scanned, tmp_path):
    path, _ = scanned
    labels = np.zeros((1100, 1200), np.uint8)
    labels[10:20, 10:20] = 1  # on nothing in either frame
    drawn = drawn_in_qupath(labels, tmp_path / "a.geojson")
    with pytest.raises(DataError, match="--frame qupath"):
        labelled(path, drawn)
    with labelled(path, drawn, frame="level0") as slide:
        assert slide.truth(10, 10, (10, 10)).max() == 1


@pytest.mark.parametrize("told", ["auto", "qupath"])
@pytest.mark.parametrize("step", [1, 4])
def test_a_label_tiff_of_the_bounds_is_put_there(scanned, tmp_path, told, step):
    path, truth = scanned
    inside = truth[300:1400, 500:1700][step // 2 :: step, step // 2 :: step]
    write_label_tiff(
        ArrayLabelMap(np.ascontiguousarray(inside)),
        tmp_path / "a.tif",
        palette=PALETTE,
        class_names=NAMES,
        mpp=(0.5 * step, 0.5 * step),
    )
    with labelled(path, tmp_path / "a.tif", frame=told) as slide:
        assert slide.frame == "qupath"
        whole = slide.truth(0, 0, truth.shape)
    assert share_on_place(whole, truth) > (0.999 if step == 1 else 0.97)
    assert (whole[:300] == 255).all()
    assert (whole[1400:] == 255).all()
    with pytest.raises(DataError, match="beside a slide of 800 x 1,000"):
        labelled(path, tmp_path / "a.tif", frame="level0")


def test_a_label_tiff_of_the_whole_plane_stays_there(scanned, tmp_path):
    path, truth = scanned
    write_label_tiff(
        ArrayLabelMap(truth),
        tmp_path / "a.tif",
        palette=PALETTE,
        class_names=NAMES,
        mpp=(0.5, 0.5),
    )
    with labelled(path, tmp_path / "a.tif") as slide:
        assert slide.frame == "level0"
        assert np.array_equal(slide.truth(0, 0, truth.shape), truth)


def test_predict_names_the_frame_in_every_output(atrous, scanned, smooth_weights, tmp_path):
    import tifffile

    path, _ = scanned
    code, _, _ = atrous("predict", smooth_weights, path, "--out", tmp_path, "--omit", "disc")
    assert code == 0
    record = {"name": "qupath", "left": 500, "top": 300, "width": 1200, "height": 1100}
    polygons = json.loads((tmp_path / "a/regions.geojson").read_text())
    assert polygons["frame"] == record
    names = {each["properties"]["classification"]["name"] for each in polygons["features"]}
    assert names
    assert "disc" not in names
    note = json.loads((tmp_path / "a/run.json").read_text())
    assert note["frame"]["regions.geojson"] == record
    assert note["frame"]["labels.ome.tif"]["name"] == "level0"
    with tifffile.TiffFile(tmp_path / "a/labels.ome.tif") as tiff:
        assert '<M K="name">level0</M>' in tiff.pages[0].description
    code, _, error = atrous("predict", smooth_weights, path, "--out", tmp_path, "--omit", "dusc")
    assert code == 2
    assert "Did you mean 'disc'" in error
