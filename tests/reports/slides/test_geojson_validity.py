"""Polygons of any map at any scale are valid, by shapely, and cover the map once."""

import json

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

shapely = pytest.importorskip("shapely", reason="needs the extra slides")
pytest.importorskip("rasterio", reason="needs the extra slides")

from scipy import ndimage  # noqa: E402

from atrous.data.slides.mask_map import ArrayLabelMap  # noqa: E402
from atrous.reports.slides.geojson import write_geojson  # noqa: E402

SCALES = (0.2272, 0.25, 0.2525, 0.3, 0.499, 0.5031, 1.0, 1 / 3)


def made_map(seed, size, sigma, num_classes, speckled):
    """Smooth regions, with single pixels of noise in them if wanted."""
    rng = np.random.default_rng(seed)
    fields = rng.standard_normal((num_classes, *size))
    labels = np.stack([ndimage.gaussian_filter(each, sigma) for each in fields]).argmax(axis=0)
    if speckled:
        labels[rng.random(size) < 0.05] = rng.integers(num_classes)
    return labels.astype(np.uint8)


@given(
    seed=st.integers(0, 10_000),
    size=st.tuples(st.integers(20, 90), st.integers(20, 90)),
    sigma=st.sampled_from((0.5, 1.0, 2.0, 4.0)),
    num_classes=st.integers(2, 4),
    speckled=st.booleans(),
    chunk=st.sampled_from((16, 37, 1024)),
    at=st.tuples(st.sampled_from(SCALES), st.sampled_from(SCALES)),
    own=st.sampled_from(SCALES),
    tolerance=st.sampled_from((0.0, 0.4, 1.0, 2.3)),
    smallest=st.sampled_from((0.0, 1.0)),
    corner=st.sampled_from((0, 1_234_567)),
    is_whole=st.booleans(),
)
@example(11, (60, 70), 1.0, 3, False, 1024, (0.2272, 0.2272), 0.25, 1.0, 0.0, 0, True)
@settings(max_examples=60)
def test_polygons_are_valid_and_cover_the_map_once(
    tmp_path_factory,
    seed,
    size,
    sigma,
    num_classes,
    speckled,
    chunk,
    at,
    own,
    tolerance,
    smallest,
    corner,
    is_whole,
):
    labels = made_map(seed, size, sigma, num_classes, speckled)
    if not is_whole:
        labels[: size[0] // 4, : size[1] // 3] = 255
    path = tmp_path_factory.mktemp("map") / "r.geojson"
    scale = (at[0] / own, at[1] / own)
    write_geojson(
        ArrayLabelMap(labels, chunk=(chunk, chunk)),
        path,
        class_names=list("abcd")[:num_classes],
        palette=[(0, 0, 0)] * num_classes,
        scale=scale,
        mpp=at,
        frame={"left": corner, "top": 0} if corner else None,
        tolerance_um=tolerance,
        smallest_um2=smallest,
    )
    features = json.loads(path.read_text())["features"]
    shapes = [shapely.from_geojson(json.dumps(each["geometry"])) for each in features]
    for shape in shapes:
        assert shape.is_valid, shapely.is_valid_reason(shape)
        assert shape.area > 0
    total = sum(shape.area for shape in shapes)
    assert shapely.union_all(shapes).area == pytest.approx(total, rel=1e-7)
    if is_whole or tolerance == 0:  # a border with what did not run is simplified too
        expected = (labels != 255).sum() * scale[0] * scale[1]
        assert total == pytest.approx(expected, rel=1e-7)


@pytest.mark.parametrize(
    ("seed", "sigma", "num_classes"), [(8, 1.3, 2), (12, 0.6, 2), (26, 1.3, 4)]
)
def test_maps_that_touched_themselves_at_this_scale_do_not(tmp_path, seed, sigma, num_classes):
    """Simplified in µm and rounded, each of these gave invalid polygons."""
    write_geojson(
        ArrayLabelMap(made_map(seed, (400, 400), sigma, num_classes, speckled=False)),
        tmp_path / "r.geojson",
        class_names=list("abcd")[:num_classes],
        palette=[(0, 0, 0)] * num_classes,
        scale=(1.0, 1.0),
        mpp=(0.2272, 0.2272),
        smallest_um2=1.0,
    )
    features = json.loads((tmp_path / "r.geojson").read_text())["features"]
    shapes = [shapely.from_geojson(json.dumps(each["geometry"])) for each in features]
    assert len(shapes) > 10
    assert all(shape.is_valid for shape in shapes)
