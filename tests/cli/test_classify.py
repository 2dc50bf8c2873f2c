"""`predict` with a classifier: the likeliest five on stdout, in CSV and in JSON."""

import csv
import json

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import models


@pytest.fixture
def pictures(tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for index, size in enumerate([(300, 240), (90, 500)]):
        pixels = np.random.default_rng(index).integers(0, 256, (*size, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{index}.png")
    return folder


@pytest.fixture
def weights(atrous, tmp_path):
    torch.save(models.shufflenet_v2_x0_5(weights=None).state_dict(), tmp_path / "theirs.pth")
    path = tmp_path / "model.safetensors"
    code, _, error = atrous("convert", tmp_path / "theirs.pth", "--to", path)
    assert code == 0, error
    return path


def test_the_likeliest_five_are_printed_and_written(atrous, weights, pictures, tmp_path):
    out = tmp_path / "out"
    code, text, error = atrous("predict", weights, pictures, "--out", out)
    assert (code, error) == (0, "")
    rows = list(csv.DictReader((out / "labels.csv").read_text().splitlines()))
    record = json.loads((out / "labels.json").read_text())
    assert [row["image"] for row in rows] == ["0"] * 5 + ["1"] * 5
    for name, ranking in record.items():
        values = [label["probability"] for label in ranking]
        assert values == sorted(values, reverse=True)
        assert [row["class"] for row in rows if row["image"] == name] == [
            label["class"] for label in ranking
        ]
        assert ranking[0]["class"] in text


def test_a_broken_file_is_named_and_the_rest_goes_on(atrous, weights, pictures, tmp_path):
    (pictures / "bad.png").write_text("no picture")
    out = tmp_path / "out"
    code, text, _ = atrous("predict", weights, pictures, "--out", out, "--json")
    record = json.loads(text)
    assert code == 1
    assert list(record["images"]) == ["0", "1"]
    assert list(record["errors"]) == [str(pictures / "bad.png")]


def test_nothing_is_written_when_nothing_could_be_read(atrous, weights, tmp_path):
    (tmp_path / "bad.png").write_text("no picture")
    code, text, error = atrous("predict", weights, tmp_path / "bad.png", "--out", tmp_path / "out")
    assert (code, text) == (2, "")
    assert len(error.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_weights_that_cannot_be_fetched_are_one_line(atrous, pictures, tmp_path, monkeypatch):
    def fail(*_, **__):
        raise OSError("no route to host")

    from torchvision.models._api import WeightsEnum

    monkeypatch.setattr(WeightsEnum, "get_state_dict", fail)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    options = ["--weights", "torchvision:IMAGENET1K_V2", "--out", tmp_path / "out"]
    code, _, error = atrous("predict", "resnet50", pictures, *options)
    assert code == 2
    assert len(error.strip().splitlines()) == 1
    assert "could not be fetched" in error
