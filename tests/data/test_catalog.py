"""Layouts by name: what each needs to be told, and the contract all keep."""

import pytest
import torch
from PIL import Image

from atrous.data import LAYOUTS, open_layout
from atrous.data.synthetic import draw_shapes, write_mask_folder
from atrous.errors import DataError, UnknownNameError


@pytest.fixture
def any_root(tmp_path):
    """A folder that every layout of the catalog can open as split `val`."""
    write_mask_folder(tmp_path / "val", num_images=2)
    (tmp_path / "valannot").mkdir()
    for index in range(2):
        rgb, mask = draw_shapes(index)
        Image.fromarray(rgb).save(tmp_path / "val" / f"{index}.png")
        for folder in ("valannot", "val/masks"):
            path = next(
                (tmp_path / folder).glob(f"*{index}.png"), tmp_path / folder / f"{index}.png"
            )
            Image.fromarray((mask > 0).astype("uint8")).save(path)
        as_voc(tmp_path, index)
        as_cityscapes(tmp_path, index)
    return tmp_path


def as_voc(root, index):
    for folder in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    rgb, mask = draw_shapes(index)
    Image.fromarray(rgb).save(root / "JPEGImages" / f"{index}.jpg")
    Image.fromarray(mask.astype("uint8")).save(root / "SegmentationClass" / f"{index}.png")
    (root / "ImageSets" / "Segmentation" / "val.txt").write_text("0\n1\n")


def as_cityscapes(root, index):
    rgb, mask = draw_shapes(index)
    for pixels, folder, end in (
        (rgb, "leftImg8bit", "leftImg8bit"),
        (mask.astype("uint8"), "gtFine", "gtFine_labelIds"),
    ):
        (root / folder / "val" / "ulm").mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(root / folder / "val" / "ulm" / f"ulm_{index}_{end}.png")


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_layout_keeps_the_contract(name, any_root):
    layout = open_layout(
        name, any_root, split="val", num_classes=2 if name == "mask_folder" else None
    )
    assert len(layout) == len(layout.names) == len(set(layout.names)) == 2
    assert layout.class_names is None or len(layout.class_names) == layout.num_classes
    for index, name_ in enumerate(layout.names):
        sample = layout[index]
        rgb, mask = layout.rgb8_and_mask(index)
        assert sample.name == name_
        assert sample.image.dtype == torch.float32
        assert sample.mask.dtype == torch.int64
        assert sample.image.shape[1:] == sample.mask.shape == rgb.shape[:2]
        assert torch.equal(sample.mask, mask)
        assert set(mask.unique().tolist()) <= {*range(layout.num_classes), 255}
    with pytest.raises(IndexError):
        layout[2]


def test_an_unknown_layout_is_answered_with_the_nearest(tmp_path):
    with pytest.raises(UnknownNameError, match=r"Did you mean 'camvid'\?"):
        open_layout("camvit", tmp_path)


def test_mask_folder_wants_to_know_its_classes(any_root):
    with pytest.raises(DataError, match="does not know its classes"):
        open_layout("mask_folder", any_root, split="val")


@pytest.mark.parametrize("name", ["camvid", "cityscapes", "voc"])
def test_a_layout_of_splits_wants_one(any_root, name):
    with pytest.raises(DataError, match=f"{name!r} is kept in splits, but none was named"):
        open_layout(name, any_root)


@pytest.mark.parametrize(
    ("name", "num_classes"),
    [("camvid", 11), ("binary_folder", 2), ("cityscapes", 19), ("voc", 21)],
)
def test_a_layout_that_knows_its_classes_leaves_another_number_aside(any_root, name, num_classes):
    layout = open_layout(name, any_root, split="val", num_classes=12)  # the network's, with void
    assert layout.num_classes == num_classes
