"""Class weights against the published formulas, and counts that are made once and kept."""

import json
import math

import numpy as np
import pytest
import torch
from PIL import Image

from atrous.data.catalog import open_layout
from atrous.errors import DataError, UnknownNameError
from atrous.training import class_weights as module
from atrous.training.class_weights import (
    CLASS_WEIGHTS,
    ClassCounts,
    cached_counts,
    class_weights,
    count_pixels,
    enet_weights,
    median_frequency_weights,
)

MASKS = (
    np.array([[0, 0, 1], [0, 0, 255]]),
    np.array([[0, 3], [3, 3]]),
    np.array([[255, 255], [255, 255]]),
)
COUNTS = ClassCounts(pixels=(5, 1, 0, 3), image_pixels=(10, 6, 0, 4), unlabelled=5, num_images=3)
"""Of the masks above, counted by hand."""


@pytest.fixture
def root(tmp_path):
    for folder in ("images", "masks"):
        (tmp_path / folder).mkdir()
    for index, mask in enumerate(MASKS):
        Image.fromarray(mask.astype(np.uint8)).save(tmp_path / "masks" / f"{index}.png")
        picture = Image.new("RGB", mask.shape[::-1])
        picture.save(tmp_path / "images" / f"{index}.png")
    return tmp_path


@pytest.fixture
def samples(root):
    return open_layout("mask_folder", root, num_classes=4)


def test_pixels_are_counted_by_class_and_by_the_images_of_the_class(samples):
    assert count_pixels(samples) == COUNTS
    assert count_pixels(samples, num_workers=1) == COUNTS
    assert COUNTS.absent == (2,)


def test_a_broken_mask_stops_the_count_with_its_name(root, samples):
    (root / "masks" / "1.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"1\.png"):
        count_pixels(samples)


@pytest.mark.parametrize("c", [1.02, 1.10])
def test_enet_weights_are_the_formula(c):
    expected = [1 / math.log(c + share) for share in (5 / 9, 1 / 9, 3 / 9)]
    weights = enet_weights(COUNTS.pixels, c=c)
    assert weights[[0, 1, 3]].tolist() == pytest.approx(expected)
    assert weights[2] == 0
    assert weights.dtype == torch.float32


def test_enet_weights_lie_in_the_published_range():
    # ENet, section 5.1: weights are between 1 and 50 with c = 1.02; FACTS_PAPERS C5: 1.42 to 50.5.
    weights = enet_weights([10**12, 1])
    assert weights.tolist() == pytest.approx([1 / math.log(2.02), 1 / math.log(1.02)])
    assert weights.tolist() == pytest.approx([1.42, 50.5], abs=0.005)


def test_median_frequency_weights_are_the_formula():
    shares = [5 / 10, 1 / 6, 3 / 4]
    expected = [0.5 / share for share in shares]
    weights = median_frequency_weights(COUNTS.pixels, COUNTS.image_pixels)
    assert weights[[0, 1, 3]].tolist() == pytest.approx(expected)
    assert weights[2] == 0
    # Of an even number of classes the median is the mean of the middle two.
    assert median_frequency_weights([1, 3], [4, 4]).tolist() == pytest.approx([2, 2 / 3])


def test_weights_go_by_name():
    assert class_weights("none", COUNTS) is None
    assert torch.equal(class_weights("enet", COUNTS), enet_weights(COUNTS.pixels, c=1.02))
    assert torch.equal(class_weights("espnet", COUNTS), enet_weights(COUNTS.pixels, c=1.10))
    assert torch.equal(
        class_weights("median_frequency", COUNTS),
        median_frequency_weights(COUNTS.pixels, COUNTS.image_pixels),
    )
    with pytest.raises(UnknownNameError, match="Did you mean 'enet'"):
        class_weights("enett", COUNTS)


def test_who_asks_is_told_of_classes_that_do_not_occur(caplog):
    class_weights("enet", COUNTS)
    assert "classes 2 occur nowhere in the data" in caplog.text


@pytest.mark.parametrize("name", sorted(set(CLASS_WEIGHTS) - {"none"}))
def test_data_without_any_label_has_no_weights(name):
    empty = ClassCounts(pixels=(0, 0), image_pixels=(0, 0), unlabelled=9, num_images=1)
    with pytest.raises(DataError, match="No pixel of the data is labelled"):
        class_weights(name, empty)


def test_counts_are_made_once_for_a_fingerprint(samples, tmp_path, monkeypatch):
    file = tmp_path / "counts.json"
    assert cached_counts(samples, file, "one") == COUNTS
    assert json.loads(file.read_text())["pixels"] == [5, 1, 0, 3]

    monkeypatch.setattr(module, "count_pixels", lambda _: pytest.fail("counted again"))
    assert cached_counts(samples, file, "one") == COUNTS

    other = ClassCounts(pixels=(1, 2, 3, 4), image_pixels=(9,) * 4, unlabelled=0, num_images=3)
    monkeypatch.setattr(module, "count_pixels", lambda _: other)
    assert cached_counts(samples, file, "two") == other
    assert cached_counts(samples, file, "two") == other


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "{}",
        '{"fingerprint": "one"}',
        '{"fingerprint": "one", "num_images": 3, "pixels": 7, "image_pixels": [], "unlabelled": 0}',
        '{"fingerprint": "one", "num_images": 3, "pixels": [1, 2, 3, "x"],'
        ' "image_pixels": [1, 2, 3, 4], "unlabelled": 0}',
        '{"fingerprint": "one", "num_images": 3, "pixels": [1], "image_pixels": [1],'
        ' "unlabelled": 0}',
    ],
)
def test_a_record_that_cannot_be_is_replaced(text, samples, tmp_path):
    file = tmp_path / "counts.json"
    file.write_text(text)
    assert cached_counts(samples, file, "one") == COUNTS
    assert json.loads(file.read_text())["pixels"] == [5, 1, 0, 3]


