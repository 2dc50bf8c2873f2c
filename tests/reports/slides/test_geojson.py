"""Polygons of a label map: valid, complete, without overlap; read back they are the map."""

import json

import numpy as np
import pytest

from atrous.data.slides.mask_map import ArrayLabelMap
from atrous.errors import DataError

shapely = pytest.importorskip("shapely", reason="needs the extra slides")
pytest.importorskip("rasterio", reason="needs the extra slides")

from scipy import ndimage  # noqa: E402

from atrous.data.slides.geojson import read_geojson  # noqa: E402
from atrous.reports.slides.geojson import write_geojson  # noqa: E402

NAMES = ("glass", "fat", "stroma", "blood")
PALETTE = ((255, 255, 255), (130, 0, 130), (0, 0, 130), (255, 0, 0))


def blobs(size=(150, 210), seed=0, sigma=4.0):
    noise = np.random.default_rng(seed).normal(size=(4, *size))
    labels = np.stack([ndimage.gaussian_filter(each, sigma) for each in noise]).argmax(axis=0)
    labels = labels.astype(np.uint8)
    labels[:20, :30] = 255
    return labels


def noise(size=(40, 53), seed=0):
    return np.random.default_rng(seed).choice([0, 1, 2, 255], size).astype(np.uint8)


def written(tmp_path, labels, *, chunk=(64, 48), **options):
    path = tmp_path / "map.geojson"
    settings = {"scale": (1.0, 1.0), "mpp": (1.0, 1.0), "tolerance_um": 0.0} | options
    count = write_geojson(
        ArrayLabelMap(labels, chunk=chunk), path, class_names=NAMES, palette=PALETTE, **settings
    )
    features = json.loads(path.read_text())["features"]
    assert len(features) == count
    return path, features


def shapes(features):
    return [shapely.from_geojson(json.dumps(feature["geometry"])) for feature in features]


def areas(features):
    sums = dict.fromkeys(NAMES, 0.0)
    for feature, shape in zip(features, shapes(features), strict=True):
        sums[feature["properties"]["classification"]["name"]] += shape.area
    return sums


def assert_no_overlap(polygons):
    tree = shapely.STRtree(polygons)
    pairs = tree.query(polygons, predicate="intersects").T
    for one, other in pairs[pairs[:, 0] < pairs[:, 1]]:
        assert polygons[one].intersection(polygons[other]).area == 0


@pytest.mark.parametrize("labels", [blobs(), noise(), noise(seed=1)], ids=["blobs", "noise", "n1"])
@pytest.mark.parametrize("chunk", [(64, 48), (7, 11), (500, 500)])
def test_outlines_of_pixels_read_back_are_the_map(tmp_path, labels, chunk):
    path, features = written(tmp_path, labels, chunk=chunk, scale=(4.0, 2.5))
    back = read_geojson(path, labels.shape, scale=(4.0, 2.5), class_names=NAMES)
    assert np.array_equal(back.read(0, 0, *labels.shape), labels)
    assert np.array_equal(back.read(13, 17, 20, 21), labels[13:33, 17:38])
    assert all(shape.is_valid for shape in shapes(features))


@pytest.mark.parametrize("labels", [blobs(), noise()], ids=["blobs", "noise"])
def test_there_is_one_polygon_for_every_region(tmp_path, labels):
    _, features = written(tmp_path, labels, chunk=(16, 16), tolerance_um=2.0)
    assert len(features) == sum(ndimage.label(labels == value)[1] for value in range(4))
    assert {feature["geometry"]["type"] for feature in features} == {"Polygon"}


@pytest.mark.parametrize("max_vertices", [0, 40, 200])
@pytest.mark.parametrize("labels", [blobs(), noise()], ids=["blobs", "noise"])
def test_regions_of_too_many_corners_come_in_pieces_that_fit(tmp_path, labels, max_vertices):
    options = {"chunk": (16, 16), "tolerance_um": 2.0}
    _, whole = written(tmp_path, labels, **options)
    _, pieces = written(tmp_path, labels, max_vertices=max_vertices, **options)
    assert len(pieces) > len(whole)
    assert all(shape.is_valid for shape in shapes(pieces))
    assert_no_overlap(shapes(pieces))
    for name in NAMES:
        joined, expected = (
            shapely.union_all(
                [
                    shape
                    for feature, shape in zip(features, shapes(features), strict=True)
                    if feature["properties"]["classification"]["name"] == name
                ]
            )
            for features in (pieces, whole)
        )
        assert joined.equals(expected)


