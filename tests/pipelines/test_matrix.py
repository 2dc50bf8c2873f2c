"""Every shipped model on every kind of file: a right result, or a refusal that says what is wrong.

Right masks of scans are those of a run by the card's own preprocessing: Dice against human labels
is held by the real tier; here it is that no model runs what it does not take.
"""

import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

import atrous
from atrous.errors import AtrousError, DataError
from atrous.pipelines.predict.options import PhotoOptions, SlideOptions, VolumeOptions

nibabel = pytest.importorskip("nibabel")


@pytest.fixture
def photo(tmp_path):
    rng = np.random.default_rng(0)
    path = tmp_path / "photo.png"
    Image.fromarray(rng.integers(0, 256, (60, 80, 3), np.uint8)).save(path)
    return path


@pytest.fixture
def scan(tmp_path):
    rng = np.random.default_rng(0)
    folder = tmp_path / "scans"
    folder.mkdir()
    values = rng.normal(100, 20, (36, 50, 34)).astype(np.float32)
    nibabel.save(nibabel.Nifti1Image(values, np.eye(4)), folder / "scan.nii.gz")
    return folder / "scan.nii.gz"


class TestPhotosModel:
    def test_predicts_a_photo(self, photo, tmp_path):
        report = atrous.predict("people", photo, tmp_path / "out")
        assert report.kind == "photos"
        assert sum(report.record["images"]["photo"].values()) == pytest.approx(1)
        model = atrous.load("people")
        assert model.kind == "photos"
        assert model.predict(photo).mask.shape == (60, 80)

    def test_refuses_a_scan(self, scan, tmp_path):
        with pytest.raises(DataError, match=r"is a volume or holds such, and \S+ takes photos"):
            atrous.predict("people", scan, tmp_path / "out")
        with pytest.raises(AtrousError):
            atrous.load("people").predict(scan)
        assert not (tmp_path / "out").exists()

    def test_refuses_data_of_volumes(self, tmp_path):
        with pytest.raises(DataError, match="takes images, and layout 'volume_folder' holds vol"):
            atrous.evaluate("people", tmp_path, "volume_folder")

    def test_refuses_options_of_others(self, photo, tmp_path):
        for options in (SlideOptions(), VolumeOptions()):
            with pytest.raises(DataError, match="and the files are photos"):
                atrous.predict("people", photo, tmp_path / "out", options)


