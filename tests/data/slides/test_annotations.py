"""QuPath's forms of GeoJSON: each as QuPath means it, or left out and named."""

import json

import numpy as np
import pytest

pytest.importorskip("shapely", reason="needs the extra slides")
pytest.importorskip("rasterio", reason="needs the extra slides")

from atrous.data.slides.geojson import read_geojson

NAMES = ("fat", "stroma")


def area(left, top, side, classification=None, **properties):
    ring = [(left, top), (left + side, top), (left + side, top + side), (left, top + side)]
    if classification is not None:
        properties["classification"] = classification
    return {
        "type": "Feature",
        "geometry": {"type": "Polygon", "coordinates": [[*ring, ring[0]]]},
        "properties": {"objectType": "annotation", **properties},
    }


def read(tmp_path, features, size=(20, 20), names=NAMES):
    path = tmp_path / "a.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    opened = read_geojson(path, size, scale=(1, 1), class_names=names)
    return opened.read(0, 0, *size), opened.notes


FAT, STROMA = {"name": "fat"}, {"name": "stroma"}


@pytest.mark.parametrize("where", ["properties", "feature"])
def test_children_are_drawn_above_their_parents_at_any_depth(tmp_path, where):
    inner = area(6, 6, 2, FAT)
    middle = area(4, 4, 8, STROMA)
    outer = area(0, 0, 16, FAT)
    for parent, child in ((middle, inner), (outer, middle)):
        holder = parent["properties"] if where == "properties" else parent
        holder["childObjects"] = [child]
    labels, notes = read(tmp_path, [outer])
    expected = np.full((20, 20), 255)
    expected[:16, :16] = 0
    expected[4:12, 4:12] = 1
    expected[6:8, 6:8] = 0
    assert np.array_equal(labels, expected)
    assert notes == ()


def test_what_lies_within_another_is_above_it_in_any_order_of_the_file(tmp_path):
    parts = [area(0, 0, 16, FAT), area(4, 4, 8, STROMA), area(6, 6, 2, FAT)]
    first, _ = read(tmp_path, parts)
    for order in ((2, 1, 0), (1, 2, 0), (2, 0, 1)):
        assert np.array_equal(read(tmp_path, [parts[i] for i in order])[0], first)


@pytest.mark.parametrize(
    "classification",
    [
        {"names": ["fat", "Positive"], "color": [1, 2, 3]},
        {"name": "fat: Positive", "colorRGB": -1},
        {"name": "fat:Positive"},
        "fat: Positive",
    ],
)
def test_a_derived_class_is_of_its_base_and_that_is_said(tmp_path, classification):
    labels, notes = read(tmp_path, [area(0, 0, 4, classification)])
    assert (labels == 0).sum() == 16
    assert "fat: Positive is counted as fat (1 annotations)" in notes[0]


def test_a_derived_class_that_the_data_name_is_that_class(tmp_path):
    names = ("fat", "fat: Positive")
    labels, notes = read(tmp_path, [area(0, 0, 4, {"names": ["fat", "Positive"]})], names=names)
    assert (labels == 1).sum() == 16
    assert notes == ()


def test_unclassified_annotations_are_left_out_and_counted(tmp_path):
    labels, notes = read(tmp_path, [area(0, 0, 20), area(2, 2, 3, FAT), area(3, 3, 1, {})])
    assert (labels != 255).sum() == 9
    assert "2 without a class" in notes[0]


def test_an_ignored_class_hides_what_lies_below_it(tmp_path):
    labels, notes = read(tmp_path, [area(0, 0, 10, FAT), area(5, 0, 4, {"name": "Ignore*"})])
    assert (labels == 0).sum() == 100 - 16
    assert "1 of class Ignore*" in notes[0]
    # As a region around the others it hides nothing.
    labels, _ = read(tmp_path, [area(2, 2, 3, FAT), area(0, 0, 10, {"name": "Region*"})])
    assert (labels == 0).sum() == 9


@pytest.mark.parametrize(
    "geometry",
    [
        {"type": "Point", "coordinates": [1, 2]},
        {"type": "MultiPoint", "coordinates": [[1, 2], [3, 4]]},
        {"type": "LineString", "coordinates": [[1, 2], [3, 4]]},
    ],
)
def test_points_and_lines_are_left_out_and_counted(tmp_path, geometry):
    point = area(0, 0, 3, STROMA) | {"geometry": geometry}
    labels, notes = read(tmp_path, [area(2, 2, 3, FAT), point])
    assert (labels == 0).sum() == 9
    assert "1 points or lines" in notes[0]


def test_other_planes_of_a_stack_are_left_out(tmp_path):
    deep = area(0, 0, 3, STROMA)
    deep["geometry"]["plane"] = {"c": -1, "z": 2, "t": 0}
    flat = area(4, 4, 3, FAT)
    flat["geometry"]["plane"] = {"c": -1, "z": 0, "t": 0}
    labels, notes = read(tmp_path, [deep, flat])
    assert set(np.unique(labels)) == {0, 255}
    assert "1 on another plane" in notes[0]


def test_collections_count_by_their_areas(tmp_path):
    both = area(0, 0, 3, FAT)
    parts = [both["geometry"], {"type": "Point", "coordinates": [9, 9]}]
    both["geometry"] = {"type": "GeometryCollection", "geometries": parts}
    labels, _ = read(tmp_path, [both])
    assert (labels == 0).sum() == 9


@pytest.mark.parametrize("kind", ["cell", "detection", "tile", "tma_core"])
def test_what_was_detected_is_no_truth(kind, tmp_path):
    """Annotations are drawn by people; detections, cells and tiles come of QuPath's own runs."""
    found = area(0, 0, 6, FAT, objectType=kind)
    labels, notes = read(tmp_path, [found, area(10, 10, 3, STROMA)])
    assert (labels == 0).sum() == 0
    assert (labels == 1).sum() == 9
    assert f"QuPath's kind {kind}" in notes[0]
