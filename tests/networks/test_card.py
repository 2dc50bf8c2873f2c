"""Cards survive the trip through JSON, and refuse what they cannot mean."""

import json

import pytest

from atrous.errors import DataError
from atrous.networks.card import Card, Score
from atrous.networks.preprocessing.images import Preprocessing


def card(**changes):
    facts = {
        "name": "espnet.test",
        "network": "espnet",
        "arguments": {"num_classes": 2, "q": 3},
        "task": "segmentation",
        "class_names": ("a", "b"),
        "palette": ((0, 0, 0), (1, 2, 3)),
        "void_class": 1,
        "preprocessing": Preprocessing(mean=(0.1,) * 3, std=(0.3,) * 3, size=(4, 8)),
        "scores": (Score(dataset="d", split="s", protocol="p", metric="m", value=1.5, source="t"),),
    }
    return Card(**{**facts, **changes})


def test_a_card_comes_back_equal():
    assert Card.from_json(card().to_json()) == card()


def test_labels_of_images_come_back_equal():
    joint = card(task="joint", label_names=("benign", "invasive"))
    assert Card.from_json(joint.to_json()) == joint
    assert card(task="joint").label_names == ()


def test_the_scale_of_slides_comes_back_and_may_be_missing():
    assert Card.from_json(card(mpp=0.5).to_json()).mpp == 0.5
    facts = json.loads(card().to_json())
    del facts["mpp"]
    assert Card.from_json(json.dumps(facts)).mpp is None


def test_a_card_without_labels_of_images_can_be_read():
    facts = json.loads(card().to_json())
    del facts["label_names"]
    assert Card.from_json(json.dumps(facts)) == card()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"label_names": ("a", "b")}, "names 2 labels of images, but its task is segmentation"),
        ({"task": "detection"}, "task is 'detection'"),
        ({"mpp": 0.0}, "mpp is 0.0"),
        ({"class_names": ("a",)}, "1 classes and 2 colours"),
        ({"void_class": 2}, "void class is 2, but it has 2 classes"),
    ],
)
def test_impossible_facts_are_refused(changes, message):
    with pytest.raises(DataError, match=message):
        card(**changes)


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"channel_order": "GRB"}, "channel_order 'GRB'"),
        ({"std": (0.0, 1.0, 1.0)}, r"std \(0.0"),
        ({"mean": (0.0,)}, "1 means but 3 deviations"),
        ({"steps": ("normalise", "resize")}, "steps"),
        ({"size": (0, 4)}, r"size \(0, 4\)"),
    ],
)
def test_impossible_preprocessing_is_refused(facts, message):
    with pytest.raises(DataError, match=message):
        Preprocessing(**{"mean": (0.0,) * 3, "std": (1.0,) * 3, **facts})


def test_text_that_is_no_card_is_refused():
    for text in ("", "[]", "{}", "7", '{"format": 1}'):
        with pytest.raises(DataError):
            Card.from_json(text)


def test_a_card_of_a_later_format_says_so():
    facts = {**json.loads(card().to_json()), "format": 99}
    with pytest.raises(DataError, match="format 99, this atrous reads 1"):
        Card.from_json(json.dumps(facts))


def test_an_unknown_key_is_named():
    facts = {**json.loads(card().to_json()), "colour": "red"}
    with pytest.raises(DataError, match=r"unknown keys \['colour'\]"):
        Card.from_json(json.dumps(facts))
