"""What weights know travels with them: preprocessing, and the score with which a run begins."""

from dataclasses import replace

import pytest
import torch

from atrous.networks.weights import load_weights, save_weights
from atrous.pipelines.train import train
from atrous.training.recipe.file import recipe_of

PREPROCESSINGS = {
    "another mean": {"mean": (0.3, 0.2, 0.1), "std": (0.1, 0.2, 0.3)},
    "BGR of 0 to 255": {
        "mean": (70.0, 80.0, 90.0),
        "std": (60.0, 70.0, 80.0),
        "value_range": 255.0,
        "channel_order": "BGR",
    },
}


def recipe(shapes, **changes):
    values = {
        "name": "espnet.again",
        "network": "espnet",
        "network_arguments": {"p": 1, "q": 1},
        "layout": "mask_folder",
        "data": [str(shapes)],
        "num_classes": 4,
        "train_split": "train",
        "val_split": "val",
        "size": [48, 64],
        "epochs": 1,
        "batch_size": 2,
        "learning_rate": 1e-12,
        "num_workers": 0,
        "check_data": False,
    }
    return recipe_of({**values, **changes}, where="a test")


@pytest.fixture
def shapes(tmp_path):
    from atrous.data.synthetic.shapes import write_mask_folder

    for split, seed in (("train", 0), ("val", 1)):
        write_mask_folder(tmp_path / "shapes" / split, num_images=4, size=(48, 64), seed=seed)
    return tmp_path / "shapes"


@pytest.fixture(params=PREPROCESSINGS)
def start(request, shapes, tmp_path):
    """Weights that know shapes a little, trained on pixels that are fed as their card says."""
    first = recipe(shapes, learning_rate=0.01, epochs=3)
    found = train(first, tmp_path / "first", device="cpu")
    weights = load_weights(found.best)
    facts = replace(weights.card.preprocessing, **PREPROCESSINGS[request.param])
    path = tmp_path / "start.safetensors"
    save_weights(path, weights.network, replace(weights.card, preprocessing=facts, scores=()))
    return path


def test_a_run_begins_with_the_score_of_its_start(shapes, start, tmp_path):
    from atrous.pipelines.evaluate.data import evaluate

    run = train(recipe(shapes, weights=str(start)), tmp_path / "run", device="cpu")
    assert [record["epoch"] for record in run.history] == [0, 1]
    expected = evaluate(start, shapes, "mask_folder", split="val").record["miou"]
    assert run.history[0]["scores"]["miou"] == pytest.approx(expected, abs=1e-3)
    assert run.history[0]["losses"] == {}
    kept = load_weights(run.best).card.preprocessing
    assert kept == load_weights(start).card.preprocessing


def test_a_recipe_that_feeds_other_pixels_is_told(shapes, start, tmp_path, caplog):
    mine = recipe(shapes, weights=str(start), mean=[0.5] * 3, std=[0.25] * 3)
    run = train(mine, tmp_path / "run", device="cpu")
    assert "mean (0.5, 0.5, 0.5) instead of" in caplog.text
    assert load_weights(run.best).card.preprocessing.mean == (0.5, 0.5, 0.5)


def test_without_start_weights_the_mean_is_imagenets_and_there_is_no_epoch_0(shapes, tmp_path):
    run = train(recipe(shapes), tmp_path / "run", device="cpu")
    assert [record["epoch"] for record in run.history] == [1]
    assert load_weights(run.best).card.preprocessing.mean == (0.485, 0.456, 0.406)
    assert torch.isfinite(torch.tensor(run.history[0]["scores"]["miou"]))
