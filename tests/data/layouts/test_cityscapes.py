"""Cityscapes' folders: cities, label ids turned into the 19 classes, everything else 255."""

import numpy as np
import pytest
import torch
from PIL import Image

from atrous.data import Cityscapes, open_layout
from atrous.data.layouts.cityscapes import CITYSCAPES_CLASSES
from atrous.errors import DataError, UnknownNameError
from atrous.networks.label_sets import LABEL_SETS

# Label id and train id of the scored labels, from the official table.
TRAIN_IDS = {
    7: 0, 8: 1, 11: 2, 12: 3, 13: 4, 17: 5, 19: 6, 20: 7, 21: 8, 22: 9, 23: 10, 24: 11, 25: 12,
    26: 13, 27: 14, 28: 15, 31: 16, 32: 17, 33: 18,
}  # fmt: skip


def write_frame(root, split, name, *, kind="labelIds", values=None, image_suffix="png"):
    """An image, and its mask unless `kind` is None, in the folder of the city in its name."""
    city = name.split("_")[0]
    images, masks = (root / kind_ / split / city for kind_ in ("leftImg8bit", "gtFine"))
    for folder in (images, masks):
        folder.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(len(name)).integers(0, 256, (5, 7, 3), np.uint8)
    Image.fromarray(pixels).save(images / f"{name}_leftImg8bit.{image_suffix}")
    if kind is not None:
        values = np.arange(35, dtype=np.uint8).reshape(5, 7) if values is None else values
        Image.fromarray(values).save(masks / f"{name}_gtFine_{kind}.png")


def every_label_id():
    """Ids 0 to 33, and the licence plate's -1, which is 255 in 8 bits."""
    values = np.arange(35, dtype=np.uint8).reshape(5, 7)
    values[-1, -1] = 255
    return values


@pytest.fixture
def root(tmp_path):
    write_frame(tmp_path, "val", "munster_000010_000019", values=every_label_id())
    write_frame(tmp_path, "val", "munster_000009_000019", values=every_label_id())
    write_frame(tmp_path, "val", "lindau_000000_000019", values=every_label_id())
    write_frame(tmp_path, "train", "aachen_000000_000019", values=every_label_id())
    return tmp_path


def test_label_ids_become_train_ids_and_255(root):
    mask = Cityscapes(root, split="val")[0].mask.flatten()
    assert mask.tolist() == [TRAIN_IDS.get(label, 255) for label in [*range(34), 255]]


def test_train_ids_are_taken_as_they_are(root):
    values = np.array([[*range(7)], [*range(7, 14)], [*range(14, 19), 255, 255]] + [[255] * 7] * 2)
    name = "ulm_000001_000019"
    write_frame(root, "train", name, kind="labelTrainIds", values=values.astype(np.uint8))
    samples = Cityscapes(root, split="train")
    assert torch.equal(samples[1].mask, torch.from_numpy(values))


def test_where_both_kinds_of_mask_lie_they_give_the_same_and_label_ids_are_read(root):
    name = "ulm_000001_000019"
    write_frame(root, "train", name, values=every_label_id())
    wrong = np.zeros((5, 7), np.uint8)
    write_frame(root, "train", name, kind="labelTrainIds", values=wrong)
    samples = Cityscapes(root, split="train")
    assert torch.equal(samples[0].mask, samples[1].mask)


def test_other_files_beside_the_masks_and_images_are_left_aside(root):
    city = root / "gtFine" / "val" / "lindau"
    for end in ("_gtFine_color.png", "_gtFine_instanceIds.png", "_gtFine_polygons.json"):
        (city / f"lindau_000000_000019{end}").write_bytes(b"not read")
    (root / "leftImg8bit" / "val" / "lindau" / "overview.png").write_bytes(b"not read")
    assert len(Cityscapes(root, split="val")) == 3


def test_names_are_those_of_the_frames_by_city_and_number(root):
    assert Cityscapes(root, split="val").names == (
        "lindau_000000_000019",
        "munster_000009_000019",
        "munster_000010_000019",
    )


def test_it_has_the_19_classes_of_the_published_networks(root):
    samples = open_layout("cityscapes", root, split="val")
    assert samples.num_classes == 19
    assert samples.class_names == CITYSCAPES_CLASSES == LABEL_SETS["cityscapes"].names[:19]


def test_an_unknown_split_is_answered_with_those_there_are(root):
    with pytest.raises(UnknownNameError, match="Known: train, val"):
        Cityscapes(root, split="test")


def test_an_image_without_mask_is_named(root):
    write_frame(root, "val", "munster_000011_000019", kind=None)
    message = "1 of 4 images have no mask here, the first being 'munster_000011_000019'"
    with pytest.raises(DataError, match=message):
        Cityscapes(root, split="val")


def test_a_city_without_masks_is_named(root):
    write_frame(root, "val", "ulm_000000_000019", kind=None)
    (root / "gtFine" / "val" / "ulm").rmdir()
    with pytest.raises(DataError, match="'ulm_000000_000019'"):
        Cityscapes(root, split="val")


def test_a_folder_that_is_no_cityscapes_says_what_was_expected(root, tmp_path):
    with pytest.raises(DataError, match="unpack both archives into one folder"):
        Cityscapes(tmp_path / "nothing", split="val")
    with pytest.raises(DataError, match="expected folders such as leftImg8bit/val/CITY"):
        Cityscapes(root / "leftImg8bit", split="val")


def test_a_split_without_images_is_refused(root):
    for folder in ("leftImg8bit", "gtFine"):
        (root / folder / "test" / "berlin").mkdir(parents=True)
    with pytest.raises(DataError, match="no image here"):
        Cityscapes(root, split="test")


def test_two_images_of_one_frame_are_refused(root):
    write_frame(root, "val", "lindau_000000_000019", image_suffix="bmp")
    with pytest.raises(DataError, match="images of one frame"):
        Cityscapes(root, split="val")


@pytest.mark.parametrize(
    ("kind", "value", "message"),
    [("labelIds", 34, "label id 34; expected 0 to 33"), ("labelTrainIds", 19, "holds class 19")],
)
def test_a_value_that_is_no_label_is_refused(root, kind, value, message):
    name = "ulm_000000_000019"
    write_frame(root, "train", name, kind=kind, values=np.full((5, 7), value, np.uint8))
    with pytest.raises(DataError, match=message):
        Cityscapes(root, split="train")[1]
