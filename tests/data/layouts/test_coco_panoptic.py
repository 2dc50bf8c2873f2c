"""COCO's panoptic format: ids in colours, categories from JSON, and files that do not agree."""

import json
import pickle

import numpy as np
import pytest
from PIL import Image

from atrous.data.dataset import MaskSizeError, MaskValueError
from atrous.data.layouts.coco_panoptic import COCOPanoptic
from atrous.errors import DataError

CATEGORIES = [
    {"id": 200, "name": "rug-merged", "supercategory": "floor", "isthing": 0, "color": [1, 2, 3]},
    {"id": 1, "name": "person", "supercategory": "person", "isthing": 1, "color": [220, 20, 60]},
    {"id": 90, "name": "toothbrush", "supercategory": "indoor", "isthing": 1, "color": [4, 5, 6]},
]
BIG = 255 + 256 * 254 + 256**2 * 253
SEGMENTS = {0: None, 7: 1, 3226956: 90, BIG: 200, 8: 1}
"""Category of every id."""


def colours(ids):
    """Pixels of those ids by the published formula, id = R + 256 G + 256² B."""
    ids = np.asarray(ids)
    return np.stack([ids % 256, ids // 256 % 256, ids // 256**2], axis=-1).astype(np.uint8)


def annotation(image_id, ids):
    return {
        "segments_info": [
            {"id": i, "category_id": SEGMENTS[i], "area": 1, "bbox": [0, 0, 1, 1], "iscrowd": 0}
            for i in ids
            if i
        ],
        "file_name": f"{image_id:012}.png",
        "image_id": image_id,
    }


@pytest.fixture
def root(tmp_path):
    """Two images, listed in the order 20, 3; image 3 has no person."""
    pictures = {20: [[0, 7, 3226956], [BIG, 8, 7]], 3: [[BIG, 3226956]]}
    for folder in ("val2017", "annotations/panoptic_val2017"):
        (tmp_path / folder).mkdir(parents=True)
    for image_id, ids in pictures.items():
        pixels = colours(ids)
        Image.fromarray(np.zeros_like(pixels)).save(tmp_path / "val2017" / f"{image_id:012}.jpg")
        png = tmp_path / "annotations" / "panoptic_val2017" / f"{image_id:012}.png"
        Image.fromarray(pixels).save(png)
    Image.new("RGB", (4, 4)).save(tmp_path / "val2017" / "000000000099.jpg")  # not annotated
    write_json(
        tmp_path,
        annotations=[annotation(key, np.unique(ids).tolist()) for key, ids in pictures.items()],
    )
    return tmp_path


def write_json(root, *, annotations, categories=CATEGORIES):
    images = [
        {"id": key, "file_name": f"{key:012}.jpg", "height": 2, "width": 3} for key in (20, 3, 99)
    ]
    record = {"info": {}, "images": images, "annotations": annotations, "categories": categories}
    (root / "annotations" / "panoptic_val2017.json").write_text(json.dumps(record))


def test_ids_become_the_classes_of_their_categories_in_the_order_of_ids(root):
    samples = COCOPanoptic(root, split="val2017")
    assert samples.class_names == ("person", "toothbrush", "rug-merged")
    assert samples.num_classes == 3
    assert samples.names == ("000000000003", "000000000020")
    assert samples[0].mask.tolist() == [[2, 1]]
    assert samples[1].mask.tolist() == [[255, 0, 1], [2, 0, 0]]


def test_it_travels_to_workers(root):
    samples = pickle.loads(pickle.dumps(COCOPanoptic(root, split="val2017")))  # noqa: S301 - ours
    assert samples[1].mask.tolist() == [[255, 0, 1], [2, 0, 0]]
    assert [path.suffix for path in samples.files(0)] == [".jpg", ".png", ".json"]


def test_other_places_of_the_same_files_will_do(root):
    (root / "images").mkdir()
    (root / "val2017").rename(root / "images" / "val2017")
    (root / "annotations" / "panoptic_val2017").rename(root / "panoptic_val2017")
    assert len(COCOPanoptic(root, split="val2017")) == 2


def test_an_id_that_the_json_does_not_list_is_refused(root):
    png = root / "annotations" / "panoptic_val2017" / "000000000003.png"
    Image.fromarray(colours([[BIG, 9]])).save(png)
    with pytest.raises(MaskValueError, match=r"holds 1 segments .* the first being 9") as error:
        COCOPanoptic(root, split="val2017")[0]
    assert error.value.values == (9,)
    Image.fromarray(colours([[BIG, BIG + 1]])).save(png)  # above all that are listed
    with pytest.raises(MaskValueError, match=f"the first being {BIG + 1}"):
        COCOPanoptic(root, split="val2017")[0]


def test_a_png_of_another_size_or_without_colours_is_refused(root):
    png = root / "annotations" / "panoptic_val2017" / "000000000003.png"
    Image.fromarray(colours([[BIG]])).save(png)
    with pytest.raises(MaskSizeError, match=r"\(1, 1\) but its image is \(1, 2\)"):
        COCOPanoptic(root, split="val2017")[0]
    Image.new("L", (2, 1)).save(png)
    with pytest.raises(DataError, match="mode 'L'; expected RGB"):
        COCOPanoptic(root, split="val2017")[0]


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("val2017/000000000020.jpg", "1 of the 2 files that .* the first being '000000000020.jpg'"),
        ("annotations/panoptic_val2017/000000000003.png", "'000000000003.png'"),
        ("annotations/panoptic_val2017.json", "neither annotations/panoptic_val2017.json nor"),
    ],
)
def test_a_missing_file_is_named(root, path, message):
    (root / path).unlink()
    with pytest.raises(DataError, match=message):
        COCOPanoptic(root, split="val2017")


def test_json_of_another_kind_is_refused(root):
    path = root / "annotations" / "panoptic_val2017.json"
    for text in ("{", "[]", '{"images": [], "annotations": []}'):
        path.write_text(text)
        with pytest.raises(DataError, match="expected COCO's panoptic format"):
            COCOPanoptic(root, split="val2017")
    write_json(root, annotations=[annotation(3, [7])], categories=CATEGORIES[:1])
    with pytest.raises(DataError, match="a segment of category 1"):
        COCOPanoptic(root, split="val2017")
    write_json(root, annotations=[])
    with pytest.raises(DataError, match="annotates no image"):
        COCOPanoptic(root, split="val2017")
    write_json(root, annotations=[annotation(3, [7]), annotation(3, [7])])
    with pytest.raises(DataError, match="annotates '000000000003' more than once"):
        COCOPanoptic(root, split="val2017")