def test_a_record_that_is_no_text_is_replaced(samples, tmp_path):
    file = tmp_path / "counts.json"
    file.write_bytes(b"\xff\xfe\x00")
    assert cached_counts(samples, file, "one") == COUNTS


def test_a_record_that_cannot_be_written_is_an_error(samples, tmp_path):
    with pytest.raises(DataError, match="could not be written"):
        cached_counts(samples, tmp_path / "nowhere" / "counts.json", "one")


@pytest.mark.real
def test_weights_of_camvid_are_those_worked_out_from_its_masks(shared):
    # FACTS_PAPERS C5, measured on the 367 training images with the 11 classes.
    counts = count_pixels(open_layout("camvid", shared / "data" / "camvid", split="train"))
    pixels = torch.tensor(counts.pixels, dtype=torch.float64)
    assert round(counts.unlabelled / (float(pixels.sum()) + counts.unlabelled), 5) == 0.03948
    measured = {
        "shares": ".17538 .24215 .01023 .32960 .04671 .10124 .01221 .01173 .06107 .00666 .00304",
        "enet": "5.603 4.295 33.574 3.335 15.486 8.739 31.542 32.012 12.829 38.014 43.907",
        "espnet": "4.111 3.398 9.563 2.798 7.305 5.454 9.403 9.441 6.696 9.868 10.197",
        "median_frequency": ".2793 .2017 4.7865 .1490 1.0 .4217 3.8467 1.9736 .7889 6.3747 8.8587",
    }
    for name, text in measured.items():
        numbers = text.split()
        ours = pixels / pixels.sum() if name == "shares" else class_weights(name, counts)
        decimals = len(numbers[0].partition(".")[2])
        expected = [float(number) for number in numbers]
        assert ours.tolist() == pytest.approx(expected, abs=0.51 * 10**-decimals)
