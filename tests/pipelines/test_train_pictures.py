"""Pictures of a run that was killed between its checkpoint and them."""

import pytest

from atrous.data.synthetic.shapes import write_mask_folder
from atrous.pipelines import train_pictures
from atrous.pipelines.train import train

RECIPE = """
name = "espnet.shapes"
network = "espnet"
network_arguments = { p = 1, q = 1 }
layout = "mask_folder"
data = "data"
train_split = "train"
val_split = "val"
num_classes = 4
size = [24, 32]
epochs = 2
batch_size = 2
learning_rate = 1e-3
samples_every = 1
num_threads = 1
"""


class KilledError(Exception):
    pass


@pytest.mark.parametrize("epoch", [1, 2])
def test_they_are_drawn_when_the_run_goes_on(tmp_path, monkeypatch, epoch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    write_mask_folder(tmp_path / "data/train", num_images=4, size=(24, 32), seed=0)
    write_mask_folder(tmp_path / "data/val", num_images=2, size=(24, 32), seed=1)
    (tmp_path / "recipe.toml").write_text(RECIPE)
    train("recipe.toml", out="whole", device="cpu")
    draw = train_pictures.write_pictures

    def killed(run, number):
        if number == epoch:
            raise KilledError
        draw(run, number)

    with monkeypatch.context() as patched:
        patched.setattr(train_pictures, "write_pictures", killed)
        with pytest.raises(KilledError):
            train("recipe.toml", out="killed", device="cpu")
    train("recipe.toml", out="killed", device="cpu")
    names = ["curves.svg", "samples/epoch-0001.png", "samples/epoch-0002.png"]
    for name in names:
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
