"""`atrous train` as a user types it: what it prints, leaves, refuses, and how it goes on."""

import json
from functools import partial
from pathlib import Path

import pytest
from accelerate.state import AcceleratorState

from atrous.data.synthetic.shapes import write_mask_folder
from atrous.networks.weights import load_weights, save_weights

RECIPE = """
name = "espnet.shapes"
network = "espnet"
network_arguments = { p = 1, q = 1 }
layout = "mask_folder"
data = "shapes"
train_split = "train"
val_split = "val"
num_classes = 4
class_names = ["background", "disc", "square", "stripe"]
size = [32, 48]
epochs = 2
batch_size = 4
learning_rate = 2e-3
"""


@pytest.fixture(autouse=True)
def _folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    write_mask_folder("shapes/train", num_images=8, size=(32, 48), seed=0)
    write_mask_folder("shapes/val", num_images=4, size=(32, 48), seed=1)
    Path("recipe.toml").write_text(RECIPE)


@pytest.fixture(autouse=True)
def _precision():
    """Each test is a process of its own to Accelerate, which keeps the first one's precision."""
    yield
    AcceleratorState._reset_state()


@pytest.fixture
def train(atrous):
    """Run `atrous train recipe.toml …` in this process; gives exit code, stdout and stderr."""
    return partial(atrous, "train", "recipe.toml", "--device", "cpu")


def test_a_run_leaves_what_its_folder_promises(train):
    code, out, err = train()
    assert code == 0, err
    assert "8 training and 4 validation samples, 2 steps an epoch" in err
    assert out.count("epoch ") >= 2
    assert "done: best miou" in out
    run = Path("runs/espnet.shapes")
    for name in ("recipe.toml", "run.json", "curves.svg", "samples/epoch-0002.png"):
        assert (run / name).is_file(), name
    facts = json.loads((run / "run.json").read_text())
    assert facts["finished"] is True
    assert facts["seed"] == 0
    assert facts["command"].startswith("atrous train recipe.toml")
    card = load_weights(run / "best.safetensors").card
    assert card.class_names[1] == "disc"
    assert {score.protocol for score in card.scores} == {"void_ignored"}


def test_the_same_command_again_finds_it_done(train):
    train()
    before = Path("runs/espnet.shapes/last.safetensors").read_bytes()
    code, out, _ = train()
    assert code == 0
    assert out.startswith("done: best miou")
    assert Path("runs/espnet.shapes/last.safetensors").read_bytes() == before


def test_json_gives_a_line_an_epoch(train):
    code, out, _ = train("--json")
    assert code == 0
    records = [json.loads(line) for line in out.splitlines()]
    assert [record["epoch"] for record in records] == [1, 2]
    assert set(records[0]) >= {"losses", "scores", "images_per_second", "learning_rate"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--set", "batchsize=4"), "Did you mean 'batch_size'"),
        (("--set", "epochs=many"), "expected a whole number"),
        (("--set", "learning_rate=1e9", "--set", "schedule=constant"), "lower learning_rate"),
        (("--set", "layout=mask_foldr"), "Did you mean 'mask_folder'"),
        (("--set", "network=espnt"), "Did you mean 'espnet'"),
        (("--set", "train_split=tran"), "Did you mean 'train'"),
        (("--set", "fit=sideways"), "fit 'sideways'"),
        (("--set", "weights=nothing.safetensors"), "found nothing"),
        (("--set", "mix=classmix", "--set", "mix_probability=2"), "expected at least 0, at most 1"),
        (("--set", "schedule=cosin"), "Did you mean 'cosine'"),
        (("--resume",), "holds no run to go on with"),
        (("--resume", "--overwrite"), "expected one"),
        (("--device", "cuda"), "is not usable here"),
        (("--set", "precision=bfloat16"), "bfloat16 on a CPU"),
        (("--set", "protocol=voc"), "protocol"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(train, arguments, words):
    code, _, err = train(*arguments)
    last = err.strip().splitlines()[-1]
    assert code == 2
    assert words in last
    assert "Traceback" not in err


def test_a_missing_mask_is_named(train):
    Path("shapes/train/masks/0003.png").unlink()
    code, _, err = train()
    assert code == 2
    assert "0003" in err
    assert not Path("runs").exists()


def test_broken_data_stops_with_a_list(train):
    Path("shapes/train/images/0003.png").write_bytes(b"no image")
    Path("shapes/train/images/0005.png").write_bytes(b"nor this")
    code, _, err = train()
    assert code == 2
    assert "2 errors in 8 images" in err
    assert "0003" in err
    assert "0005" in err
    assert not Path("runs").exists()


def test_an_empty_split_is_refused(train):
    for path in Path("shapes/val").rglob("*.png"):
        path.unlink()
    code, _, err = train()
    assert code == 2
    assert "val/images: no image in this folder" in err
    assert not Path("runs").exists()


@pytest.mark.slow
def test_a_folder_of_another_recipe_is_refused_unless_overwritten(train):
    train("--out", "run")
    code, _, err = train("--out", "run", "--set", "seed=1")
    assert code == 2
    assert "seed was 0 and is 1" in err
    code, _, _ = train("--out", "run", "--set", "seed=1", "--overwrite")
    assert code == 0


def test_a_run_is_done_again_to_the_bit_and_says_what_differs(train, atrous, caplog):
    assert train("--out", "first")[0] == 0
    code, out, err = atrous("train", "--again", "first", "--device", "cpu")
    assert code == 0, err
    assert "the last weights have the same bits as first" in out
    ours, theirs = (Path(name) / "last.safetensors" for name in ("first", "first-again"))
    assert ours.read_bytes() == theirs.read_bytes()
    facts = json.loads(Path("first/run.json").read_text())
    Path("first/run.json").write_text(json.dumps({**facts, "versions": {"torch": "1.0"}}))
    other = load_weights(ours)
    next(other.network.parameters()).data.add_(1)
    save_weights(ours, other.network, other.card)
    code, out, err = atrous("train", "--again", "first", "--out", "third", "--device", "cpu")
    assert code == 0, err
    assert "versions was {'torch': '1.0'} and is" in caplog.text
    assert "the last weights have the same bits" not in out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--again", "nowhere"), "nowhere holds no run"),
        (("recipe.toml", "--again", "nowhere"), "Found both of RECIPE and --again RUN"),
        ((), "Found neither of RECIPE and"),
        (("--again", "nowhere", "--set", "epochs=3"), "takes no --set"),
        (("--again", "nowhere", "--threads", "1"), "takes no --set"),
    ],
)
def test_a_run_that_cannot_be_done_again_is_one_line(atrous, options, message):
    code, _, err = atrous("train", *options)
    assert code == 2
    assert message in err
