"""CamVid's layout: splits, pairing across suffixes, and void as unlabelled."""

import numpy as np
import pytest
import torch
from PIL import Image

from atrous.data import CamVid
from atrous.errors import DataError, UnknownNameError


@pytest.fixture
def root(tmp_path):
    """Two splits; `val` has WebP images beside PNG masks."""
    for split, suffix in (("train", "jpg"), ("val", "webp")):
        (tmp_path / split).mkdir()
        (tmp_path / f"{split}annot").mkdir()
        for index in range(3):
            mask = np.arange(12 * 16, dtype=np.uint8).reshape(12, 16) % 12
            grey = np.full((12, 16, 3), 60 * index, dtype=np.uint8)
            Image.fromarray(grey).save(tmp_path / split / f"f_{index}.{suffix}", quality=95)
            Image.fromarray(mask).save(tmp_path / f"{split}annot" / f"f_{index}.png")
    return tmp_path


@pytest.mark.parametrize("split", ["train", "val"])
def test_gives_samples_with_void_unlabelled(root, split):
    dataset = CamVid(root, split=split)
    assert len(dataset) == 3
    assert dataset.names == ("f_0", "f_1", "f_2")
    sample = dataset[2]
    raw = torch.arange(12 * 16).reshape(12, 16) % 12
    assert sample.name == "f_2"
    assert sample.image.shape == (3, 12, 16)
    assert (sample.image - 120 / 255).abs().max() < 0.02
    assert torch.equal(sample.mask, torch.where(raw == 11, 255, raw))


def test_knows_its_eleven_classes(root):
    dataset = CamVid(root, split="val")
    assert dataset.num_classes == len(dataset.class_names) == 11
    assert dataset.class_names[0] == "Sky"
    assert dataset.class_names[-1] == "Bicyclist"


@pytest.mark.parametrize("value", [12, 30, 254])
def test_a_value_above_void_is_refused_with_file_and_value(root, value):
    Image.new("L", (16, 12), value).save(root / "valannot" / "f_1.png")
    dataset = CamVid(root, split="val")
    with pytest.raises(DataError, match=rf"f_1.png: holds class {value}; expected .*=11, or 255"):
        dataset[1]


def test_255_in_a_file_is_unlabelled_too(root):
    Image.new("L", (16, 12), 255).save(root / "valannot" / "f_1.png")
    assert (CamVid(root, split="val")[1].mask == 255).all()


def test_an_unknown_split_is_answered_with_those_that_exist(root):
    with pytest.raises(UnknownNameError, match=r"split is named 'test'.*Known: train, val"):
        CamVid(root, split="test")


@pytest.mark.parametrize("name", [".", "missing"])
def test_a_folder_without_splits_is_refused(tmp_path, name):
    with pytest.raises(DataError, match=r"no split here; expected .*trainannot/"):
        CamVid(tmp_path / name, split="val")


def test_a_missing_mask_is_refused_at_construction(root):
    (root / "valannot" / "f_1.png").unlink()
    with pytest.raises(DataError, match=r"1 of 3 images have no mask here.*'f_1.webp'"):
        CamVid(root, split="val")
