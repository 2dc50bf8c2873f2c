"""Training on real street scenes: killed at any moment it ends with the same bits."""

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

RECIPE = """
name = "espnet.camvid_part"
network = "espnet"
network_arguments = {{ p = 2, q = 8 }}
layout = "camvid"
data = "{data}"
train_split = "train"
val_split = "val"
val_subset = "val.txt"
limit = 32
size = [96, 128]
scale = [0.25, 0.5]
brightness = 0.2
losses = {{ cross_entropy = 1.0, lovasz = 1.0 }}
class_weights = "espnet"
epochs = 6
batch_size = 4
learning_rate = 1e-3
schedule = "one_cycle"
clip = 5.0
ema = 0.9
evaluate_every = 3
check_data = false
checkpoint_minutes = 0.02
"""

pytestmark = pytest.mark.real


@pytest.fixture
def recipe(shared: Path, tmp_path: Path) -> Path:
    path = tmp_path / "recipe.toml"
    path.write_text(RECIPE.format(data=shared / "data/camvid"))
    names = sorted(file.stem for file in (shared / "data/camvid/val").iterdir())
    (tmp_path / "val.txt").write_text("".join(f"{name}\n" for name in names[:4]))
    return path


def train(recipe: Path, out: Path, workers: int) -> subprocess.Popen[str]:
    command = (sys.executable, "-m", "atrous.cli.main", "train", str(recipe))
    return subprocess.Popen(
        (*command, "--out", str(out), "--device", "cpu", "--set", f"num_workers={workers}"),
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def checkpoints(out: Path) -> set[Path]:
    return set(out.glob("checkpoints/*.pt"))


@pytest.mark.parametrize("workers", [0, 2])
def test_killed_three_times_and_resumed_the_weights_are_the_same(recipe, tmp_path, workers):
    whole = train(recipe, tmp_path / "whole", workers)
    out, err = whole.communicate(timeout=300)
    assert whole.returncode == 0, err
    assert "done: best miou" in out

    moments = random.Random(workers)  # noqa: S311 - any moments will do
    kills = 0
    for _ in range(3):
        before = checkpoints(tmp_path / "killed")
        process = train(recipe, tmp_path / "killed", workers)
        while process.poll() is None and not checkpoints(tmp_path / "killed") - before:
            time.sleep(0.05)
        time.sleep(moments.uniform(0, 1))
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=60)
        kills += process.returncode == -signal.SIGKILL
        for path in (tmp_path / "killed").rglob("*.safetensors"):
            load_file(path)  # whole, or not there
    assert kills >= 2
    last = train(recipe, tmp_path / "killed", workers)
    out, err = last.communicate(timeout=300)
    assert last.returncode == 0, err
    expected = load_file(tmp_path / "whole/last.safetensors")
    found = load_file(tmp_path / "killed/last.safetensors")
    assert expected.keys() == found.keys()
    assert all(torch.equal(tensor, found[name]) for name, tensor in expected.items())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_asked_to_stop_it_saves_and_says_so(recipe, tmp_path, number):
    process = train(recipe, tmp_path / "run", 0)
    while process.poll() is None and not checkpoints(tmp_path / "run"):
        time.sleep(0.05)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert "which is saved; the same command goes on from there" in err
    assert "Traceback" not in err
