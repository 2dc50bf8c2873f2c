"""Layouts by name: what each needs to be told, and the contract all keep."""

import json
import pickle

import numpy as np
import pytest
import torch
from PIL import Image

from atrous.data import (
    LAYOUTS,
    open_layout,
)
from atrous.data.catalog import kind_of_layout
from atrous.data.synthetic.shapes import draw_shapes, write_mask_folder
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
        as_ade20k(tmp_path, index)
        as_coco(tmp_path, index)
    write_panoptic_json(tmp_path)
    write_drawn(tmp_path)
    (tmp_path / "val" / "labels.csv").write_text("name,label\n0000,round\n0001,square\n")
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


def as_ade20k(root, index):
    rgb, mask = draw_shapes(index)
    for folder, pixels in (("images/val", rgb), ("annotations/val", mask)):
        (root / folder).mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(root / folder / f"{index}.png")


def as_coco(root, index):
    """Masks of the images that lie in `val`."""
    _, mask = draw_shapes(index)
    shapes = (mask > 0).astype("uint8")
    zero = np.zeros_like(shapes)
    for folder, pixels in (
        ("stuffthingmaps/val", shapes),
        ("stuff_val_pixelmaps", shapes * 92),
        ("panoptic_val", np.stack([zero, shapes, zero], axis=-1)),
    ):
        (root / folder).mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(root / folder / f"{index}.png")


def write_panoptic_json(root):
    files = [{"id": index, "file_name": f"{index}.png"} for index in range(2)]
    annotations = [
        {
            "image_id": index,
            "file_name": f"{index}.png",
            "segments_info": [{"id": 256, "category_id": 18}],
        }
        for index in range(2)
    ]
    categories = [{"id": 18, "name": "dog"}, {"id": 200, "name": "rug-merged"}]
    record = {"images": files, "annotations": annotations, "categories": categories}
    (root / "panoptic_val.json").write_text(json.dumps(record))


def write_drawn(root):
    """A box on each of the images in `val`, `val/images` and `images/val`, as tools write it."""
    height, width = draw_shapes(0)[1].shape
    corners = [[2, 2], [20, 2], [20, 12], [2, 12]]
    flat = [number for corner in corners for number in corner]
    for index in range(2):
        shape = {"label": "box", "points": corners, "shape_type": "polygon"}
        record = {"shapes": [shape], "imageHeight": height, "imageWidth": width}
        (root / f"val/{index}.json").write_text(json.dumps(record))
        (root / "val/labels").mkdir(exist_ok=True)
        shares = " ".join(f"{x / width} {y / height}" for x, y in corners)
        (root / f"val/labels/{index:04d}.txt").write_text(f"0 {shares}\n")
    (root / "data.yaml").write_text("names: [box]\n")
    images = [
        {"id": index, "file_name": f"{index}.png", "height": height, "width": width}
        for index in range(2)
    ]
    annotations = [
        {"image_id": index, "category_id": 5, "segmentation": [flat]} for index in range(2)
    ]
    record = {
        "images": images,
        "annotations": annotations,
        "categories": [{"id": 5, "name": "box"}],
    }
    (root / "instances_val.json").write_text(json.dumps(record))
    entries = "".join(
        f'<image name="{index}.png" width="{width}" height="{height}">'
        '<box label="box" xtl="2" ytl="2" xbr="20" ybr="12"/></image>'
        for index in range(2)
    )
    (root / "annotations.xml").write_text(f"<annotations>{entries}</annotations>")


LABELS_ONLY = ("image_folder",)
VOLUMES = tuple(name for name in LAYOUTS if kind_of_layout(name) == "volumes")
OF_IMAGES = [name for name in LAYOUTS if name not in (*VOLUMES, "slides")]  # tested on their own
MAY_BE_ONE_FOLDER = (
    *("breast_biopsy", "cvat", "labelme", "yolo_seg"),
    *(name for name in OF_IMAGES if name.endswith("_folder")),
)
WITHOUT_OWN_CLASSES = ("joint_folder", "mask_folder")


def opened(name, root, **kwargs):
    return open_layout(
        name, root, split="val", num_classes=2 if name in WITHOUT_OWN_CLASSES else None, **kwargs
    )


@pytest.mark.parametrize("name", [name for name in OF_IMAGES if name not in LABELS_ONLY])
def test_every_layout_of_masks_keeps_the_contract(name, any_root):
    layout = opened(name, any_root).require("masks")
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
        assert len(layout.files(index)) >= 2
        assert all(path.is_file() for path in layout.files(index))
    with pytest.raises(IndexError):
        layout[2]


@pytest.mark.parametrize("name", [*LABELS_ONLY, "joint_folder"])
def test_every_layout_of_labels_keeps_the_contract(name, any_root):
    layout = opened(name, any_root).require("labels")
    assert len(layout) == len(layout.names) == len(set(layout.names)) == len(layout.labels)
    for index, name_ in enumerate(layout.names):
        sample, rgb = layout[index], layout.rgb8(index)
        assert sample.name == name_
        assert sample.image.shape[1:] == rgb.shape[:2]
        assert sample.label == layout.labels[index]
        assert sample.label in range(len(layout.label_names))
        assert all(path.is_file() for path in layout.files(index))
    with pytest.raises(IndexError):
        layout[len(layout)]


@pytest.mark.parametrize("name", OF_IMAGES)
def test_a_subset_of_every_layout_is_such_a_layout_and_travels_to_workers(name, any_root, tmp_path):
    whole = opened(name, any_root)
    listed = tmp_path / "some.txt"
    listed.write_text("\n".join(reversed(whole.names)))
    subset = pickle.loads(pickle.dumps(opened(name, any_root, subset=listed)))  # noqa: S301 - ours
    assert (subset.has_masks, subset.has_labels) == (whole.has_masks, whole.has_labels)
    assert subset.names == whole.names[::-1]
    assert torch.equal(subset[0].image, whole[len(whole) - 1].image)
    assert subset.files(0) == whole.files(len(whole) - 1)


def test_what_a_layout_does_not_have_is_refused_by_name(any_root):
    with pytest.raises(DataError, match=r"ImageFolder data has a label .* but no masks"):
        opened("image_folder", any_root).require("masks")
    with pytest.raises(DataError, match="BinaryFolder data has masks but no label"):
        opened("binary_folder", any_root).require("labels")


def test_an_unknown_layout_is_answered_with_the_nearest(tmp_path):
    with pytest.raises(UnknownNameError, match=r"Did you mean 'camvid'\?"):
        open_layout("camvit", tmp_path)


def test_mask_folder_wants_to_know_its_classes(any_root):
    with pytest.raises(DataError, match="does not know its classes"):
        open_layout("mask_folder", any_root, split="val")


@pytest.mark.parametrize("name", [name for name in OF_IMAGES if name not in MAY_BE_ONE_FOLDER])
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
