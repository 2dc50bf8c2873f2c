"""`predict` on volumes by the shipped model: the scan's own grid, once, and honest refusals."""

import base64
import json
import shutil
import zlib

import numpy as np
import pytest

nibabel = pytest.importorskip("nibabel", reason="needs the extra volumes")

from atrous.data.volumes.read import read_mask_volume  # noqa: E402
from atrous.errors import DataError  # noqa: E402
from atrous.networks.preprocessing.volume_spec import VolumeSpec  # noqa: E402
from atrous.pipelines.predict.volumes import volume_settings  # noqa: E402

AFFINE = np.array([[0, -1.0, 0, 40], [1.0, 0, 0, -20], [0, 0, 1.5, 7], [0, 0, 0, 1]])


@pytest.fixture
def scan(tmp_path):
    rng = np.random.default_rng(0)
    smooth = rng.normal(size=(6, 8, 5)).repeat(6, 0).repeat(6, 1).repeat(6, 2)
    image = nibabel.Nifti1Image(smooth.astype(np.float32), AFFINE)
    image.set_sform(AFFINE, code=2)
    image.set_qform(AFFINE, code=1)
    path = tmp_path / "scan.nii.gz"
    nibabel.save(image, path)
    return path


def test_labels_lie_as_the_scan_does(atrous, scan, tmp_path):
    out = tmp_path / "out"
    code, text, error = atrous("predict", "hippocampus", scan, "--out", out, "--json")
    assert (code, error) == (0, "")
    record = json.loads(text)
    assert list(record["volumes"]) == ["scan"]
    assert record["errors"] == {}
    labels, given = nibabel.load(out / "scan.nii.gz"), nibabel.load(scan)
    assert labels.shape == given.shape
    np.testing.assert_array_equal(labels.affine, given.affine)
    assert (labels.header["sform_code"], labels.header["qform_code"]) == (2, 1)
    assert set(np.unique(np.asarray(labels.dataobj))) <= {0, 1, 2}
    assert {path.name for path in out.iterdir()} == {
        *("scan.nii.gz", "scan.png", "scan.montage.png", "scan.json")
    }
    before = (out / "scan.nii.gz").read_bytes()
    assert atrous("predict", "hippocampus", scan, "--out", out)[0] == 0
    assert (out / "scan.nii.gz").read_bytes() == before


def test_a_page_can_be_had_afterwards_without_running_again(atrous, scan, tmp_path):
    out = tmp_path / "out"
    assert atrous("predict", "hippocampus", scan, "--out", out)[0] == 0
    _, text, _ = atrous("predict", "hippocampus", scan, "--out", out, "--html", "--json")
    assert json.loads(text)["volumes"]["scan"]["was_there"]
    page = (out / "scan.html").read_text()
    data = json.loads(page.split('<script type="application/json">')[1].split("</script>")[0])
    shown = np.frombuffer(zlib.decompress(base64.b64decode(data["labels"])), np.uint8)
    labels = read_mask_volume(out / "scan.nii.gz")
    assert np.array_equal(shown.reshape(data["size"]), labels.numpy())


def test_a_bids_data_set_has_the_same_labels_and_its_own_names(atrous, scan, tmp_path):
    plain, out = tmp_path / "plain", tmp_path / "out"
    assert atrous("predict", "hippocampus", scan, "--out", plain)[0] == 0
    for _ in range(2):
        assert atrous("predict", "hippocampus", scan, "--out", out, "--bids", "--html")[0] == 0
    stem = "sub-scan_space-orig_desc-residualunethippocampus_dseg"
    files = {str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()}
    assert files == {
        *("dataset_description.json", "README.md", ".bidsignore"),
        "desc-residualunethippocampus_dseg.tsv",
        *(f"sub-scan/anat/{stem}.{end}" for end in ("nii.gz", "json")),
        *(f"figures/{stem}.{end}" for end in ("png", "montage.png", "html")),
    }
    labels = out / "sub-scan" / "anat" / f"{stem}.nii.gz"
    assert labels.read_bytes() == (plain / "scan.nii.gz").read_bytes()
    assert json.loads(labels.with_name(f"{stem}.json").read_text())["SpatialReference"] == "orig"


def test_a_scan_that_is_cut_off_is_told_in_one_line(atrous, scan, tmp_path):
    cut = tmp_path / "cut.nii.gz"
    cut.write_bytes(scan.read_bytes()[:-200])
    code, _, error = atrous("predict", "hippocampus", cut, "--out", tmp_path / "out")
    assert code == 2
    assert len(error.splitlines()) == 1
    assert "cut.nii.gz" in error


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--plan",), "--plan is for slides, and these are volumes"),
        (("--memory", "much"), "such as 2G"),
        (("--context", "fuzzy"), "context"),
    ],
)
def test_impossible_wishes_are_refused(atrous, scan, tmp_path, options, message):
    code, _, error = atrous("predict", "hippocampus", scan, "--out", tmp_path / "out", *options)
    assert code == 2
    assert message in error


