"""A shipped name means the file in the package; all else is a path, or is answered with a name."""

from pathlib import Path

import pytest

import atrous
from atrous.errors import DataError, UnknownNameError
from atrous.networks import shipped
from atrous.networks.shipped import SHIPPED, resolve_weights, shipped_file
from atrous.networks.weights import load_weights


@pytest.fixture
def package(monkeypatch, tmp_path):
    """A folder in the place of the package's own."""
    folder = tmp_path / "package"
    folder.mkdir()
    monkeypatch.setattr(shipped, "files", lambda _: folder)
    return folder


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_file_is_small_and_says_what_it_is(name):
    path = resolve_weights(name)
    assert path.stat().st_size < 4_000_000
    card = load_weights(path).card
    assert card.licence
    assert card.source
    assert all(score.protocol and score.dataset and score.split for score in card.scores)


def test_a_name_gives_the_file_in_the_package(package, tiny_weights):
    (package / "people.safetensors").write_bytes(tiny_weights.read_bytes())
    assert resolve_weights("people") == package / "people.safetensors"
    assert atrous.load("people").card.name == "espnet.tiny"


def test_a_name_wins_over_what_lies_in_the_present_folder(
    package, tiny_weights, monkeypatch, tmp_path
):
    (package / "people.safetensors").write_bytes(tiny_weights.read_bytes())
    monkeypatch.chdir(tmp_path)
    (tmp_path / "people").write_bytes(b"a user's own")
    assert resolve_weights("people") == package / "people.safetensors"
    assert resolve_weights("./people") == Path("people")
    with pytest.raises(DataError, match="people is not a whole safetensors file"):
        atrous.load("./people")
    with pytest.raises(DataError, match="people is not a whole safetensors file"):
        atrous.load(Path("people"))


@pytest.mark.parametrize("text", ["mine.safetensors", "a/b", "weights.pth", "./people"])
def test_what_looks_like_a_path_is_one(text):
    assert resolve_weights(text) == Path(text)


def test_a_file_without_a_suffix_is_a_path(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").touch()
    assert resolve_weights("mine") == Path("mine")


def test_a_misspelt_name_is_answered_with_the_nearest():
    with pytest.raises(UnknownNameError, match="Did you mean 'people'"):
        resolve_weights("peopel")
    with pytest.raises(UnknownNameError, match="No shipped model is named 'espnet'"):
        shipped_file("espnet")


def test_the_name_of_a_network_is_told_from_weights():
    with pytest.raises(DataError, match=r"resnet18 is a network, expected weights .*--weights"):
        resolve_weights("resnet18")


@pytest.mark.usefixtures("package")
def test_a_package_without_its_files_says_so():
    with pytest.raises(DataError, match=r"lacks .*people.safetensors.*install it again"):
        resolve_weights("people")
