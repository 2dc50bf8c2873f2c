"""Pascal VOC's folders: lists name the images, palette indices are classes, 255 is unlabelled."""

import numpy as np
import pytest
import torch
from PIL import Image

from atrous.data import VOC, open_layout
from atrous.data.layouts.voc import VOC_CLASSES
from atrous.errors import DataError, UnknownNameError
from atrous.networks.label_sets import LABEL_SETS

NAMES = ("2007_000032", "2007_000129", "2011_003271")


def write_voc(year, *, names=NAMES, split="val"):
    """A folder as the development kit unpacks, whose masks have the official colour map."""
    for folder in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        (year / folder).mkdir(parents=True, exist_ok=True)
    (year / "ImageSets" / "Segmentation" / f"{split}.txt").write_text("\n".join(names) + "\n")
    palette = [channel for colour in LABEL_SETS["voc"].palette for channel in colour]
    for index, name in enumerate(names):
        generator = np.random.default_rng(index)
        pixels = generator.integers(0, 256, (6, 9, 3), np.uint8)
        Image.fromarray(pixels).save(year / "JPEGImages" / f"{name}.jpg")
        mask = Image.fromarray(mask_values(index))
        mask.putpalette(palette)
        mask.save(year / "SegmentationClass" / f"{name}.png")
    return year


def mask_values(index):
    values = np.full((6, 9), index + 1, np.uint8)
    values[0] = 0
    values[:, 0] = 20
    values[-1] = 255
    return values


@pytest.fixture
def year(tmp_path):
    return write_voc(tmp_path / "VOCdevkit" / "VOC2012")


def test_masks_hold_palette_indices_and_255(year):
    samples = VOC(year, split="val")
    assert samples.names == NAMES
    for index in range(len(samples)):
        assert torch.equal(samples[index].mask, torch.from_numpy(mask_values(index)).long())
        assert samples[index].image.shape == (3, 6, 9)


def test_it_has_the_21_classes_of_the_published_networks(year):
    samples = open_layout("voc", year, split="val")
    assert samples.num_classes == 21
    assert samples.class_names == VOC_CLASSES == LABEL_SETS["voc"].names


@pytest.mark.parametrize("above", [0, 1, 2])
def test_the_year_is_found_from_the_folders_above_it(year, above):
    root = (year, *year.parents)[above]
    assert VOC(root, split="val").names == NAMES


def test_several_years_must_be_told_apart(year):
    write_voc(year.parent / "VOC2007")
    with pytest.raises(DataError, match=r"several years \(VOC2007, VOC2012\)"):
        VOC(year.parent, split="val")
    assert len(VOC(year.parent / "VOC2007", split="val")) == 3


def test_only_listed_images_are_samples_in_the_order_of_the_list(year):
    lists = year / "ImageSets" / "Segmentation"
    (lists / "mine.txt").write_text(f"\ufeff{NAMES[2]}\r\n\r\n {NAMES[0]} \r\n", encoding="utf-8")
    assert VOC(year, split="mine").names == (NAMES[2], NAMES[0])


def test_an_unknown_split_is_answered_with_those_there_are(year):
    write_voc(year, split="trainval")
    with pytest.raises(UnknownNameError, match="Known: trainval, val"):
        VOC(year, split="tain")


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        ("SegmentationClass/2007_000129.png", "1 of the 3 names in val.txt have no mask here"),
        ("JPEGImages/2007_000032.jpg", "no image here, the first being '2007_000032'"),
    ],
)
def test_a_missing_file_is_named(year, missing, message):
    (year / missing).unlink()
    with pytest.raises(DataError, match=message):
        VOC(year, split="val")


def test_a_folder_that_is_no_voc_says_what_was_expected(tmp_path):
    with pytest.raises(DataError, match=r"expected ImageSets/Segmentation/SPLIT\.txt"):
        VOC(tmp_path, split="val")
    with pytest.raises(DataError, match="no lists of images"):
        VOC(tmp_path / "nothing", split="val")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\n\n", "lists no image"),
        (b"a\nb\na\n", "lists 'a' more than once"),
        (b"\xff\xfe\x00", ""),
    ],
    ids=["empty", "twice", "no text"],
)
def test_a_list_that_cannot_be_read_is_refused(year, content, message):
    (year / "ImageSets" / "Segmentation" / "val.txt").write_bytes(content)
    with pytest.raises(DataError, match=rf"val\.txt: .*{message}"):
        VOC(year, split="val")


def test_a_class_above_20_is_refused(year):
    Image.fromarray(np.full((6, 9), 21, np.uint8)).save(
        year / "SegmentationClass" / f"{NAMES[0]}.png"
    )
    with pytest.raises(DataError, match="holds class 21"):
        VOC(year, split="val")[0]


def test_a_mask_exported_in_colours_is_refused(year):
    path = year / "SegmentationClass" / f"{NAMES[0]}.png"
    Image.open(path).convert("RGB").save(path)
    with pytest.raises(DataError, match="a colour image"):
        VOC(year, split="val")[0]