def test_pieces_that_wait_are_never_many_more_than_allowed(tmp_path, monkeypatch):
    joined = []
    union_all = shapely.union_all

    def counting(pieces):
        joined.append(int(shapely.get_num_coordinates(pieces).sum()))
        return union_all(pieces)

    monkeypatch.setattr(shapely, "union_all", counting)
    sponge = (np.random.default_rng(0).random((200, 200)) < 0.25).astype(np.uint8)
    written(tmp_path, sponge, chunk=(10, 10))
    assert max(joined) > 5000
    joined.clear()
    written(tmp_path, sponge, chunk=(10, 10), max_vertices=1000)
    assert 500 < max(joined) <= 1000 + 5 * 10 * 10  # and the corners of one chunk


@pytest.mark.parametrize("labels", [blobs(), noise()], ids=["blobs", "noise"])
@pytest.mark.parametrize("chunk", [(64, 48), (500, 500)])
def test_simplified_polygons_neither_overlap_nor_leave_gaps(tmp_path, labels, chunk):
    labels = np.where(labels == 255, 3, labels).astype(np.uint8)
    _, features = written(
        tmp_path, labels, chunk=chunk, tolerance_um=3.0, mpp=(0.5, 0.7), scale=(4.0, 2.5)
    )
    polygons = shapes(features)
    assert all(shape.is_valid for shape in polygons)
    assert_no_overlap(polygons)
    whole = labels.size * 4.0 * 2.5
    assert sum(shape.area for shape in polygons) == pytest.approx(whole, rel=1e-9)
    assert shapely.union_all(polygons).area == pytest.approx(whole, rel=1e-9)


def test_a_simplified_map_is_smaller_and_keeps_its_areas(tmp_path):
    labels = blobs((300, 300), sigma=8)
    exact, features = written(tmp_path, labels, chunk=(150, 150))
    num_bytes, true = exact.stat().st_size, areas(features)
    simple, features = written(tmp_path, labels, chunk=(150, 150), tolerance_um=2.0)
    assert simple.stat().st_size < num_bytes / 2
    for name, area in areas(features).items():
        assert area == pytest.approx(true[name], rel=0.02)


def test_simplifying_twice_changes_no_more_than_the_tolerance(tmp_path):
    labels = blobs((300, 300), sigma=8)
    path, _ = written(tmp_path, labels, tolerance_um=2.0)
    again = read_geojson(path, labels.shape, scale=(1, 1), class_names=NAMES)
    once = again.read(0, 0, *labels.shape)
    path, _ = written(tmp_path, once, tolerance_um=2.0)
    twice = read_geojson(path, labels.shape, scale=(1, 1), class_names=NAMES)
    assert (once != labels).mean() < 0.02
    assert (twice.read(0, 0, *labels.shape) != once).mean() < 0.01


@pytest.mark.parametrize("chunk", [(64, 48), (500, 500)])
def test_specks_go_to_a_neighbour_and_leave_no_gap(tmp_path, chunk):
    labels = blobs()
    clean = labels.copy()
    for row, column in ((30, 60), (63, 47), (64, 100), (100, 150)):  # two of them on borders
        around = clean[row - 2 : row + 4, column - 2 : column + 4]
        around[:] = clean[row, column]
        labels[row - 2 : row + 4, column - 2 : column + 4] = clean[row, column]
        labels[row : row + 2, column : column + 2] = (clean[row, column] + 1) % 4
    _, expected = written(tmp_path, clean, chunk=chunk, smallest_um2=5.0)
    _, features = written(tmp_path, labels, chunk=chunk, smallest_um2=5.0)
    assert areas(features) == areas(expected)
    assert_no_overlap(shapes(features))
    total = sum(shape.area for shape in shapes(features))
    assert total == (labels != 255).sum()


def test_of_noise_only_regions_of_the_smallest_size_are_left(tmp_path):
    labels = np.random.default_rng(0).integers(0, 4, (90, 120)).astype(np.uint8)
    _, features = written(tmp_path, labels, chunk=(500, 500), smallest_um2=12.0)
    assert 1 < len(features) < 300
    assert min(shape.area for shape in shapes(features)) >= 12
    assert sum(shape.area for shape in shapes(features)) == labels.size


