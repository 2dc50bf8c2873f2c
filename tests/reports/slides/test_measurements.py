"""Numbers of slides in a table."""

import csv
import io

import numpy as np
import pytest

from atrous.data.slides.mask_map import ArrayLabelMap
from atrous.reports.slides.measurements import count_tissues, measurements_csv, write_measurements

NAMES = ("glass", "fat, yellow")


def features():
    labels = np.zeros((100, 200), np.uint8)
    labels[:50, :50] = 1
    labels[60:70, 100:110] = 1
    labels[90:] = 255
    label_map = ArrayLabelMap(labels, chunk=(32, 32))
    return count_tissues(label_map, num_classes=2, mpp=(10.0, 20.0))


def test_a_row_per_slide_and_tissue():
    table = measurements_csv({"a": features(), "b": features()}, class_names=NAMES)
    rows = list(csv.DictReader(io.StringIO(table)))
    assert [(row["slide"], row["tissue"]) for row in rows] == [
        (slide, name) for slide in "ab" for name in NAMES
    ]
    fat = {key: float(value) for key, value in rows[1].items() if key not in ("slide", "tissue")}
    pixel = 10 * 20 / 1e6
    assert fat["area_mm2"] == pytest.approx(2600 * pixel)
    assert fat["share"] == pytest.approx(2600 / (90 * 200))
    assert fat["num_regions"] == 2
    assert fat["largest_region_mm2"] == pytest.approx(2500 * pixel)
    assert fat["mean_region_mm2"] == fat["median_region_mm2"] == pytest.approx(1300 * pixel)
    # two sides of the large square lie on the map's border
    assert fat["interface_mm:glass"] == pytest.approx((50 * 10 + 50 * 20 + 20 * 10 + 20 * 20) / 1e3)
    shares = [float(row[f"cooccurrence:{name}"]) for row in rows[:2] for name in NAMES]
    assert sum(shares) == pytest.approx(1)


def test_a_tissue_that_is_not_there_is_a_row_of_zeros():
    nothing = count_tissues(
        ArrayLabelMap(np.full((9, 9), 255, np.uint8)), num_classes=2, mpp=(1.0, 1.0)
    )
    rows = list(csv.DictReader(io.StringIO(measurements_csv({"a": nothing}, class_names=NAMES))))
    assert {value for row in rows for value in list(row.values())[2:]} == {"0"}


def test_the_file_holds_the_table(tmp_path):
    path = tmp_path / "measurements.csv"
    write_measurements(path, {"a": features()}, class_names=NAMES)
    assert path.read_text() == measurements_csv({"a": features()}, class_names=NAMES)
