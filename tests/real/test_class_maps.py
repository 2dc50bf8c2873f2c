"""Published networks on photographs of other classes, by the command; the oracles are not ours."""

import json

import numpy as np
import pytest
from PIL import Image

from atrous.data.layouts.camvid import CAMVID_CLASSES

pytestmark = pytest.mark.real

STREET = """
classes = ["way", "green", "built", "moving"]
[data]
Road = "way"
Pavement = "way"
Tree = "green"
Building = "built"
Pole = "built"
Car = "moving"
Pedestrian = "moving"
Bicyclist = "moving"
[network]
Road = "way"
Pavement = "way"
Tree = "green"
Building = "built"
Pole = "built"
Fence = "built"
Car = "moving"
Pedestrian = "moving"
Bicyclist = "moving"
"""
TRUTH = {"way": (3, 4), "green": (5,), "built": (1, 2), "moving": (8, 9, 10)}
CALLED = {**TRUTH, "built": (1, 2, 7)}


@pytest.fixture
def record(atrous):
    def run(*arguments):
        return json.loads(atrous("evaluate", *arguments, "--json"))

    return run


@pytest.fixture
def espnet(atrous, shared, tmp_path):
    path = tmp_path / "espnet-camvid.safetensors"
    checkpoint = shared / "weights/espnet/decoder/espnet_p_2_q_8_camvid.pth"
    atrous("convert", checkpoint, "--to", path)
    return path


def first_names(folder, count, to):
    names = sorted(path.stem for path in folder.iterdir())[:count]
    to.write_text("\n".join(names) + "\n")
    return names


def pixels_of(path):
    with Image.open(path) as picture:
        return np.array(picture)


def test_merged_classes_score_what_the_authors_confusion_matrix_gives(
    record, shared, espnet, tmp_path
):
    (tmp_path / "street.toml").write_text(STREET)
    scored = record(
        *(espnet, shared / "data" / "camvid", "--layout", "camvid", "--split", "val"),
        *("--class-map", tmp_path / "street.toml"),
    )
    rows = json.loads((shared / "reference" / "camvid_confusion_12x12.json").read_text())["val"]
    matrix = np.array(rows, np.int64)
    mapped = [index for members in TRUTH.values() for index in members]
    for name, members in TRUTH.items():
        hits = matrix[np.ix_(members, CALLED[name])].sum()
        union = matrix[list(members)].sum() + matrix[np.ix_(mapped, CALLED[name])].sum() - hits
        assert scored["iou"][name] == pytest.approx(100 * hits / union, abs=0.02)
    assert scored["averaged_classes"] == list(TRUTH)


def test_an_identity_map_changes_no_score_on_street_scenes(record, shared, espnet, tmp_path):
    first_names(shared / "data" / "camvid" / "val", 8, tmp_path / "names.txt")
    lines = "\n".join(f'"{name}" = "{name}"' for name in CAMVID_CLASSES)
    path = tmp_path / "identity.toml"
    path.write_text(f"classes = {list(CAMVID_CLASSES)}\n[data]\n{lines}\n[network]\n{lines}\n")
    options = (espnet, shared / "data" / "camvid", "--layout", "camvid", "--split", "val")
    options += ("--subset", tmp_path / "names.txt", "--protocol", "camvid_published")
    plain, mapped = record(*options), record(*options, "--class-map", path)
    plain["iou"]["(other)"] = plain["iou"].pop("Unlabelled")  # the void, which the map leaves out
    plain["class_map"] = "identity.toml"
    assert plain == mapped


def test_person_is_scored_as_the_written_masks_say(atrous, record, shared, tmp_path):
    people = shared / "data" / "people"
    names = first_names(people / "images", 10, tmp_path / "names.txt")
    weights = tmp_path / "voc.safetensors"
    checkpoint = shared / "weights/espnetv2/espnetv2_s_2.0_pascal_384x384.pth"
    atrous("convert", checkpoint, "--to", weights)
    options = (weights, people, "--layout", "mask_folder", "--subset", tmp_path / "names.txt")
    scored = record(*options, "--class-map", "voc_on_person")
    images = [next((people / "images").glob(f"{name}.*")) for name in names]
    atrous("predict", weights, *images, "--out", tmp_path / "out")
    hits = union = 0
    for name in names:
        truth = pixels_of(people / "masks" / f"{name}.png") == 1
        called = pixels_of(tmp_path / "out" / "masks" / f"{name}.png") == 15  # VOC's person
        hits += (truth & called).sum()
        union += (truth | called).sum()
    assert scored["images"] == 10
    assert scored["iou"]["person"] == pytest.approx(100 * hits / union, abs=0.02)
    assert scored["input_size"] == [384, 384]


def test_street_scenes_are_scored_as_the_written_masks_say(atrous, record, shared, tmp_path):
    camvid = shared / "data" / "camvid"
    names = first_names(camvid / "val", 4, tmp_path / "names.txt")
    weights = tmp_path / "city.safetensors"
    checkpoint = shared / "weights/espnetv2/espnetv2_s_2.0_city_1024x512.pth"
    atrous("convert", checkpoint, "--to", weights)
    options = (weights, camvid, "--layout", "camvid", "--split", "val")
    scored = record(
        *options, "--subset", tmp_path / "names.txt", "--class-map", "cityscapes_on_camvid"
    )
    images = [next((camvid / "val").glob(f"{name}.*")) for name in names]
    atrous("predict", weights, *images, "--out", tmp_path / "out")
    # CamVid's road, tree and car, each with the indices of Cityscapes' classes that belong to it.
    for shared_name, index, members in (
        ("road", 3, (0,)),
        ("tree", 5, (8, 9)),
        ("car", 8, (13, 14, 15, 16)),
    ):
        hits = union = 0
        for name in names:
            truth = pixels_of(camvid / "valannot" / f"{name}.png")
            called = np.isin(pixels_of(tmp_path / "out" / "masks" / f"{name}.png"), members)
            called &= truth != 11  # nobody's error
            hits += ((truth == index) & called).sum()
            union += ((truth == index) | called).sum()
        assert scored["iou"][shared_name] == pytest.approx(100 * hits / union, abs=0.02)
    assert scored["input_size"] == [512, 1024]
