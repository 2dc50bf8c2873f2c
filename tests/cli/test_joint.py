"""Networks that give masks and labels, and options of convert and evaluate, as a user types."""

import csv
import json

import numpy as np
import pytest
import torch
from PIL import Image

from atrous.data.catalog import LAYOUTS
from atrous.data.synthetic.shapes import SHAPE_CLASSES, write_mask_folder
from atrous.inference import load
from atrous.metrics import PROTOCOLS, boundary_counts, boundary_iou
from atrous.networks.card import Card
from atrous.networks.catalog import build_network
from atrous.networks.label_sets import LABEL_SETS
from atrous.networks.preprocessing.images import Preprocessing
from atrous.networks.weights import load_weights, save_weights

LABELS = ("benign", "atypia", "invasive")


@pytest.fixture(scope="module")
def joint_weights(tmp_path_factory):
    """A Y-Net of three labels, random and seeded, whose biases make the labels differ."""
    arguments = {"num_classes": 4, "num_labels": 3}
    card = Card(
        name="ynet.tiny",
        network="ynet",
        arguments=arguments,
        task="joint",
        class_names=tuple(SHAPE_CLASSES),
        palette=((128, 64, 0), (0, 128, 255), (255, 0, 0), (0, 160, 0)),
        label_names=LABELS,
        preprocessing=Preprocessing(mean=(0.5,) * 3, std=(0.25,) * 3),
    )
    path = tmp_path_factory.mktemp("joint") / "ynet.safetensors"
    with torch.random.fork_rng():
        torch.manual_seed(3)
        network = build_network("ynet", arguments)
        network.branch.linear.bias.data = torch.tensor([0.0, 2.0, 1.0])
        save_weights(path, network, card)
    return path


