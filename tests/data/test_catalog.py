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
    return tmp_path


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


def test_camvid_wants_a_split(any_root):
    with pytest.raises(DataError, match="none was named"):
        open_layout("camvid", any_root)


@pytest.mark.parametrize(("name", "num_classes"), [("camvid", 11), ("binary_folder", 2)])
def test_a_layout_that_knows_its_classes_leaves_another_number_aside(any_root, name, num_classes):
    layout = open_layout(name, any_root, split="val", num_classes=12)  # the network's, with void
    assert layout.num_classes == num_classes
