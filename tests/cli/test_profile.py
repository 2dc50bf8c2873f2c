"""`profile`, `compare` and `objects`: contracts, any kind of model, one line for what is wrong."""

import json

import pytest
from torch import nn

from atrous.data.synthetic.shapes import write_mask_folder

USER_FILE = """
import torch
from torch import nn

def make():
    print("building")
    return nn.Sequential(nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.Upsample(scale_factor=2,
        mode="bilinear"))

def volume():
    return nn.Sequential(nn.Conv3d(1, 4, (1, 3, 3)), nn.Conv3d(4, 4, 3))

def raises():
    raise RuntimeError("no such thing")

def number():
    return 7

class Chooses(nn.Module):
    def forward(self, x):
        return x if x.sum() > 0 else -x

def chooses():
    return nn.Sequential(nn.Conv2d(3, 3, 1), Chooses())
"""


@pytest.fixture
def user_file(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(USER_FILE)
    return path


def test_json_keeps_its_contract(atrous):
    code, text, _ = atrous("profile", "espnet", "--size", "3x64x96", "--json")
    record = json.loads(text)
    assert code == 0
    assert record["params"] == record["weights"] + record["biases"] == 365_109
    assert record["counted"] == "all"
    assert record["size"] == [64, 96]
    # One step of the decoder widens the encoder's 2703 (FACTS A4): the field is finite and odd.
    field = record["receptive_field"]
    assert field["exact"] is True
    assert set(field) >= {"size", "jump", "start"}
    assert record["halo"]["alignment"] == [8, 8]
    assert record["peak_activation_bytes"] > 0
    assert sum(layer["own_macs"] for layer in record["layers"]) == record["macs"]


def test_a_users_function_is_profiled_and_its_prints_do_not_spoil_the_json(atrous, user_file):
    code, text, error = atrous("profile", f"{user_file}:make", "--size", "32", "--json")
    record = json.loads(text)
    assert code == 0
    assert error == "building\n"
    assert record["receptive_field"]["size"] == [5, 5]
    assert record["macs"] == 16 * 16 * 8 * 27


def test_a_volume_has_three_axes(atrous, user_file):
    code, text, _ = atrous("profile", f"{user_file}:volume", "--size", "9x20x20", "--json")
    assert code == 0
    assert json.loads(text)["receptive_field"]["size"] == [3, 5, 5]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("{file}:raises", "--size", "32"), ["RuntimeError: no such thing"]),
        (("{file}:number", "--size", "32"), ["gave a int", "torch.nn.Module"]),
        (("{file}:mak", "--size", "32"), ["Did you mean 'make'"]),
        (("{file}:chooses", "--size", "32", "--why"), ["reads the number in a tensor"]),
        (("nowhere.py:make", "--size", "32"), ["nowhere.py is no file"]),
        (("espnett", "--size", "32"), ["Did you mean 'espnet'"]),
        (("torchvision:resnet5", "--size", "32"), ["torchvision model", "Did you mean"]),
        (("{file}:make",), ["has no usual input size"]),
        (("espnet", "--size", "3x0x5"), ["3x0x5"]),
        (("espnet", "--size", "1x2x3x4"), ["4 numbers", "2 spatial axes"]),
        (("espnet", "--size", "4x64x64"), ["3 channels"]),
        (("torchvision:vgg11", "--size", "16"), ["16x16"]),
    ],
)
def test_what_is_wrong_is_said_in_one_line(atrous, user_file, arguments, words):
    code, text, error = atrous("profile", *(a.format(file=user_file) for a in arguments))
    lines = error.removeprefix("building\n").strip().splitlines()
    assert (code, text) == (2, "")
    assert len(lines) == 1
    assert all(word in lines[0] for word in words), lines[0]


def test_what_comes_before_a_step_that_needs_numbers_is_counted(atrous, user_file):
    code, text, error = atrous("profile", f"{user_file}:chooses", "--size", "32", "--json")
    record = json.loads(text)
    assert code == 0
    assert record["counted"] == "at least"
    assert "reads the number in a tensor" in record["uncounted"][-1]
    assert "neither field nor halo: In " in error


def test_the_page_is_self_contained_and_names_what_it_shows(atrous, user_file, tmp_path):
    page = tmp_path / "page.html"
    code, text, _ = atrous("profile", f"{user_file}:make", "--size", "40x48", "--html", page)
    html = page.read_text()
    assert code == 0
    assert str(page) in text
    assert "5x5" in html
    assert html.count("data:image/png;base64,") == 2
    assert "<svg" in html
    assert "http://" not in html.replace("http://www.w3.org", "")


def test_a_page_of_a_volume_has_no_pictures_but_all_else(atrous, user_file, tmp_path):
    page = tmp_path / "page.html"
    code, _, _ = atrous("profile", f"{user_file}:volume", "--size", "9x20x20", "--html", page)
    assert code == 0
    assert "data:image" not in page.read_text()


def test_compare_sets_models_side_by_side(atrous, user_file, tmp_path):
    plot = tmp_path / "plot.png"
    code, text, _ = atrous(
        "compare", "espnet_c", f"{user_file}:make", "--size", "64", "--plot", plot, "--latency"
    )
    assert code == 0
    assert "349,449" in text
    assert "5x5" in text
    assert " ms" in text
    assert plot.read_bytes().startswith(b"\x89PNG")


def test_compare_json_is_a_list(atrous):
    _, text, _ = atrous("compare", "espnet_c", "espnet", "--size", "64", "--json")
    assert [row["network"] for row in json.loads(text)] == ["espnet_c", "espnet"]


def test_a_plot_of_unknown_kind_is_refused(atrous, tmp_path):
    code, _, error = atrous("compare", "espnet_c", "--size", "64", "--plot", tmp_path / "x.doc")
    assert code == 2
    assert "png, svg, pdf" in error


def test_objects_are_counted_and_set_beside_a_field(atrous, tiny_weights, tmp_path):
    data = write_mask_folder(tmp_path / "data", num_images=6, size=(40, 60))
    options = ["--layout", "mask_folder", "--num-classes", "4"]
    code, text, _ = atrous("objects", data, *options, "--json")
    record = json.loads(text)
    assert code == 0
    assert record["images"] == 6
    assert {row["class"] for row in record["classes"]} <= {f"class {i}" for i in range(4)}
    code, text, _ = atrous(
        "objects", data, *options, "--model", tiny_weights, "--size", "40x60", "--json"
    )
    record = json.loads(text)
    for row in record["classes"]:
        assert 0 <= row["larger_than_field"] <= row["larger_than_effective_field"] <= 1
    assert atrous("objects", data, *options, "--model", tiny_weights, "--size", "40x60")[0] == 0


def test_the_library_agrees_with_a_sum_by_hand():
    from atrous.analysis import profile

    model = nn.Sequential(nn.Conv2d(12, 24, 3), nn.ReLU(), nn.Conv2d(24, 8, 1))
    cost = profile(model, (64, 64))
    assert cost.macs == 62 * 62 * (2592 + 24 * 8)
    assert cost.params == 2616 + 24 * 8 + 8