def test_holes_are_kept_and_rings_run_as_the_standard_says(tmp_path):
    labels = np.full((40, 40), 1, np.uint8)
    labels[10:20, 10:30] = 2
    _, features = written(tmp_path, labels, chunk=(16, 16))
    ring = next(each for each in features if len(each["geometry"]["coordinates"]) == 2)
    assert ring["properties"]["classification"]["name"] == "fat"
    outer, hole = ring["geometry"]["coordinates"]

    def signed_area(points):
        x, y = np.array(points).T
        return float((x[:-1] * y[1:] - x[1:] * y[:-1]).sum() / 2)

    assert signed_area(outer) == 1600
    assert signed_area(hole) == -200


def test_regions_over_many_chunks_have_no_points_on_their_straight_sides(tmp_path):
    labels = np.full((100, 90), 1, np.uint8)
    labels[:, 45:] = 2
    for tolerance in (0.0, 2.0):
        _, features = written(tmp_path, labels, chunk=(16, 15), tolerance_um=tolerance)
        assert [len(each["geometry"]["coordinates"][0]) for each in features] == [5, 5]


def test_features_are_what_qupath_reads(tmp_path):
    path, features = written(tmp_path, np.ones((8, 8), np.uint8), scale=(4.0, 2.0))
    content = json.loads(path.read_text())
    assert content["type"] == "FeatureCollection"
    assert features[0]["type"] == "Feature"
    assert features[0]["properties"] == {
        "objectType": "annotation",
        "classification": {"name": "fat", "color": [130, 0, 130]},
    }
    corners = {tuple(point) for point in features[0]["geometry"]["coordinates"][0]}
    assert corners == {(0, 0), (16, 0), (16, 32), (0, 32)}


def test_classes_can_be_left_out(tmp_path):
    _, features = written(tmp_path, blobs(), skip=(0, 1))
    assert {each["properties"]["classification"]["name"] for each in features} == set(NAMES[2:])


def test_a_map_of_nothing_has_no_features(tmp_path):
    _, features = written(tmp_path, np.full((70, 70), 255, np.uint8))
    assert features == []


def test_a_class_without_a_name_is_refused_and_nothing_is_left(tmp_path):
    with pytest.raises(DataError, match="class 4"):
        written(tmp_path, np.full((70, 70), 4, np.uint8))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "option",
    [
        {"smallest_um2": -1.0},
        {"tolerance_um": -1},
        {"mpp": (0, 1)},
        {"scale": (1, -1)},
        {"max_vertices": -1},
    ],
)
def test_numbers_without_sense_are_refused(tmp_path, option):
    with pytest.raises(DataError, match="expected positive"):
        written(tmp_path, noise(), **option)


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(DataError, match="could not be written"):
        written(tmp_path / "nowhere", noise())


def test_areas_of_polygons_of_the_label_file_and_of_the_truth_agree(tmp_path):
    tifffile = pytest.importorskip("tifffile", reason="needs the extra slides")
    pytest.importorskip("imagecodecs", reason="needs the extra slides")
    from atrous.data.synthetic.slides import make_slide_world, write_slide
    from atrous.data.synthetic.tissue import TISSUE_PALETTE, TISSUES
    from atrous.reports.slides.mask_tiff import write_label_tiff

    size, mpp = (900, 1300), (0.5, 0.4)
    world = make_slide_world(2, size=size, seed=3)
    drawn = tmp_path / "drawn.tif"
    truth = write_slide(tmp_path / "image.tif", drawn, world=world, size=size, mpp=mpp)
    label_map = ArrayLabelMap(tifffile.imread(drawn, key=0), chunk=(256, 256))
    named = {"class_names": TISSUES, "palette": TISSUE_PALETTE, "mpp": mpp}
    write_label_tiff(label_map, tmp_path / "labels.tif", **named)
    counts = np.bincount(tifffile.imread(tmp_path / "labels.tif", key=0).ravel(), minlength=8)
    pixel = mpp[0] * mpp[1] / 1e6
    for tolerance_um, within in ((0.0, 1e-9), (1.0, 0.02)):
        path = tmp_path / "map.geojson"
        write_geojson(label_map, path, scale=(4.0, 2.0), tolerance_um=tolerance_um, **named)
        of_polygons = dict.fromkeys(TISSUES, 0.0)
        features = json.loads(path.read_text())["features"]
        for feature, shape in zip(features, shapes(features), strict=True):
            of_polygons[feature["properties"]["classification"]["name"]] += shape.area / 8 * pixel
        for index, (name, area) in enumerate(truth.areas().items()):
            assert counts[index] * pixel == pytest.approx(area)
            assert of_polygons[name] == pytest.approx(area, rel=within, abs=1e-9)
