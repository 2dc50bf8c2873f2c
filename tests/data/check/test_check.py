"""The check of a data set: what it counts, every fault it names, and that it goes on after one."""

import numpy as np
import pytest
from PIL import Image

from atrous.data import open_layout
from atrous.data.check.check import check_layout
from atrous.data.check.report import (
    ERROR_KINDS,
    WARNING_KINDS,
    from_record,
    raise_on_errors,
    to_record,
)
from atrous.data.synthetic.shapes import SHAPE_CLASSES, draw_shapes, write_mask_folder
from atrous.errors import DataError

SIZE = (20, 30)


@pytest.fixture
def root(tmp_path):
    return write_mask_folder(tmp_path / "shapes", num_images=6, size=SIZE)


def opened(root, **kwargs):
    return open_layout("mask_folder", root, num_classes=len(SHAPE_CLASSES), **kwargs)


def put_mask(root, values, name="0001"):
    Image.fromarray(np.asarray(values, dtype=np.uint8)).save(root / "masks" / f"{name}.png")


def kinds(problems):
    return [problem.kind for problem in problems]


def test_counts_pixels_images_and_sizes(root):
    put_mask(root, np.full(SIZE, 255))
    report = check_layout(opened(root))
    masks = [draw_shapes(index, size=SIZE)[1] for index in (0, 2, 3, 4, 5)]
    for index in range(4):
        assert report.class_pixels[index] == sum(int((mask == index).sum()) for mask in masks)
        assert report.class_images[index] == sum(bool((mask == index).any()) for mask in masks)
    assert report.unlabelled_pixels == 20 * 30
    assert report.unlabelled_share == pytest.approx(1 / 6)
    assert sum(map(report.class_share, range(4))) == pytest.approx(1)
    assert report.sizes == ((SIZE, 6),)
    assert (report.num_images, report.num_read, report.num_grey) == (6, 6, 0)
    assert report.errors == ()
    assert kinds(report.warnings) == ["unlabelled_image"]
    assert report.warnings[0].names == ("0001",)
    raise_on_errors(report, source="shapes")


def test_every_broken_sample_is_named_and_the_rest_is_counted(root):
    (root / "images" / "0000.png").write_bytes(b"\x89PNG\r\n\x1a\nnot")
    put_mask(root, np.zeros((9, 9)), "0001")
    wrong = np.zeros(SIZE)
    wrong[0, :2] = (4, 77)
    put_mask(root, wrong, "0002")
    (root / "masks" / "0003.png").write_bytes(b"")
    report = check_layout(opened(root))
    assert kinds(report.errors) == ["unreadable", "mask_size", "mask_value", "unreadable"]
    assert [problem.names for problem in report.errors] == [
        ("0000",), ("0001",), ("0002",), ("0003",),
    ]  # fmt: skip
    assert "a broken or cut off PNG file" in report.errors[0].text
    assert report.num_read == 2
    assert report.num_pixels == 2 * 20 * 30
    with pytest.raises(DataError, match=r"^shapes: 4 errors in 6 images; .* \(1\) .*0000.png"):
        raise_on_errors(report, source="shapes")


def test_of_many_errors_the_first_are_told_and_the_rest_counted(root):
    for path in (root / "images").iterdir():
        path.write_bytes(b"")
    with pytest.raises(DataError, match=r"6 errors in 6 images; .*\(5\) .* And 1 more\."):
        raise_on_errors(check_layout(opened(root)), source="shapes")


def test_a_class_that_never_occurs_is_named(root):
    (root / "classes.txt").write_text("\n".join([*SHAPE_CLASSES, "hexagon", "star"]))
    report = check_layout(opened(root))
    assert kinds(report.warnings) == ["class_never"]
    assert report.warnings[0].text == "2 of 6 classes never occur: hexagon, star."


def test_data_without_any_label_is_an_error(tmp_path):
    for folder, pixels in (("val", np.zeros((4, 4, 3))), ("valannot", np.full((4, 4), 11))):
        (tmp_path / folder).mkdir()
        for index in range(2):
            Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / folder / f"{index}.png")
    Image.new("RGB", (4, 4), "red").save(tmp_path / "val" / "1.png")
    report = check_layout(open_layout("camvid", tmp_path, split="val"))
    assert kinds(report.errors) == ["nothing_labelled"]
    assert kinds(report.warnings) == ["unlabelled_image", "unlabelled_image"]


def with_labels(root):
    rows = "\n".join(f"{index:04},{'ab'[index % 2]}" for index in range(6))
    (root / "labels.csv").write_text(f"name,label\n{rows}\n")
    return root


def test_labels_are_counted_and_those_that_never_occur_named(root):
    (root / "label_names.txt").write_text("b\nc\na\n")
    report = check_layout(open_layout("joint_folder", with_labels(root), num_classes=4))
    assert report.label_names == ("b", "c", "a")
    assert report.label_images == (3, 0, 3)
    assert report.warnings[-1].text == "1 of 3 labels never occur: c."


def test_an_image_that_is_there_twice_is_a_warning_and_two_masks_for_it_another(root):
    rgb, mask = draw_shapes(0, size=SIZE)
    for name in ("again", "once more"):
        Image.fromarray(rgb).save(root / "images" / f"{name}.png")
        put_mask(root, mask, name)
    report = check_layout(opened(root))
    assert kinds(report.warnings) == ["duplicate_within"]
    assert report.warnings[0].names == ("0000", "again", "once more")
    put_mask(root, 1 - (mask > 0), "again")
    assert kinds(check_layout(opened(root)).warnings) == ["contradiction"]


