"""Remapped layouts: every class where the map says, everything else as it was."""

import csv

import numpy as np
import pytest
import torch
from PIL import Image

from atrous.data import open_layout
from atrous.data.synthetic.shapes import write_mask_folder
from atrous.errors import DataError, UnknownNameError

MAP = """
classes = ["square", "round"]
[data]
1 = "round"
2 = "square"
3 = "square"
"""
TABLE = np.full(256, 255, np.uint8)
TABLE[1], TABLE[2], TABLE[3] = 1, 0, 0


@pytest.fixture
def folder(tmp_path):
    write_mask_folder(tmp_path / "data", num_images=4, size=(20, 30))
    path = sorted((tmp_path / "data/masks").iterdir())[0]
    mask = np.array(Image.open(path))
    mask[:4] = 255
    mask[4, 0] = 200  # a class that nobody counted
    Image.fromarray(mask).save(path)
    (tmp_path / "map.toml").write_text(MAP)
    return tmp_path


def test_masks_hold_the_shared_classes_and_nothing_else(folder):
    layout = open_layout("mask_folder", folder / "data", remap=folder / "map.toml")
    assert layout.has_masks
    assert not layout.has_labels
    assert (layout.num_classes, layout.class_names) == (2, ("square", "round"))
    assert len(layout) == len(layout.names) == 4
    for index, path in enumerate(sorted((folder / "data/masks").iterdir())):
        rgb, mask = layout.rgb8_and_mask(index)
        assert np.array_equal(mask.numpy(), TABLE[np.array(Image.open(path))])
        sample = layout[index]
        assert torch.equal(sample.mask, mask)
        assert mask.dtype == torch.int64
        assert sample.name == layout.names[index] == path.stem
        assert sample.image.shape[1:] == rgb.shape[:2]
        assert layout.files(index)[1] == path
    with pytest.raises(IndexError):
        layout[4]


def test_without_the_map_the_same_masks_are_refused(folder):
    layout = open_layout("mask_folder", folder / "data", num_classes=4)
    with pytest.raises(DataError, match="holds class 200"):
        layout[0]


def test_a_subset_is_taken_before_the_map(folder):
    (folder / "names.txt").write_text("2\n")
    whole = open_layout("mask_folder", folder / "data", remap=folder / "map.toml")
    (folder / "names.txt").write_text(f"{whole.names[2]}\n")
    part = open_layout(
        "mask_folder", folder / "data", remap=folder / "map.toml", subset=folder / "names.txt"
    )
    assert part.names == (whole.names[2],)
    assert torch.equal(part[0].mask, whole[2].mask)


def test_masks_and_labels_together_keep_their_labels(folder):
    names = sorted(path.stem for path in (folder / "data/images").iterdir())
    with (folder / "data/labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("name", "label"), *zip(names, "abab", strict=True)])
    layout = open_layout("joint_folder", folder / "data", remap=folder / "map.toml")
    assert layout.has_masks
    assert layout.has_labels
    assert layout.label_names == ("a", "b")
    assert layout.labels == (0, 1, 0, 1)
    assert layout[1].label == 1
    assert layout.rgb8(1).shape == (20, 30, 3)
    assert layout.class_names == ("square", "round")


@pytest.fixture
def classes(tmp_path):
    for name, count in (("cat", 2), ("dog", 1), ("car", 3)):
        (tmp_path / "data" / name).mkdir(parents=True)
        for index in range(count):
            Image.new("RGB", (6, 5)).save(tmp_path / "data" / name / f"{index}.png")
    return tmp_path


def test_labels_are_merged_and_images_of_others_left_out(classes):
    (classes / "m.toml").write_text('classes = ["pet"]\n[data]\ncat = "pet"\ndog = "pet"\n')
    layout = open_layout("image_folder", classes / "data", remap=classes / "m.toml")
    assert layout.has_labels
    assert not layout.has_masks
    assert layout.label_names == ("pet",)
    assert layout.names == ("cat/0", "cat/1", "dog/0")
    assert layout.labels == (0, 0, 0)
    assert layout[2].name == "dog/0"
    assert layout[2].label == 0
    assert layout.rgb8(2).shape == (5, 6, 3)
    assert layout.files(2)[0].parent.name == "dog"


def test_a_label_that_is_not_there_is_answered_with_the_nearest(classes):
    (classes / "m.toml").write_text('classes = ["pet"]\n[data]\ncats = "pet"\n')
    with pytest.raises(UnknownNameError, match="Did you mean 'cat'"):
        open_layout("image_folder", classes / "data", remap=classes / "m.toml")


def test_a_map_that_leaves_out_every_image_is_refused(classes):
    (classes / "data" / "bird").mkdir()
    (classes / "m.toml").write_text('classes = ["pet"]\n[data]\nbird = "pet"\n')
    with pytest.raises(DataError, match="leaves out the labels of all 6 images"):
        open_layout("image_folder", classes / "data", remap=classes / "m.toml")
