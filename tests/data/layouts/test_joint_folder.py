"""Masks and labels of one image: the table of labels, and every way it can be wrong."""

import pytest

from atrous.data import JointFolder
from atrous.data.synthetic.shapes import SHAPE_CLASSES, write_mask_folder
from atrous.errors import DataError


@pytest.fixture
def root(tmp_path):
    for split in ("train", "val"):
        write_mask_folder(tmp_path / split, num_images=3, size=(12, 16))
    (tmp_path / "classes.txt").write_text("\n".join(SHAPE_CLASSES))
    table(tmp_path, "train", "0000,ill\n0001,well\n0002,unsure\n")
    table(tmp_path, "val", "0002,well\n0001,well\n0000,unsure\n")
    return tmp_path


def table(root, split, rows, header="name,label\n"):
    (root / split / "labels.csv").write_text(header + rows)


def test_gives_masks_and_labels_that_mean_the_same_in_every_split(root):
    train, val = (JointFolder(root, split=split) for split in ("train", "val"))
    assert train.label_names == val.label_names == ("ill", "unsure", "well")
    assert train.class_names == SHAPE_CLASSES
    assert val.labels == (1, 2, 2)
    sample = val[0]
    assert (sample.name, sample.label) == ("0000", 1)
    assert sample.mask.shape == (12, 16)
    assert val.files(0)[-1] == root / "val" / "labels.csv"


def test_a_list_of_labels_sets_their_order(root):
    (root / "label_names.txt").write_text("well\nunsure\nill\nnever seen\n")
    assert JointFolder(root, split="val").label_names == ("well", "unsure", "ill", "never seen")
    assert JointFolder(root, split="val").labels == (1, 0, 0)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("0000,ill\n", "2 of 3 images have no label here, the first being '0001'"),
        ("0000,ill\n0001,ill\n0002,sick\n", "holds the label 'sick'; expected one of ill, unsure"),
        ("0000,ill\n0000,well\n", "lists '0000' twice, again in row 3"),
        ("0000,ill\n0001\n", "row 3 is '0001'; expected a name and a label"),
        ("0000,ill\n0001,\n", "row 3 is '0001,'; expected a name and a label"),
    ],
)
def test_a_table_that_does_not_fit_is_refused(root, rows, message):
    table(root, "val", rows)
    with pytest.raises(DataError, match=message):
        JointFolder(root, split="val")


def test_a_table_without_header_is_refused(root):
    table(root, "val", "0000,ill\n", header="")
    with pytest.raises(
        DataError, match=r"begins with '0000,ill'; expected the header 'name,label'"
    ):
        JointFolder(root, split="val")


def test_a_missing_table_is_refused(root):
    (root / "val" / "labels.csv").unlink()
    with pytest.raises(DataError, match=r"labels.csv: .*No such file"):
        JointFolder(root, split="val")


def test_spaces_blank_rows_and_further_names_are_let_pass(root):
    table(root, "val", "0000 , ill\n\n0001,well\n0002,well\nelsewhere,ill\n")
    assert JointFolder(root, split="val").labels == (0, 2, 2)
