"""COCO-Stuff's masks: 171 classes from 0 to 181, or 92 from 92 to 183."""

import numpy as np
import pytest
from PIL import Image

from atrous.data.dataset import MaskValueError
from atrous.data.layouts.coco_labels import STUFF_NAMES, THING_NAMES
from atrous.data.layouts.coco_stuff import COCOStuff, COCOStuffOnly
from atrous.errors import DataError

# By the README of COCO-Stuff: "blender, desk, door, eye glasses, hair brush, hat, mirror, plate,
# shoe, street sign, window" have no annotations. Their ids, from its labels.txt:
UNUSED = (12, 26, 29, 30, 45, 66, 68, 69, 71, 83, 91)


def write(root, images, masks, values, name="000000000139"):
    values = np.asarray([values], dtype=np.uint8)
    for folder, suffix, picture in (
        (images, ".jpg", Image.new("RGB", values.shape[::-1])),
        (masks, ".png", Image.fromarray(values)),
    ):
        (root / folder).mkdir(parents=True, exist_ok=True)
        picture.save(root / folder / f"{name}{suffix}")


def test_the_label_set_has_the_published_counts_and_places():
    assert len(THING_NAMES) == len(STUFF_NAMES) == 91
    names = ("unlabeled", *THING_NAMES, *STUFF_NAMES)  # index = id in labels.txt
    assert [names[i] for i in (1, 44, 90, 92, 124, 149, 182)] == [
        "person", "bottle", "toothbrush", "banner", "grass", "road", "wood",
    ]  # fmt: skip
    assert {names[i] for i in UNUSED} == {
        "blender", "desk", "door", "eye glasses", "hair brush", "hat", "mirror", "plate", "shoe",
        "street sign", "window",
    }  # fmt: skip


@pytest.mark.parametrize("masks", ["stuffthingmaps", "stuffthingmaps_trainval2017", "annotations"])
@pytest.mark.parametrize("images", ["", "images/"])
def test_stuff_and_things_are_171_classes_in_the_order_of_ids(tmp_path, images, masks):
    used = [i for i in range(1, 183) if i not in UNUSED]
    write(tmp_path, f"{images}val2017", f"{masks}/val2017", [*(i - 1 for i in used), 255])
    samples = COCOStuff(tmp_path, split="val2017")
    assert samples.num_classes == len(samples.class_names) == len(used) == 171
    assert samples.class_names[:2] == ("person", "bicycle")
    assert samples.class_names[80] == "banner"
    assert samples[0].mask[0].tolist() == [*range(171), 255]
    assert samples.names == ("000000000139",)


@pytest.mark.parametrize("value", [11, 90, 182, 254])
def test_a_value_without_class_is_refused(tmp_path, value):
    write(tmp_path, "val2017", "annotations/val2017", [0, value])
    with pytest.raises(MaskValueError, match=f"holds {value}; expected 0 to 181"):
        COCOStuff(tmp_path, split="val2017")[0]


def test_stuff_alone_is_92_classes_with_other_as_the_last(tmp_path):
    masks = "annotations/stuff_train2017_pixelmaps"
    write(tmp_path, "train2017", masks, [*range(92, 184), 0])
    samples = COCOStuffOnly(tmp_path, split="train2017")
    assert samples.num_classes == 92
    assert samples.class_names == (*STUFF_NAMES, "other")
    assert samples[0].mask[0].tolist() == [*range(92), 255]
    write(tmp_path, "train2017", masks, [91])
    with pytest.raises(MaskValueError, match="holds 91; expected 92 to 183"):
        COCOStuffOnly(tmp_path, split="train2017")[0]


def test_missing_folders_are_named(tmp_path):
    with pytest.raises(DataError, match="none of the folders val2017, images/val2017 is here"):
        COCOStuff(tmp_path, split="val2017")
    (tmp_path / "val2017").mkdir()
    with pytest.raises(DataError, match="stuffthingmaps/val2017"):
        COCOStuff(tmp_path, split="val2017")
    with pytest.raises(DataError, match="annotations/stuff_val2017_pixelmaps is here"):
        COCOStuffOnly(tmp_path, split="val2017")
