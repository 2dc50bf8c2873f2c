"""Patches of breast biopsies: eight tissues, masks of three equal channels."""

import numpy as np
import pytest
import torch
from PIL import Image

from atrous.data import open_layout
from atrous.data.layouts.breast_biopsy import TISSUES, BreastBiopsy
from atrous.data.synthetic.tissue import TISSUES as MADE_TISSUES
from atrous.errors import DataError
from atrous.networks.label_sets import LABEL_SETS


@pytest.fixture
def root(tmp_path):
    rng = np.random.default_rng(0)
    for folder in ("images", "masks"):
        (tmp_path / folder).mkdir()
    Image.fromarray(rng.integers(0, 256, (6, 7, 3), dtype=np.uint8)).save(
        tmp_path / "images" / "a_1.33.png"
    )
    return tmp_path


def save_mask(root, mask):
    Image.fromarray(mask).save(root / "masks" / "a_1.33.png")


def test_three_equal_channels_are_one_mask(root):
    mask = np.arange(42, dtype=np.uint8).reshape(6, 7) % 8
    save_mask(root, np.repeat(mask[..., None], 3, axis=2))
    samples = BreastBiopsy(root)
    assert samples.class_names == TISSUES
    assert torch.equal(samples[0].mask, torch.from_numpy(mask).long())


def test_unequal_channels_are_refused(root):
    mask = np.zeros((6, 7, 3), np.uint8)
    mask[2, 3, 1] = 4
    save_mask(root, mask)
    with pytest.raises(DataError, match="a colour image"):
        BreastBiopsy(root)[0]


def test_a_ninth_tissue_is_refused(root):
    save_mask(root, np.full((6, 7), 8, np.uint8))
    with pytest.raises(DataError, match="holds class 8; expected classes below num_classes=8"):
        BreastBiopsy(root)[0]


def test_made_tissue_and_published_colours_have_the_same_classes():
    assert TISSUES == MADE_TISSUES
    assert LABEL_SETS["breast_biopsy"].names == TISSUES


@pytest.mark.real
def test_the_published_patches_hold_tissues_alone(shared):
    samples = open_layout("breast_biopsy", shared / "data" / "breast_biopsy")
    assert len(samples) == 5
    for sample in samples:
        assert sample.image.shape == (3, 384, 384)
        assert sample.mask.max() <= 6
