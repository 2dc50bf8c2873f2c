"""Facts that were known in two places, and differed: what is held here is that they agree."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch

import atrous
from atrous.data.catalog import open_layout
from atrous.data.check import check_layout
from atrous.data.check.fingerprint import cached_check, fingerprint
from atrous.metrics.volumes import score_case
from atrous.training.validate import dice_of_case

nibabel = pytest.importorskip("nibabel")


@pytest.fixture
def scans(tmp_path):
    rng = np.random.default_rng(0)
    mask = np.zeros((8, 8, 8), np.uint8)
    mask[2:5], mask[5:7] = 1, 2
    for folder in ("images", "labels"):
        (tmp_path / folder).mkdir()
    for index in range(2):
        name = f"c{index}.nii.gz"
        values = rng.random((8, 8, 8)).astype(np.float32)
        nibabel.save(nibabel.Nifti1Image(values, np.eye(4)), tmp_path / "images" / name)
        nibabel.save(nibabel.Nifti1Image(mask, np.eye(4)), tmp_path / "labels" / name)
    return tmp_path


def test_the_check_that_is_kept_knows_the_classes_of_volumes(scans, tmp_path):
    three = open_layout("volume_folder", scans, num_classes=3)
    two = open_layout("volume_folder", scans, num_classes=2)
    assert fingerprint(three) != fingerprint(two)
    kept = tmp_path / "kept"
    assert not cached_check(three, kept).errors
    assert len(cached_check(two, kept).errors) == len(check_layout(two).errors) == 2


def test_an_absent_class_counts_alike_in_training_and_in_evaluate():
    nothing = torch.zeros(4, 4, 4, dtype=torch.int64)
    in_training = dice_of_case(nothing, nothing, [1])
    scored = score_case(nothing, nothing, regions={"a": (1,)}, spacing=(1.0, 1.0, 1.0))
    assert math.isnan(in_training)
    assert math.isnan(scored["a"].dice)


def test_the_kept_numbers_of_networks_know_all_of_their_code(monkeypatch):
    from atrous.cli.networks import _fingerprint

    before = _fingerprint()
    deep = Path(atrous.__file__).parent / "networks" / "segmenters" / "espnet.py"
    whole = Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda path: whole(path) + b"#" * (path == deep))
    assert _fingerprint() != before


def test_a_shipped_name_and_its_file_have_one_size():
    from atrous.cli.objects import _card_size
    from atrous.networks.shipped import shipped_file

    assert _card_size("people") == _card_size(str(shipped_file("people"))) is not None


def test_every_extra_is_complete_only_with_all_that_its_results_need():
    from atrous._extras import MODULES
    from atrous.cli.doctor import extras

    names = {"openslide": "openslide-python", "openslide_bin": "openslide-bin"}
    names |= {"skimage": "scikit-image", "SimpleITK": "simpleitk"}
    for extra, modules in MODULES.items():
        assert {names.get(module, module) for module in modules} <= set(extras()[extra])
