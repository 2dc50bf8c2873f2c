"""Class maps in evaluation: what is merged is summed, what is left out is wrong."""

import numpy as np
import pytest
import torch
from PIL import Image

from atrous.data.catalog import open_layout
from atrous.data.class_map import OTHER, read_class_map
from atrous.data.combine import Remapped
from atrous.data.synthetic.shapes import SHAPE_CLASSES, write_mask_folder
from atrous.errors import DataError, UnknownNameError
from atrous.evaluation.masks import evaluate
from atrous.evaluation.shared_classes import in_shared_classes, shared_card
from atrous.metrics import score
from atrous.networks.card import Card
from atrous.networks.preprocessing.images import Preprocessing

NETWORK = ("plain", "ring", "box", "bar", "sky")
MAP = """
classes = ["figure", "ground"]
[data]
0 = "ground"
1 = "figure"
2 = "figure"
[network]
plain = "ground"
box = "figure"
ring = "figure"
bar = "ground"
"""


@pytest.fixture
def class_map(tmp_path):
    (tmp_path / "map.toml").write_text(MAP)
    return read_class_map(tmp_path / "map.toml")


@pytest.fixture
def samples(tmp_path):
    root = write_mask_folder(tmp_path / "data", num_images=3, size=(20, 30))
    for path in sorted((root / "masks").iterdir()):
        mask = np.array(Image.open(path))
        mask[:5, :5] = 255
        Image.fromarray(mask).save(path)
    return open_layout("mask_folder", root, num_classes=len(NETWORK))


def card():
    return Card(
        name="test.none",
        network="espnet",
        task="segmentation",
        class_names=NETWORK,
        palette=tuple((i, i, i) for i in range(len(NETWORK))),
        preprocessing=Preprocessing(mean=(0.0,), std=(1.0,)),
    )


def by_colour(images):
    """All five of the network's classes, wherever."""
    return [torch.from_numpy(image.astype(np.int64).sum(-1) % 5) for image in images]


def total(predict, samples, names):
    return sum(count.matrix for count in evaluate(predict, samples, class_names=names))


def test_the_confusion_of_merged_classes_is_the_sum_of_rows_and_columns(class_map, samples):
    whole = total(by_colour, samples, NETWORK)
    judged = shared_card(card(), class_map)
    table = class_map.network_table(NETWORK)
    matrix = total(
        in_shared_classes(by_colour, table), Remapped(samples, class_map), judged.class_names
    )
    rows = {0: [1, 2], 1: [0], 2: [], 3: [3, 4, 5]}  # figure, ground, other, unlabelled
    columns = {0: [1, 2], 1: [0, 3], 2: [4]}
    expected = [
        [int(whole[members][:, called].sum()) for called in columns.values()]
        for members in rows.values()
    ]
    assert matrix.tolist() == expected
    assert whole[3].sum() > 0, "class 3 of the data is left out, so it must occur"


def test_a_class_beside_the_shared_ones_is_wrong_on_every_labelled_pixel(class_map, samples):
    def nothing_but_sky(images):
        return [torch.full(image.shape[:2], 4) for image in images]

    judged = shared_card(card(), class_map)
    predict = in_shared_classes(nothing_but_sky, class_map.network_table(NETWORK))
    matrix = total(predict, Remapped(samples, class_map), judged.class_names)
    scores = score(matrix, protocol="void_ignored", void_class=judged.void_class)
    assert scores.mean_iou == scores.pixel_accuracy == 0
    assert scores.averaged_classes == (0, 1)


def test_the_card_has_the_shared_classes_and_the_colours_of_their_first_members(class_map):
    judged = shared_card(card(), class_map)
    assert judged.class_names == ("figure", "ground", OTHER)
    assert judged.palette == ((1, 1, 1), (0, 0, 0), (0, 0, 0))
    assert judged.void_class == 2


def test_without_classes_beside_there_is_no_other(tmp_path):
    (tmp_path / "map.toml").write_text(MAP + 'sky = "ground"\n')
    judged = shared_card(card(), read_class_map(tmp_path / "map.toml"))
    assert judged.class_names == ("figure", "ground")
    assert judged.void_class is None


def test_a_map_for_another_network_is_refused(class_map):
    other = Card(
        name="test.none",
        network="espnet",
        task="segmentation",
        class_names=("plane", "ring", "box", "bar"),
        palette=((0, 0, 0),) * 4,
        preprocessing=Preprocessing(mean=(0.0,), std=(1.0,)),
    )
    with pytest.raises(UnknownNameError, match="Did you mean 'plane'"):
        shared_card(other, class_map)


def test_data_in_shared_classes_is_not_taken_for_the_networks_own(class_map, samples):
    with pytest.raises(DataError, match="or by a class map"):
        total(by_colour, Remapped(samples, class_map), SHAPE_CLASSES)
