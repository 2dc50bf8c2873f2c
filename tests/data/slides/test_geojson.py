"""Annotations of QuPath read as class indices, and files that are none."""

import json

import numpy as np
import pytest

from atrous.errors import AtrousError, DataError, UnknownNameError

shapely = pytest.importorskip("shapely", reason="needs the extra slides")
pytest.importorskip("rasterio", reason="needs the extra slides")

from atrous.data.slides.geojson import read_geojson  # noqa: E402

NAMES = ("fat", "stroma")


def square(left, top, side, name="fat"):
    ring = [(left, top), (left + side, top), (left + side, top + side), (left, top + side)]
    return {
        "type": "Feature",
        "geometry": {"type": "Polygon", "coordinates": [[*ring, ring[0]]]},
        "properties": {"objectType": "annotation", "classification": {"name": name}},
    }


def saved(tmp_path, content):
    path = tmp_path / "a.geojson"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def read(tmp_path, content, size=(10, 12), scale=(1.0, 1.0)):
    opened = read_geojson(saved(tmp_path, content), size, scale=scale, class_names=NAMES)
    return opened.read(0, 0, *size)


def test_pixels_are_of_the_polygon_that_holds_their_centre(tmp_path):
    labels = read(tmp_path, {"type": "FeatureCollection", "features": [square(2.6, 1.4, 4)]})
    expected = np.full((10, 12), 255)
    expected[1:5, 3:7] = 0
    assert np.array_equal(labels, expected)


def test_the_later_polygon_lies_on_top(tmp_path):
    labels = read(tmp_path, [square(0, 0, 8), square(2, 2, 3, "stroma")])
    assert (labels[2:5, 2:5] == 1).all()
    assert (labels == 0).sum() == 64 - 9


def test_scale_is_down_and_right(tmp_path):
    labels = read(tmp_path, square(0, 0, 8), scale=(4.0, 2.0))
    assert (labels[:2, :4] == 0).all()
    assert (labels == 0).sum() == 8


def test_a_polygon_beyond_the_window_and_one_outside_are_no_trouble(tmp_path):
    path = saved(tmp_path, [square(-50, -50, 200), square(1000, 0, 3, "stroma")])
    opened = read_geojson(path, (10, 12), scale=(1, 1), class_names=NAMES)
    assert (opened.read(3, 4, 5, 6) == 0).all()


def test_what_lies_outside_the_slide_is_counted_though_another_covers_it(tmp_path):
    whole, moved = square(0, 0, 12), square(8, 0, 8, "stroma")  # 12 wide: half of it is beyond
    path = saved(tmp_path, [whole, moved, square(20, 20, 4, "stroma")])
    opened = read_geojson(path, (12, 12), scale=(1, 1), class_names=NAMES)
    (note,) = opened.notes
    lost = (64 - 4 * 8 + 16) / (64 + 16)
    assert f"2 of 3 annotations lie outside the slide with {lost:.0%} of their area" in note
    assert not read_geojson(path, (24, 24), scale=(1, 1), class_names=NAMES).notes
    assert not read_geojson(path, (12, 12), scale=(2, 2), class_names=NAMES).notes


def test_several_polygons_in_one_feature_and_an_outline_that_crosses_itself(tmp_path):
    both = square(0, 0, 2)
    parts = [square(0, 0, 2)["geometry"]["coordinates"], square(5, 5, 2)["geometry"]["coordinates"]]
    both["geometry"] = {"type": "MultiPolygon", "coordinates": parts}
    assert (read(tmp_path, both) == 0).sum() == 8
    crossed = square(0, 0, 8)
    crossed["geometry"]["coordinates"] = [[[0, 0], [8, 8], [8, 0], [0, 8], [0, 0]]]
    assert 24 <= (read(tmp_path, crossed) == 0).sum() <= 40  # half of the 64


def test_no_features_are_a_map_of_nothing(tmp_path):
    assert (read(tmp_path, {"type": "FeatureCollection", "features": []}) == 255).all()


def test_unknown_classes_answer_with_the_nearest(tmp_path):
    with pytest.raises(UnknownNameError, match="Did you mean 'stroma'"):
        read(tmp_path, square(0, 0, 3, "strona"))


@pytest.mark.parametrize(
    "content",
    [
        "no json",
        "7",
        "{}",
        '{"type": "FeatureCollection"}',
        "[3]",
        json.dumps(square(0, 0, 3) | {"geometry": {"type": "Polygon", "coordinates": [[[1, 2]]]}}),
        json.dumps(square(0, 0, 3) | {"geometry": {"type": "Polygon", "coordinates": 5}}),
        json.dumps(
            square(0, 0, 3) | {"geometry": {"type": "Polygon", "coordinates": [[["a", 2]]]}}
        ),
    ],
)
def test_what_is_no_geojson_of_areas_is_refused(tmp_path, content):
    with pytest.raises(AtrousError, match="expected"):
        read(tmp_path, content)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match="could not be read"):
        read_geojson(tmp_path / "no.geojson", (2, 2), scale=(1, 1), class_names=NAMES)
