"""`atrous demo`: what is there runs, what is missing is said, and the page needs no network."""

import re
import shlex
import webbrowser

import pytest
import torch
from PIL import Image

from atrous.networks import shipped
from atrous.networks.card import Card, Score
from atrous.networks.catalog import build_network
from atrous.networks.preprocessing.images import Preprocessing
from atrous.networks.weights import save_weights


@pytest.fixture
def package(monkeypatch, tmp_path):
    """An empty folder in the place of the package's own."""
    folder = tmp_path / "package"
    folder.mkdir()
    monkeypatch.setattr(shipped, "files", lambda _: folder)
    return folder


@pytest.fixture
def stand_in(package):
    """The smallest ESPNet, random and seeded, in the place of `people`."""
    arguments = {"num_classes": 2, "p": 1, "q": 1}
    card = Card(
        name="espnet.stand_in",
        network="espnet",
        arguments=arguments,
        task="segmentation",
        class_names=("background", "person"),
        palette=((0, 0, 0), (230, 60, 60)),
        preprocessing=Preprocessing(mean=(0.5,) * 3, std=(0.25,) * 3, size=(64, 64)),
        scores=(
            Score(
                dataset="<made>",
                split="val",
                protocol="void_ignored",
                metric="miou",
                value=12.345,
                source="nowhere",
            ),
        ),
        licence="Apache-2.0",
    )
    with torch.random.fork_rng():
        torch.manual_seed(1)
        save_weights(package / "people.safetensors", build_network("espnet", arguments), card)
    return card


@pytest.mark.usefixtures("package")
def test_what_is_missing_is_said(atrous, tmp_path):
    code, text, _ = atrous("demo", "--shared", tmp_path, "--out", tmp_path / "out")
    assert code == 0
    assert "2,616" in text
    assert "people.safetensors is not in this installation" in text
    assert "espnet_p_2_q_8_camvid.pth" in text


@pytest.mark.usefixtures("stand_in")
def test_the_portrait_is_cut_out_and_the_page_holds_everything(atrous, tmp_path, monkeypatch):
    opened = []
    monkeypatch.setattr(webbrowser, "open", opened.append)
    out = tmp_path / "out"
    code, text, error = atrous("demo", "--shared", tmp_path, "--out", out)
    assert (code, error) == (0, "")
    assert opened == []
    with Image.open(out / "people" / "cutouts" / "grace_hopper.png") as picture:
        assert picture.mode == "RGBA"
        assert picture.size == (512, 600)
    for made in ("overlays/grace_hopper.png", "blurred/grace_hopper.jpg"):
        assert (out / "people" / made).is_file()
    page = (out / "people.html").read_text()
    assert str(out / "people.html") in text
    assert page.count("data:image/") >= 6  # portrait, overlay, cut-out, blur; field, gradient
    assert "data:image/png" in page
    assert not re.search(r"(src|href)=\"(?!data:|#)", page)
    for shown in ("12.35 % on &lt;made&gt; val", "Apache-2.0", "How the receptive field grows"):
        assert shown in page


@pytest.mark.usefixtures("stand_in")
def test_the_commands_that_are_shown_give_the_same(atrous, tmp_path):
    out = tmp_path / "out"
    _, text, _ = atrous("demo", "--shared", tmp_path, "--out", out)
    predicting = next(line for line in text.splitlines() if line.startswith("$ atrous predict"))
    cutout = out / "people" / "cutouts" / "grace_hopper.png"
    before = cutout.read_bytes()
    cutout.unlink()
    code, _, error = atrous(*shlex.split(predicting)[2:])
    assert (code, error) == (0, "")
    assert cutout.read_bytes() == before


@pytest.mark.usefixtures("stand_in")
def test_the_page_is_opened_where_that_is_asked_for(atrous, tmp_path, monkeypatch):
    opened = []
    monkeypatch.setattr(webbrowser, "open", opened.append)
    assert atrous("demo", "--shared", tmp_path, "--out", tmp_path / "out", "--open")[0] == 0
    assert opened == [(tmp_path / "out" / "people.html").as_uri()]


@pytest.mark.usefixtures("stand_in")
def test_a_folder_that_cannot_be_written_in_is_one_line(atrous, tmp_path):
    (tmp_path / "file").touch()
    code, text, error = atrous("demo", "--out", tmp_path / "file" / "out")
    assert (code, text) == (2, "")
    assert "cannot be written in" in error
    assert len(error.strip().splitlines()) == 1