def test_a_model_of_photos_takes_no_volumes(atrous, scan, tmp_path):
    code, _, error = atrous("predict", "people", scan, "--out", tmp_path / "out")
    assert code == 2
    assert len(error.splitlines()) == 1


def test_scans_are_mirrored_along_the_axes_of_the_card_alone():
    local = VolumeSpec(channel_names=("t1",), flip_axes=(2,))
    assert volume_settings(local, memory=None, context="auto", flip=True).flips == (2,)
    assert volume_settings(local, memory=None, context="auto", flip=False).flips == ()
    with pytest.raises(DataError, match="--flip"):
        volume_settings(VolumeSpec(channel_names=("t1",)), memory=None, context="auto", flip=True)


def test_a_folder_of_good_and_bad_scans_gives_the_good_ones(atrous, scan, tmp_path):
    """Junk, a picture of two dimensions, colours: each is named, and the others are written."""
    folder = tmp_path / "scans"
    folder.mkdir()
    shutil.copy(scan, folder / "good.nii.gz")
    (folder / "junk.nii.gz").write_bytes(b"\x1f\x8b" + b"x" * 20)
    nibabel.save(nibabel.Nifti1Image(np.zeros((4, 4), np.int16), np.eye(4)), folder / "flat.nii.gz")
    colours = np.zeros((4, 4, 4), [("R", "u1"), ("G", "u1"), ("B", "u1")])
    nibabel.save(nibabel.Nifti1Image(colours, np.eye(4)), folder / "rgb.nii.gz")
    code, _, error = atrous("predict", "hippocampus", folder, "--out", tmp_path / "out")
    assert code == 1
    assert (tmp_path / "out" / "good.nii.gz").is_file()
    for name in ("junk", "flat", "rgb"):
        assert f"{name}.nii.gz" in error


def test_results_inside_the_folder_are_not_run_again(atrous, scan, tmp_path):
    folder = tmp_path / "scans"
    folder.mkdir()
    shutil.copy(scan, folder / "good.nii.gz")
    for _ in range(2):
        code, out, _ = atrous("predict", "hippocampus", folder, "--out", folder / "out")
        assert code == 0
        assert len(out.strip().splitlines()) == 1


def test_a_scan_in_another_format_has_the_labels_of_the_nifti_file(atrous, scan, tmp_path):
    itk = pytest.importorskip("SimpleITK")
    itk.WriteImage(itk.ReadImage(str(scan)), str(tmp_path / "other.nrrd"))
    for path in (scan, tmp_path / "other.nrrd"):
        assert atrous("predict", "hippocampus", path, "--out", tmp_path / "out")[0] == 0
    one = nibabel.load(tmp_path / "out" / scan.name)
    other = nibabel.load(tmp_path / "out" / "other.nii.gz")
    assert np.array_equal(np.asarray(one.dataobj), np.asarray(other.dataobj))
    assert other.affine == pytest.approx(one.affine, abs=1e-4)


@pytest.mark.parametrize("bids", [False, True])
def test_probabilities_lie_as_the_labels_and_agree_with_them(bids, atrous, scan, tmp_path):
    """Asked for after a run that wrote none, they come by running again."""
    options = ("predict", "hippocampus", scan, "--out", tmp_path / "out", *["--bids"] * bids)
    assert atrous(*options)[0] == 0
    assert atrous(*options, "--probabilities")[0] == 0
    (path,) = (tmp_path / "out").rglob("*prob*.nii.gz")
    found = nibabel.load(path)
    values = np.asarray(found.dataobj)
    (labels,) = (p for p in (tmp_path / "out").rglob("*.nii.gz") if p != path)
    mask = nibabel.load(labels)
    assert values.dtype == np.float32
    assert values.shape == (*mask.shape, 3)
    assert np.array_equal(found.affine, mask.affine)
    assert values.sum(axis=3) == pytest.approx(1, abs=1e-5)
    assert np.array_equal(values.argmax(axis=3), np.asarray(mask.dataobj))


def test_results_of_another_run_are_no_scans(atrous, scan, tmp_path):
    folder = tmp_path / "scans"
    folder.mkdir()
    shutil.copy(scan, folder / "good.nii.gz")
    for out in ("res", "res2"):
        code, text, _ = atrous("predict", "hippocampus", folder, "--out", folder / out)
        assert code == 0
        assert [path.name for path in (folder / out).glob("*.nii.gz")] == ["good.nii.gz"]
        assert len(text.strip().splitlines()) == 1
