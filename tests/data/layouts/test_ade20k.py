"""ADE20K's folders: 0 as unlabelled, 1 to 150 as the classes, names from the data's own table."""

import numpy as np
import pytest
from PIL import Image

from atrous.data.dataset import MaskValueError
from atrous.data.layouts.ade20k import ADE20K
from atrous.errors import DataError, UnknownNameError


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "ADEChallengeData2016"
    for split, prefix in (("training", "ADE_train"), ("validation", "ADE_val")):
        for kind in ("images", "annotations"):
            (folder / kind / split).mkdir(parents=True)
        for number in (1, 2):
            name = f"{prefix}_{number:08}"
            Image.new("RGB", (151, 2)).save(folder / "images" / split / f"{name}.jpg")
            values = np.tile(np.arange(151, dtype=np.uint8), (2, 1))
            Image.fromarray(values).save(folder / "annotations" / split / f"{name}.png")
    return folder


def write_table(folder, *, stuff_column=False):
    """As the archive has it: tabs, synonyms after commas, spaces here and there."""
    stuff = "Stuff\t" if stuff_column else ""
    lines = [f"Idx\tRatio\tTrain\tVal\t{stuff}Name"]
    lines += [
        f"{i} \t0.1\t9\t9\t{'1' + chr(9) if stuff else ''}thing{i}, t \n" for i in range(1, 151)
    ]
    (folder / "objectInfo150.txt").write_text("\n".join(line.rstrip("\n") for line in lines))


def test_zero_is_unlabelled_and_classes_start_at_one(root):
    mask = ADE20K(root, split="validation")[1].mask
    assert mask[0].tolist() == [255, *range(150)]


def test_the_folder_above_will_do_and_names_are_the_stems(root):
    assert ADE20K(root.parent, split="training").names == (
        "ADE_train_00000001",
        "ADE_train_00000002",
    )


@pytest.mark.parametrize("stuff_column", [False, True])
def test_class_names_are_the_first_of_the_table(root, stuff_column):
    assert ADE20K(root, split="training").class_names is None
    write_table(root, stuff_column=stuff_column)
    samples = ADE20K(root, split="training")
    assert samples.num_classes == 150
    assert samples.class_names == tuple(f"thing{i}" for i in range(1, 151))


@pytest.mark.parametrize("text", ["Idx\tRatio\n1\t0.1\n", "Idx\tName\n1\twall\n2\tsky\n"])
def test_a_table_that_is_another_is_refused(root, text):
    (root / "objectInfo150.txt").write_text(text)
    with pytest.raises(DataError, match="remove it to do without names"):
        ADE20K(root, split="training")


def test_a_value_above_150_is_refused(root):
    path = root / "annotations" / "training" / "ADE_train_00000001.png"
    Image.new("L", (151, 2), 151).save(path)
    with pytest.raises(MaskValueError, match="holds 151; expected 0 to 150"):
        ADE20K(root, split="training")[0]


def test_other_splits_and_folders_are_refused(root, tmp_path):
    with pytest.raises(UnknownNameError, match="Known: training, validation"):
        ADE20K(root, split="val")
    with pytest.raises(DataError, match="name the folder ADEChallengeData2016"):
        ADE20K(tmp_path / "nothing", split="training")