@pytest.fixture
def pictures(tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for index in range(3):
        pixels = np.random.default_rng(index).integers(0, 256, (33, 46, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{index}.png")
    return folder


def test_labels_are_written_beside_the_masks(atrous, joint_weights, pictures, tmp_path):
    out = tmp_path / "out"
    code, text, error = atrous("predict", joint_weights, pictures, "--out", out)
    assert (code, error) == (0, "")
    assert "masks/" in text
    assert "labels.csv" in text
    predictor = load(joint_weights)
    rows = list(csv.DictReader((out / "labels.csv").read_text().splitlines()))
    record = json.loads((out / "labels.json").read_text())
    assert list(record) == ["0", "1", "2"]
    for name, ranking in record.items():
        expected = predictor.predict(pictures / f"{name}.png").label.top(5)
        assert [entry["class"] for entry in ranking] == [label for label, _ in expected]
        assert [entry["probability"] for entry in ranking] == pytest.approx(
            [p for _, p in expected], abs=1e-5
        )
        of_image = [row for row in rows if row["image"] == name]
        assert [row["rank"] for row in of_image] == ["1", "2", "3"]
        assert [row["class"] for row in of_image] == [entry["class"] for entry in ranking]
        assert (out / "masks" / f"{name}.png").is_file()
        assert (out / "overlays" / f"{name}.png").is_file()


def test_a_second_run_keeps_the_labels_and_does_what_is_missing(
    atrous, joint_weights, pictures, tmp_path
):
    out = tmp_path / "out"
    atrous("predict", joint_weights, pictures, "--out", out)
    summary = (out / "labels.json").read_text()
    (out / "labels" / "1.json").unlink()
    (out / "labels.json").unlink()
    before = (out / "masks" / "0.png").stat().st_mtime_ns
    code, text, _ = atrous("predict", joint_weights, pictures, "--out", out)
    assert code == 0
    assert "2 of them done before" in text
    assert (out / "masks" / "0.png").stat().st_mtime_ns == before
    # One image run alone may differ from it in a batch by rounding.
    again = json.loads((out / "labels.json").read_text())
    for name, ranking in json.loads(summary).items():
        for was, now in zip(ranking, again[name], strict=True):
            assert was["class"] == now["class"]
            assert was["probability"] == pytest.approx(now["probability"], abs=1e-5)


def test_json_has_the_labels_too(atrous, joint_weights, pictures, tmp_path):
    out = tmp_path / "out"
    code, text, _ = atrous("predict", joint_weights, pictures, "--out", out, "--json")
    assert code == 0
    record = json.loads(text)
    assert record["labels"] == json.loads((out / "labels.json").read_text())
    assert list(record["images"]) == list(record["labels"])


def test_labels_that_were_broken_since_are_named(atrous, joint_weights, pictures, tmp_path):
    out = tmp_path / "out"
    atrous("predict", joint_weights, pictures, "--out", out)
    (out / "labels" / "2.json").write_text("[{")
    code, _, error = atrous("predict", joint_weights, pictures, "--out", out)
    assert code == 2
    assert "2.json" in error
    assert len(error.strip().splitlines()) == 1


def test_a_network_of_masks_writes_no_labels(atrous, tiny_weights, pictures, tmp_path):
    out = tmp_path / "out"
    code, text, _ = atrous("predict", tiny_weights, pictures, "--out", out, "--json")
    assert code == 0
    assert "labels" not in json.loads(text)
    assert not list(out.glob("labels*"))


def test_the_masks_of_a_joint_network_can_be_scored(atrous, joint_weights, tmp_path):
    write_mask_folder(tmp_path, num_images=2, size=(33, 46))
    code, text, _ = atrous("evaluate", joint_weights, tmp_path, "--layout", "mask_folder", "--json")
    assert code == 0
    record = json.loads(text)
    assert record["images"] == 2
    assert "boundary_iou" not in record
    assert "mean_boundary_iou" not in record


def test_boundary_adds_the_summed_boundary_iou(atrous, tiny_weights, tmp_path):
    write_mask_folder(tmp_path, num_images=3, size=(60, 80))
    arguments = ("evaluate", tiny_weights, tmp_path, "--layout", "mask_folder", "--boundary")
    code, text, _ = atrous(*arguments, "--json")
    assert code == 0
    record = json.loads(text)
    predictor = load(tiny_weights)
    counts = torch.zeros(2, 4, dtype=torch.int64)
    for path in sorted((tmp_path / "images").iterdir()):
        truth = torch.from_numpy(np.array(Image.open(tmp_path / "masks" / f"{path.stem}.png")))
        counts += boundary_counts(truth, predictor.predict(path).mask, num_classes=4, width=2)
    iou = boundary_iou(counts)
    ours = [record["boundary_iou"][name] for name in SHAPE_CLASSES]
    expected = [None if value.isnan() else 100 * float(value) for value in iou]
    assert ours == pytest.approx(expected, abs=1e-3)
    assert record["mean_boundary_iou"] == pytest.approx(100 * float(iou.nanmean()), abs=1e-3)
    _, text, _ = atrous(*arguments)
    assert "mean boundary IoU" in text
    assert "and of its boundary" in text


@pytest.mark.parametrize("protocol", ["voc", "cityscapes"])
def test_a_protocol_of_other_classes_is_refused_before_images_are_read(
    atrous, tiny_weights, tmp_path, protocol
):
    code, _, error = atrous(
        "evaluate", tiny_weights, tmp_path, "--layout", "mask_folder", "--protocol", protocol
    )
    assert code == 2
    assert "The network has 4 classes besides void" in error
    assert len(error.strip().splitlines()) == 1


@pytest.mark.real
def test_convert_takes_the_size_of_inputs(atrous, shared, tmp_path):
    file = shared / "weights" / "espnetv2" / "espnetv2_s_0.5_pascal_256x256.pth"
    to = tmp_path / "x.safetensors"
    code, text, _ = atrous("convert", file, "--to", to, "--size", "192x320")
    assert code == 0
    assert "resized to 192x320 (H x W)" in text
    assert load_weights(to).card.preprocessing.size == (192, 320)


@pytest.mark.real
def test_convert_refuses_a_size_of_other_axes_and_writes_nothing(atrous, shared, tmp_path):
    file = shared / "weights" / "espnetv2" / "espnetv2_s_0.5_pascal_256x256.pth"
    to = tmp_path / "x.safetensors"
    code, _, error = atrous("convert", file, "--to", to, "--size", "64x64x64")
    assert code == 2
    assert "takes inputs of 2 axes" in error
    assert not to.exists()


@pytest.mark.parametrize("size", ["512", "0x4", "-1x4", "axb", "1x2x3x4", "", "512 x 1024", "5x"])
def test_convert_refuses_what_is_no_size(atrous, tmp_path, size):
    (tmp_path / "x.pth").touch()
    code, _, error = atrous(
        "convert", tmp_path / "x.pth", "--to", tmp_path / "x.safetensors", f"--size={size}"
    )
    assert code == 2
    assert f"--size is {size!r}" in error
    assert len(error.strip().splitlines()) == 1


def test_the_help_of_convert_names_all_training_data(atrous, monkeypatch):
    monkeypatch.setenv("COLUMNS", "400")
    code, text, _ = atrous("convert", "--help")
    assert code == 0
    for name in LABEL_SETS:
        assert name in text


def test_the_help_of_evaluate_names_all_layouts_and_protocols(atrous, monkeypatch):
    monkeypatch.setenv("COLUMNS", "400")
    code, text, _ = atrous("evaluate", "--help")
    assert code == 0
    for name in (*LAYOUTS, *PROTOCOLS):
        assert name in text