def test_an_image_under_two_labels_is_a_contradiction(tmp_path):
    for index, path in enumerate(("cat/1", "cat/2", "dog/3", "dog/4")):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        rgb, _ = draw_shapes(index % 3, size=SIZE)
        Image.fromarray(rgb).save(tmp_path / f"{path}.png")
    report = check_layout(open_layout("image_folder", tmp_path))
    assert kinds(report.warnings) == ["contradiction"]
    assert report.warnings[0].names == ("cat/1", "dog/4")
    assert report.class_pixels == ()
    assert report.label_images == (2, 2)


def test_an_image_of_another_split_is_an_error_to_the_pixel_and_a_warning_nearly(tmp_path):
    train = write_mask_folder(tmp_path / "train", num_images=3, size=SIZE)
    val = write_mask_folder(tmp_path / "val", num_images=2, size=SIZE, seed=1)
    copy = Image.open(train / "images" / "0002.png")
    copy.save(val / "images" / "0000.bmp")
    (val / "images" / "0000.png").unlink()
    brighter = Image.fromarray(np.asarray(Image.open(train / "images" / "0001.png")) // 2 + 127)
    brighter.save(train / "images" / "0000.png")
    Image.fromarray(np.asarray(brighter) ^ 1).save(val / "images" / "0001.png")
    report = check_layout(
        opened(tmp_path, split="train"), against={"val": opened(tmp_path, split="val")}
    )
    assert kinds(report.errors) == ["duplicate_across"]
    assert report.errors[0].names == ("0002", "val:0000")
    assert kinds(report.warnings) == ["near_across"]
    assert report.warnings[0].names == ("0000", "val:0001")
    assert check_layout(opened(tmp_path, split="train")).errors == ()


def test_a_broken_image_of_another_split_is_counted(tmp_path):
    write_mask_folder(tmp_path / "train", num_images=2, size=SIZE)
    val = write_mask_folder(tmp_path / "val", num_images=2, size=SIZE, seed=1)
    (val / "images" / "0000.png").write_bytes(b"")
    done = []
    report = check_layout(
        opened(tmp_path, split="train"),
        against={"val": opened(tmp_path, split="val")},
        advance=lambda: done.append(1),
    )
    assert [problem.text for problem in report.warnings] == [
        "1 images of val cannot be read or compared."
    ]
    assert len(done) == 4


def test_grey_images_are_counted(root):
    Image.new("L", SIZE[::-1], 90).save(root / "images" / "0001.png")
    assert check_layout(opened(root)).num_grey == 1


def test_the_content_is_the_same_elsewhere_and_changes_with_a_pixel(root, tmp_path):
    here = check_layout(opened(root)).content
    there = write_mask_folder(tmp_path / "copy", num_images=6, size=SIZE)
    assert check_layout(opened(there), num_workers=1).content == here
    mask = draw_shapes(3, size=SIZE)[1]
    mask[0, 0] ^= 1
    put_mask(there, mask, "0003")
    assert check_layout(opened(there)).content != here


def test_a_report_becomes_plain_and_comes_back(root):
    put_mask(root, np.full(SIZE, 9))
    for layout in (opened(root), open_layout("joint_folder", with_labels(root), num_classes=4)):
        report = check_layout(layout)
        assert from_record(to_record(report)) == report


def test_no_kind_is_both_an_error_and_a_warning():
    assert not set(ERROR_KINDS) & set(WARNING_KINDS)


@pytest.mark.real
def test_camvid_has_the_published_counts(shared):
    """The rows of the published confusion matrix are the pixels of each class in `val`."""
    import json

    layout = open_layout("camvid", shared / "data" / "camvid", split="val")
    train = open_layout("camvid", shared / "data" / "camvid", split="train")
    report = check_layout(layout, against={"train": train})
    text = (shared / "reference" / "camvid_confusion_12x12.json").read_text()
    matrix = json.loads(text)["val"]
    rows = matrix["matrix"] if isinstance(matrix, dict) else matrix
    assert report.class_pixels == tuple(sum(row) for row in rows[:11])
    assert report.errors == ()


def test_masks_without_image_are_named(tmp_path):
    root = write_mask_folder(tmp_path / "x", num_images=3, size=(20, 30))
    (root / "images/0001.png").unlink()
    report = check_layout(open_layout("mask_folder", root, num_classes=4))
    (problem,) = [problem for problem in report.warnings if problem.kind == "left_out"]
    assert problem.names == ("0001.png",)
    assert "masks have no image" in problem.text


def test_channels_that_are_not_read_are_named(tmp_path):
    tifffile = pytest.importorskip("tifffile", reason="needs the extra slides")
    root = write_mask_folder(tmp_path / "x", num_images=3, size=(20, 30))
    for name, extra in (("0001", "unspecified"), ("0002", "unassalpha")):
        (root / f"images/{name}.png").unlink()
        tifffile.imwrite(
            root / f"images/{name}.tif",
            np.full((20, 30, 4), 255, np.uint8),
            photometric="rgb",
            extrasamples=[extra],
        )
    report = check_layout(open_layout("mask_folder", root, num_classes=4))
    (problem,) = [problem for problem in report.warnings if problem.kind == "left_out"]
    assert problem.names == ("0001",)
