"""Polygons of annotation tools: areas that can be counted, order, names, and every bad file."""

import base64
import io
import json

import numpy as np
import pytest
from PIL import Image, ImageDraw

from atrous.data.catalog import open_layout
from atrous.data.check.check import check_layout
from atrous.data.photos.rasterise import fill_coco, fill_opencv
from atrous.errors import AtrousError, DataError

SIZE = (24, 32)
BOX, INNER = [[2, 3], [20, 3], [20, 15], [2, 15]], [[5, 5], [9, 5], [9, 9], [5, 9]]
TRIANGLE = [[10.4, 1.2], [28.7, 20.9], [3.3, 17.1]]


def picture(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", SIZE[::-1], (9, 99, 199)).save(path)


def mask_of(name, root, **options):
    data = open_layout(name, root, **options)
    rgb, mask = data.rgb8_and_mask(0)
    assert rgb.shape[:2] == SIZE == mask.shape
    return data, mask.numpy()


def put_labelme(root, shapes, **facts):
    picture(root / "a.jpg")
    record = {"shapes": shapes, "imagePath": "a.jpg", "imageHeight": 24, "imageWidth": 32, **facts}
    (root / "a.json").write_text(json.dumps(record))


def shape(label, points, kind="polygon", **more):
    return {"label": label, "points": points, "shape_type": kind, **more}


def put_coco(root, objects, **image):
    picture(root / "val/a.jpg")
    (root / "annotations").mkdir(exist_ok=True)
    record = {
        "images": [{"id": 7, "file_name": "a.jpg", "height": 24, "width": 32, **image}],
        "categories": [{"id": 9, "name": "dog"}, {"id": 3, "name": "cat"}],
        "annotations": [
            {"image_id": 7, "category_id": c, "segmentation": s, "iscrowd": 0} for c, s in objects
        ],
    }
    (root / "annotations/instances_val.json").write_text(json.dumps(record))


def put_yolo(root, text, names='names: ["cat", "dog"]\n'):
    picture(root / "images/a.jpg")
    (root / "labels").mkdir(exist_ok=True)
    (root / "labels/a.txt").write_text(text)
    (root / "data.yaml").write_text(names)


def line(index, points):
    # To the middle of the pixel, since shares are cut to whole pixels.
    shares = [f"{(x + 0.5) / SIZE[1]:.9f} {(y + 0.5) / SIZE[0]:.9f}" for x, y in points]
    return f"{index} {' '.join(shares)}\n"


def put_cvat(root, shapes, *, image='width="32" height="24"'):
    picture(root / "images/a.jpg")
    (root / "annotations.xml").write_text(
        f'<annotations><image id="0" name="sub/a.jpg" {image}>{shapes}</image></annotations>'
    )


def points_of(corners):
    return ";".join(f"{x},{y}" for x, y in corners)


def test_labelme_fills_as_pillow_does_and_in_order(tmp_path):
    put_labelme(tmp_path, [shape("dog", TRIANGLE), shape("cat", INNER), shape("__ignore__", BOX)])
    data, mask = mask_of("labelme", tmp_path)
    assert data.class_names == ("background", "cat", "dog")
    expected = Image.new("L", SIZE[::-1])
    for index, corners in ((2, TRIANGLE), (1, INNER), (255, BOX)):
        points = [tuple(corner) for corner in corners]
        ImageDraw.Draw(expected).polygon(points, fill=index, outline=index)
    assert np.array_equal(mask, np.asarray(expected))


def test_labelme_has_other_shapes_and_masks(tmp_path):
    stored = io.BytesIO()
    Image.new("L", (4, 3), 1).save(stored, "PNG")
    text = base64.b64encode(stored.getvalue()).decode()
    put_labelme(
        tmp_path,
        [
            shape("a", [[20, 15], [2, 3]], "rectangle"),
            shape("b", [[10, 10], [10, 13]], "circle"),
            shape("c", [[28, 1], [31, 3]], "mask", mask=text),
            shape("d", [[3, 22]], "point"),
            shape("_background_", [[2, 3], [4, 5]], "rectangle"),
        ],
    )
    _, mask = mask_of("labelme", tmp_path)
    assert (mask[1:4, 28:32] == 3).all()
    assert (mask == 3).sum() == 12
    assert (mask[3:6, 2:5] == 0).all()
    assert abs((mask == 2).sum() - np.pi * 9) < 10
    assert (mask == 1).sum() + (mask == 2).sum() == 19 * 13 - 9
    assert mask[22, 3] == 4


def test_labelme_takes_names_from_a_list_and_refuses_others(tmp_path):
    put_labelme(tmp_path, [shape("cat", INNER)])
    (tmp_path / "classes.txt").write_text("dog\ncat\n")
    data, mask = mask_of("labelme", tmp_path)
    assert data.class_names == ("background", "dog", "cat")
    assert set(np.unique(mask)) == {0, 2}
    (tmp_path / "classes.txt").write_text("dog\n")
    with pytest.raises(DataError, match="hold cat"):
        open_layout("labelme", tmp_path)


def test_coco_fills_as_its_tools_do_and_later_lies_over_earlier(tmp_path):
    runs = {"counts": [24 * 30, 48], "size": [24, 32]}
    flat = [float(value) for corner in TRIANGLE for value in corner]
    inner = [float(value) for corner in INNER for value in corner]
    put_coco(tmp_path, [(9, [flat]), (3, [inner]), (3, runs)])
    data, mask = mask_of("coco_instances", tmp_path, split="val")
    assert data.class_names == ("background", "cat", "dog")
    expected = np.where(fill_coco(np.array(TRIANGLE), SIZE), 2, 0)
    expected[5:9, 5:9] = 1
    expected[:, 30:] = 1
    assert np.array_equal(mask, expected)


def test_yolo_fills_as_opencv_does_and_small_lies_over_large(tmp_path):
    put_yolo(tmp_path, line(0, INNER) + "\n" + line(1, TRIANGLE))
    data, mask = mask_of("yolo_seg", tmp_path)
    assert data.class_names == ("background", "cat", "dog")
    expected = np.where(fill_opencv((np.array(TRIANGLE) + 0.5).astype(np.int64), SIZE), 2, 0)
    expected[fill_opencv(np.array(INNER), SIZE)] = 1
    assert np.array_equal(mask, expected)


@pytest.mark.parametrize("names", ["names:\n  0: cat\n  1: dog\n", 'names: {1: dog, 0: "cat"}'])
def test_yolo_names_may_be_numbered(tmp_path, names):
    put_yolo(tmp_path, line(1, BOX), names)
    assert mask_of("yolo_seg", tmp_path)[0].class_names == ("background", "cat", "dog")


def test_yolo_image_without_a_file_holds_nothing(tmp_path):
    put_yolo(tmp_path, line(1, BOX))
    picture(tmp_path / "images/b.jpg")
    data = open_layout("yolo_seg", tmp_path)
    assert not data.rgb8_and_mask(1)[1].any()
    assert len(data.files(1)) == 1
    assert not check_layout(data).errors


def test_cvat_draws_by_z_order_and_reads_its_masks(tmp_path):
    put_cvat(
        tmp_path,
        f'<polygon label="cat" points="{points_of(INNER)}" z_order="1"/>'
        f'<polygon label="dog" points="{points_of(TRIANGLE)}" z_order="0"/>'
        '<box label="cat" xtl="24" ytl="0" xbr="28" ybr="2" z_order="0"/>'
        '<mask label="dog" rle="1, 2, 3" left="0" top="20" width="3" height="2" z_order="2"/>'
        '<polyline label="road" points="1,1;5,5"/><points label="road" points="1,1"/>',
    )
    data, mask = mask_of("cvat", tmp_path)
    assert data.class_names == ("background", "cat", "dog")
    expected = np.where(fill_coco(np.array(TRIANGLE), SIZE), 2, 0)
    expected[0:2, 24:28] = 1
    expected[5:9, 5:9] = 1
    expected[20, 1:3] = 2
    assert np.array_equal(mask, expected)


@pytest.mark.parametrize(
    "put",
    [
        lambda root: put_labelme(root, [shape("a", BOX)], imageHeight=48, imageWidth=64),
        lambda root: put_coco(root, [(3, [[1, 1, 5, 1, 5, 5]])], height=48, width=64),
        lambda root: put_cvat(
            root, '<box label="a" xtl="1" ytl="1" xbr="9" ybr="9"/>', image='width="64" height="48"'
        ),
    ],
)
def test_an_annotation_of_another_size_is_refused(tmp_path, put):
    put(tmp_path)
    name = next(
        name
        for name, file in (
            ("labelme", "a.json"),
            ("coco_instances", "annotations/instances_val.json"),
            ("cvat", "annotations.xml"),
        )
        if (tmp_path / file).exists()
    )
    data = open_layout(name, tmp_path, split="val" if name == "coco_instances" else None)
    with pytest.raises(DataError, match="48 x 64"):
        data.rgb8_and_mask(0)


@pytest.mark.parametrize(
    ("name", "put"),
    [
        ("labelme", lambda root: put_labelme(root, [shape("a", [[1, 1], [2, 2]])])),
        ("labelme", lambda root: put_labelme(root, [shape("a", [[1, 1e99], [2, 2], [3, 1]])])),
        ("labelme", lambda root: put_labelme(root, [shape("a", BOX, "blob")])),
        ("labelme", lambda root: put_labelme(root, [shape("a", BOX, "circle")])),
        ("labelme", lambda root: put_labelme(root, [shape(5, BOX)])),
        ("labelme", lambda root: put_labelme(root, "x")),
        ("labelme", lambda root: put_labelme(root, [shape("a", [[0, 0]], "mask", mask="!!")])),
        ("labelme", lambda root: picture(root / "a.jpg")),
        ("coco_instances", lambda root: put_coco(root, [(5, [[1, 1, 5, 1, 5, 5]])])),
        ("coco_instances", lambda root: put_coco(root, [(3, [[1, 1, 5]])])),
        ("coco_instances", lambda root: put_coco(root, [(3, {"counts": [5]})])),
        ("coco_instances", lambda root: put_coco(root, [(3, {"counts": "abc"})])),
        ("coco_instances", lambda root: put_coco(root, [(3, 5)])),
        ("yolo_seg", lambda root: put_yolo(root, "0 0.5 0.5 0.2 0.2\n")),
        ("yolo_seg", lambda root: put_yolo(root, "2 0.1 0.1 0.2 0.2 0.3 0.1\n")),
        ("yolo_seg", lambda root: put_yolo(root, "0 0.1 0.1 0.2 0.2 1.3 0.1\n")),
        ("yolo_seg", lambda root: put_yolo(root, "0 0.1 0.1 0.2 0.2 nan 0.1\n")),
        ("yolo_seg", lambda root: put_yolo(root, "cat 0.1 0.1 0.2 0.2 0.3 0.1\n")),
        ("yolo_seg", lambda root: put_yolo(root, "0 0.1 0.1 0.2 0.2 0.3\n")),
        ("yolo_seg", lambda root: put_yolo(root, line(0, BOX), "names: [[[")),
        ("yolo_seg", lambda root: put_yolo(root, line(0, BOX), "nc: 2")),
        ("cvat", lambda root: put_cvat(root, '<polygon label="a" points="1,2;3"/>')),
        ("cvat", lambda root: put_cvat(root, '<box label="a" xtl="x" ytl="1" xbr="9" ybr="9"/>')),
        ("cvat", lambda root: put_cvat(root, '<mask label="a" rle="1,2" left="0" top="0"/>')),
        ("cvat", lambda root: put_cvat(root, "<polygon")),
        ("cvat", lambda root: put_cvat(root, "", image='width="x" height="24"')),
    ],
)
def test_bad_annotations_are_one_line(tmp_path, name, put):
    put(tmp_path)
    split = "val" if name == "coco_instances" else None
    with pytest.raises(AtrousError) as caught:
        open_layout(name, tmp_path, split=split).rgb8_and_mask(0)
    assert str(tmp_path) in str(caught.value)


def coloured(root, colours, table, *, name="class_dict.csv", file="a.png", mode="RGB"):
    picture(root / "images/a.jpg")
    (root / "masks").mkdir(exist_ok=True)
    (root / name).write_text(table)
    pixels = np.zeros((*SIZE, 3), np.uint8)
    pixels[:] = colours[0]
    for index, colour in enumerate(colours):
        pixels[index] = colour
    image = Image.fromarray(pixels)
    image = image.quantize(8) if mode == "P" else image.convert(mode)
    image.save(root / "masks" / file)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P"])
@pytest.mark.parametrize(
    ("name", "table"),
    [
        ("class_dict.csv", "name,r,g,b\nroad,128,64,128\ncar,64,0,128\nVoid,0,0,0\n"),
        ("labelmap.txt", "# label:color\nroad:128,64,128::\ncar:64,0,128::\nignore:0,0,0::\n"),
    ],
)
def test_colours_are_classes_by_a_table(tmp_path, name, table, mode):
    colours = [(128, 64, 128), (64, 0, 128), (0, 0, 0)]
    coloured(tmp_path, colours, table, name=name, mode=mode)
    data, mask = mask_of("mask_folder", tmp_path)
    assert data.class_names == ("road", "car")
    assert mask[:3, 0].tolist() == [0, 1, 255]
    assert (mask[3:] == 0).all()


@pytest.mark.parametrize(
    ("colours", "table", "words"),
    [
        ([(1, 2, 3)], "name,r,g,b\na,0,0,0\n", "colours of class_dict"),
        ([(0, 0, 0)], "name,r,g,b\na,0,0,0\nb,0,0,0\n", "each colour once"),
        ([(0, 0, 0)], "name,r,g,b\na,0,0\n", "expected a table"),
        ([(0, 0, 0)], "name,r,g,b\na,0,0,300\n", "levels from 0 to 255"),
        ([(0, 0, 0)], "name,r,g,b\nvoid,0,0,0\n", "names 0 classes"),
    ],
)
def test_colours_that_are_no_class_are_refused(tmp_path, colours, table, words):
    coloured(tmp_path, colours, table)
    with pytest.raises(DataError, match=words):
        mask_of("mask_folder", tmp_path)
