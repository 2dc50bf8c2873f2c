"""The check of volumes: how they lie, what they hold, and every broken case by its name."""

import numpy as np
import pytest

from atrous.data.catalog import open_layout
from atrous.data.check.check import check_layout
from atrous.data.check.report import from_record, to_record
from atrous.data.check.volumes import ClassVolume
from atrous.reports.data.page import data_page

nibabel = pytest.importorskip("nibabel", reason="needs the extra volumes")

RAS, LPS = np.diag([1.0, 2.0, 5.0, 1.0]), np.diag([-1.0, -2.0, 5.0, 1.0])
SHAPE = (8, 7, 6)


def put(root, name, *, affine=RAS, shape=SHAPE, count=10, seed=0):
    values = np.random.default_rng(seed).normal(size=shape).astype(np.float32)
    labels = np.zeros(shape, np.uint8)
    labels.flat[:count] = 1
    for kind, array in (("images", values), ("labels", labels)):
        (root / kind).mkdir(exist_ok=True)
        nibabel.save(nibabel.Nifti1Image(array, affine), root / kind / f"{name}.nii.gz")
    return values


@pytest.fixture
def root(tmp_path):
    put(tmp_path, "a", seed=1)
    put(tmp_path, "b", seed=2, affine=LPS, shape=(8, 9, 6), count=30)
    put(tmp_path, "c", seed=3, affine=np.diag([1.0, 2.0, 3.0, 1.0]))
    return tmp_path


def opened(root):
    return open_layout("volume_folder", root, num_classes=2)


def test_spacing_orientation_sizes_values_and_volumes_are_told(root):
    report = check_layout(opened(root))
    found = report.volumes
    assert found.spacings == (((5.0, 2.0, 1.0), 2), ((3.0, 2.0, 1.0), 1))
    assert found.orientations == (("RAS", 2), ("LPS", 1))
    assert (found.smallest, found.median, found.largest) == ((6, 7, 8), (6, 7, 8), (6, 9, 8))
    values = [
        put(root, "again", seed=seed, shape=s)
        for seed, s in ((1, SHAPE), (2, (8, 9, 6)), (3, SHAPE))
    ]
    highest = [array.max() for array in values]
    assert found.ranges[0] == pytest.approx(
        (min(array.min() for array in values), np.median(highest), max(highest))
    )
    # 10 voxels of 10 mm3, 30 of 10, 10 of 6
    assert found.class_ml[1] == ClassVolume(smallest=0.06, median=0.1, largest=0.3)
    assert report.num_grey == 0
    assert not report.errors


def test_cases_of_another_spacing_are_named(root):
    (problem,) = check_layout(opened(root)).warnings
    assert (problem.kind, problem.names) == ("other_spacing", ("c",))
    assert problem.text == "c: 1 of 3 have another spacing than 5 x 2 x 1 mm."


def test_the_report_is_kept_whole(root):
    report = check_layout(opened(root))
    assert from_record(to_record(report)) == report


def test_a_broken_case_is_an_error_and_the_others_are_looked_at(root):
    path = root / "images" / "b.nii.gz"
    path.write_bytes(path.read_bytes()[:400])
    report = check_layout(opened(root))
    assert [problem.names for problem in report.errors] == [("b",)]
    assert report.volumes.orientations == (("RAS", 2),)


def test_the_page_shows_three_planes_and_all_axes_of_sizes(root):
    samples = opened(root)
    page = data_page(title="t", report=check_layout(samples), samples=samples, others={}, facts={})
    assert page.count("<figure>") == 3
    for text in ("5 x 2 x 1", "LPS", "6 x 9 x 8", "volumes of another spacing than most"):
        assert text in page
    assert "As training sees them" not in page
