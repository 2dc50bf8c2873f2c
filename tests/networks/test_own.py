"""Own networks by FILE.py:FUNCTION: trained, predicted and scored, and never run unasked."""

import pytest

from atrous.data.synthetic.shapes import write_mask_folder
from atrous.errors import DataError, UnknownNameError
from atrous.networks.catalog import _OWN
from atrous.networks.own import allow_network

CODE = """
from torch import nn

print("hello from a file of the user's")

def make(*, num_classes=4, width=4):
    return nn.Sequential(nn.Conv2d(3, width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, num_classes, 1))
"""  # noqa: E501 - it is another file's


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for split, seed in (("train", 0), ("val", 1)):
        write_mask_folder(tmp_path / "shapes" / split, num_images=2, size=(32, 32), seed=seed)
    (tmp_path / "mine.py").write_text(CODE)
    (tmp_path / "recipe.toml").write_text(
        'name = "own.shapes"\nnetwork = "mine.py:make"\nnetwork_arguments = {width = 6}\n'
        'layout = "mask_folder"\ndata = ["shapes"]\nnum_classes = 4\ntrain_split = "train"\n'
        'val_split = "val"\nsize = [32, 32]\nepochs = 1\nbatch_size = 2\nlearning_rate = 0.01\n'
        "num_workers = 0\n"
    )
    yield tmp_path
    _OWN.clear()


@pytest.mark.usefixtures("folder")
def test_it_trains_predicts_and_is_scored(atrous):
    code, _, error = atrous("train", "recipe.toml", "--out", "run")
    assert code == 0, error
    _OWN.clear()  # as in another process
    weights, images = "run/best.safetensors", "shapes/val/images"
    code, _, error = atrous("predict", weights, images, "--out", "out")
    assert (code, len(error.splitlines())) == (2, 1)
    assert "runs only where you name it yourself; expected --network mine.py:make" in error
    own = ("--network", "mine.py:make")
    assert atrous("predict", weights, images, "--out", "out", *own)[0] == 0
    data = ("shapes", "--layout", "mask_folder", "--split", "val")
    code, text, _ = atrous("evaluate", weights, *data, *own)
    assert code == 0
    assert "mean IoU" in text


def test_what_cannot_be_had_is_refused(folder):
    with pytest.raises(DataError, match=r"nowhere\.py is no file"):
        allow_network("nowhere.py:make")
    with pytest.raises(UnknownNameError, match="Did you mean 'make'"):
        allow_network("mine.py:mak")
    (folder / "broken.py").write_text("1 / 0")
    with pytest.raises(DataError, match=r"broken\.py raised ZeroDivisionError"):
        allow_network("broken.py:make")
    (folder / "wordy.py").write_text("raise ValueError('one\\ntwo')")
    with pytest.raises(DataError, match=r"raised ValueError: one; expected"):
        allow_network("wordy.py:make")