class TestVolumesModel:
    def test_predicts_a_scan(self, scan, tmp_path):
        report = atrous.predict("hippocampus", scan, tmp_path / "out")
        assert report.kind == "volumes"
        model = atrous.load("hippocampus")
        assert isinstance(model, atrous.Model)
        assert model.kind == "volumes"
        prediction = model.predict(scan)
        assert prediction.mask.shape == (34, 50, 36)
        written = nibabel.load(tmp_path / "out/scan.nii.gz").get_fdata()
        prediction.save(tmp_path / "again.nii.gz")
        assert np.array_equal(nibabel.load(tmp_path / "again.nii.gz").get_fdata(), written)
        ml = {k: v for k, v in prediction.volumes_ml().items() if k != "background"}
        assert ml == pytest.approx(report.record["volumes"]["scan"]["volume_ml"], abs=1e-3)

    def test_a_bare_array_is_prepared_as_the_card_says(self, scan):
        model = atrous.load("hippocampus")
        values = np.asarray(nibabel.load(scan).dataobj, np.float32).transpose(2, 1, 0)
        expected = model.predict(scan).mask
        for form in (values, values[np.newaxis], torch.from_numpy(values.copy())):
            assert torch.equal(model.predict(form, spacing=(1, 1, 1)).mask, expected)

    @pytest.mark.parametrize("shape", [(40, 40), (2, 8, 8, 8), (1, 0, 8, 8)])
    def test_refuses_other_arrays(self, shape):
        with pytest.raises(AtrousError, match="expected"):
            atrous.load("hippocampus").predict(np.zeros(shape, np.float32))

    def test_refuses_what_is_not_finite(self):
        values = np.full((1, 8, 8, 8), np.nan, np.float32)
        with pytest.raises(AtrousError, match="NaN or infinity"):
            atrous.load("hippocampus").predict(values)

    def test_refuses_a_photo(self, photo, tmp_path):
        with pytest.raises(
            DataError, match=r"photo\.png is no volume, and \S+hippocampus takes volumes"
        ):
            atrous.predict("hippocampus", photo, tmp_path / "out")
        with pytest.raises(DataError, match="is no volume"):
            atrous.load("hippocampus").predict(photo)

    def test_refuses_data_of_photos(self, tmp_path):
        with pytest.raises(DataError, match="takes volumes, and layout 'mask_folder' holds images"):
            atrous.evaluate("hippocampus", tmp_path, "mask_folder")

    def test_runs_no_mask_that_lies_beside_a_scan_and_says_what_it_leaves_out(
        self, atrous_command, scan, photo, tmp_path
    ):
        folder = scan.parent
        shutil.copy(scan, folder / "scan_seg.nii.gz")
        shutil.copy(photo, folder / "photo.png")
        out = tmp_path / "out"
        code, text, error = atrous_command("predict", "hippocampus", folder, "--out", out, "--json")
        assert code == 0
        record = json.loads(text)
        assert list(record["volumes"]) == ["scan"]
        left_out = {str(folder / "scan_seg.nii.gz"), str(folder / "photo.png")}
        assert set(record["left_out"]) == left_out
        assert all(name in error for name in ("scan_seg.nii.gz", "photo.png"))
        # Named itself, it is run.
        other = atrous.predict("hippocampus", folder / "scan_seg.nii.gz", tmp_path / "other")
        assert list(other.record["volumes"]) == ["scan_seg"]


@pytest.fixture
def atrous_command(request):
    return request.getfixturevalue("atrous")


def test_a_photo_that_is_replaced_under_its_name_is_done_again(tmp_path):
    rng = np.random.default_rng(0)
    path = tmp_path / "p.png"
    shares, masks = [], []
    for value in (0, 255):
        pixels = rng.integers(0, 30, (60, 80, 3)) + value // 2
        Image.fromarray(pixels.astype(np.uint8)).save(path)
        fresh = atrous.predict("people", path, tmp_path / f"fresh{value}")
        again = atrous.predict("people", path, tmp_path / "same")
        assert again.record["images"] == fresh.record["images"]
        shares.append(again.record["images"])
        mask = (tmp_path / "same/masks/p.png").read_bytes()
        assert mask == (tmp_path / f"fresh{value}/masks/p.png").read_bytes()
        masks.append(mask)
    assert "1 of them done before" in str(atrous.predict("people", path, tmp_path / "same"))


def test_values_that_equal_a_default_are_known_to_be_given(atrous_command, photo, tmp_path):
    for option, words in (
        (("--min-region", "20"), "--min-region is for slides, and these are photos"),
        (("--context", "auto"), "--context is for slides and volumes, and these are photos"),
        (("--max-pixels", "0"), "--max-pixels is 0; expected 1 or more"),
        (("--max-pixels", "-5"), "--max-pixels is -5; expected 1 or more"),
    ):
        code, _, error = atrous_command(
            "predict", "people", photo, "--out", tmp_path / "out", *option
        )
        assert code == 2
        assert words in error
        assert len(error.splitlines()) == 1
    with pytest.raises(DataError, match="expected 1 or more"):
        PhotoOptions(max_pixels=0)


def test_more_classes_than_masks_can_hold_are_refused():
    names = tuple(f"class {i}" for i in range(300))
    with pytest.raises(DataError, match="names 300 classes of masks; expected at most 255"):
        atrous.Card(
            name="a.b",
            network="unet",
            task="segmentation",
            class_names=names,
            palette=((0, 0, 0),) * 300,
            preprocessing=atrous.Preprocessing(mean=(0.0,) * 3, std=(1.0,) * 3),
        )
