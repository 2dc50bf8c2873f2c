"""Folders of classes: splits, the meaning of labels over splits, names, and what is left aside."""

import numpy as np
import pytest
import torch
from PIL import Image

from atrous.data import ImageFolder
from atrous.errors import DataError, UnknownNameError


def put(path, level=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (6, 4), (level, level, level)).save(path)


@pytest.fixture
def root(tmp_path):
    for split, classes in (("train", "abc"), ("val", "bc")):
        for class_name in classes:
            for number in (2, 10):
                put(tmp_path / split / class_name / f"{number}.png", level=number)
    return tmp_path


def test_labels_are_the_folders_in_sorted_order_and_names_are_paths(root):
    images = ImageFolder(root, split="train")
    assert images.label_names == ("a", "b", "c")
    assert images.names == ("a/2", "a/10", "b/2", "b/10", "c/2", "c/10")
    assert images.labels == (0, 0, 1, 1, 2, 2)
    sample = images[3]
    assert (sample.name, sample.label, sample.mask) == ("b/10", 1, None)
    assert torch.equal(sample.image, torch.full((3, 4, 6), 10) / 255)
    assert np.array_equal(images.rgb8(3), np.full((4, 6, 3), 10, np.uint8))
    assert images.files(3) == (root / "train" / "b" / "10.png",)


def test_a_label_means_the_same_in_every_split(root):
    images = ImageFolder(root, split="val")
    assert images.label_names == ("a", "b", "c")
    assert images.labels == (1, 1, 2, 2)


def test_without_splits_the_root_holds_the_classes(root):
    images = ImageFolder(root / "val")
    assert images.label_names == ("b", "c")
    assert images.labels == (0, 0, 1, 1)


def test_a_list_of_labels_sets_their_order(root):
    (root / "label_names.txt").write_text("c\nb\na\nd\n")
    images = ImageFolder(root, split="val")
    assert images.label_names == ("c", "b", "a", "d")
    assert images.names == ("c/2", "c/10", "b/2", "b/10")
    assert images.labels == (0, 0, 1, 1)


def test_a_folder_that_is_no_label_is_refused(root):
    put(root / "val" / "unknown" / "1.png")
    with pytest.raises(
        DataError, match=r"1 of its folders are no label, .*'unknown'; .*of .*train"
    ):
        ImageFolder(root, split="val")
    (root / "label_names.txt").write_text("a\nb\n")
    with pytest.raises(DataError, match="'c'"):
        ImageFolder(root, split="train")


def test_folders_in_a_class_folder_belong_to_it_and_other_files_are_left(root):
    put(root / "train" / "a" / "images" / "7.png")
    put(root / "train" / "a" / ".cache" / "8.png")
    put(root / "train" / "loose.png")
    (root / "train" / "a" / "boxes.txt").write_text("not an image")
    (root / "train" / "a" / ".hidden.png").write_bytes(b"not read")
    names = ImageFolder(root, split="train").names
    assert [name for name in names if name.startswith("a")] == ["a/2", "a/10", "a/images/7"]


def test_files_of_one_stem_are_told_apart_by_their_suffix(root):
    put(root / "train" / "a" / "2.bmp")
    assert ImageFolder(root, split="train").names[:3] == ("a/2.bmp", "a/2.png", "a/10")


def test_names_that_cannot_be_told_apart_are_refused(root):
    for name in ("2.png.bmp", "2.bmp"):
        put(root / "train" / "a" / name)
    with pytest.raises(DataError, match=r"two images would both be called 'a/2.png'"):
        ImageFolder(root, split="train")


def test_a_divided_folder_wants_a_split_and_names_those_it_has(root):
    with pytest.raises(DataError, match="holds the splits train, val"):
        ImageFolder(root)
    with pytest.raises(UnknownNameError, match="Known: train, val"):
        ImageFolder(root, split="test")


def test_a_folder_without_images_is_refused(tmp_path):
    (tmp_path / "empty" / "cat").mkdir(parents=True)
    with pytest.raises(DataError, match="no image in its folders"):
        ImageFolder(tmp_path / "empty")
    with pytest.raises(DataError, match="No such file or directory"):
        ImageFolder(tmp_path / "missing")


@pytest.mark.real
def test_imagenette(shared):
    for split, per_class in (("train", 75), ("val", 25)):
        images = ImageFolder(shared / "data" / "imagenette", split=split)
        assert len(images) == 10 * per_class
        assert images.label_names[0] == "n01440764"
        assert all(images.labels.count(label) == per_class for label in range(10))
