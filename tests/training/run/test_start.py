"""What weights know travels with them: preprocessing, and the score with which a run begins."""

from dataclasses import replace

import pytest
import torch

from atrous.errors import DataError
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


def test_a_size_and_a_middle_of_classifiers_are_not_of_masks():
    from atrous.networks.card import Card
    from atrous.networks.preprocessing.images import Preprocessing
    from atrous.training.run.from_card import preprocessing_of

    facts = Preprocessing(
        mean=(0.5,) * 3, std=(0.2,) * 3, size=(224, 224), shorter_side=256, channel_order="BGR"
    )
    start = Card(
        name="a.b",
        network="resnet18",
        task="classification",
        class_names=("a",),
        palette=((0, 0, 0),),
        preprocessing=facts,
    )
    mine = recipe("data")
    assert preprocessing_of(mine, start, task="classification") == facts
    of_masks = preprocessing_of(mine, start, task="segmentation")
    assert of_masks == replace(facts, size=None, shorter_side=None)
    # Mean, order and range are one statement; the recipe's sizes are another.
    mine = recipe("data", mean=[10, 20, 30], std=[5, 5, 5], value_range=255, predict_size=[])
    said = preprocessing_of(mine, start, task="classification")
    assert (said.channel_order, said.value_range, said.mean) == ("RGB", 255, (10, 20, 30))
    assert (said.size, said.shorter_side) == (None, None)


def test_pixels_of_0_to_255_in_bgr_can_be_trained_on(shapes, tmp_path):
    mine = recipe(
        shapes,
        mean=[70, 80, 90],
        std=[60, 70, 80],
        value_range=255,
        channel_order="BGR",
        final_scale=1 / 255,
        resize_filter="bilinear",
        preprocessing_steps=["normalise", "resize", "scale"],
        predict_size=[48, 64],
    )
    found = load_weights(train(mine, tmp_path / "run", device="cpu").best).card.preprocessing
    assert found.channel_order == "BGR"
    assert (found.mean, found.std) == ((70, 80, 90), (60, 70, 80))
    assert (found.value_range, found.final_scale) == (255, 1 / 255)
    assert (found.interpolation, found.steps[0], found.size) == ("bilinear", "normalise", (48, 64))


@pytest.mark.parametrize(
    "changes",
    [
        {"mean": [123.675, 116.28, 103.53], "std": [58.4, 57.1, 57.4]},
        {"mean": [0.5, 0.5, 0.5], "std": [58.4, 57.1, 57.4]},
        {"mean": [0.5, 0.5, 0.5]},
        {"value_range": 255},
        {"channel_order": "BGR"},
        {"momentum": 1.0},
        {"momentum": -0.1},
        {"weight_decay": -1},
        {"label_smoothing": -0.1},
        {"losses": {"cross_entropy": -1}},
        {"learning_rate_factors": {"encoder": -0.1}},
        {"seed": -1},
        {"learning_rate": float("nan")},
        {"warmup_epochs": -1},
        {"auxiliary_weight": float("inf")},
        {"size_cycle": [[0, 4]]},
    ],
)
def test_what_is_out_of_range_is_refused(changes):
    with pytest.raises(DataError, match="expected"):
        recipe("data", **changes)


def test_names_void_and_resizing_are_the_cards(shapes, start, tmp_path, caplog):
    weights = load_weights(start)
    names = ("ground", "disc", "box", "none")
    card = replace(
        weights.card,
        class_names=names,
        void_class=3,
        mask_resize="nearest",
        palette=((1, 2, 3),) * 4,
    )
    save_weights(start, weights.network, card)
    silent = load_weights(
        train(recipe(shapes, weights=str(start)), tmp_path / "a", device="cpu").best
    ).card
    assert (silent.class_names, silent.void_class, silent.mask_resize) == (names, 3, "nearest")
    assert silent.palette == card.palette
    assert "the classes are called as on the card" in caplog.text
    caplog.clear()
    others = recipe(shapes, weights=str(start), class_names=["a", "b", "c", "d"])
    named = load_weights(train(others, tmp_path / "b", device="cpu").best).card
    assert (named.class_names, named.void_class) == (("a", "b", "c", "d"), None)
    assert "the classes are a, b, c, d instead of ground, disc, box, none" in caplog.text


def test_volumes_are_prepared_as_the_card_says(volume_recipe, tmp_path, caplog):
    from accelerate import Accelerator

    from atrous.training.run.open import open_run

    changes = {"spacing": (1.0, 1.0, 1.5), "crop": "nonzero", "normalise": "min_max"}
    first = replace(volume_recipe, **changes, clip_values=(0.0, 250.0), ema=None, epochs=3)
    for _ in open_run(first, tmp_path / "first", Accelerator(cpu=True)).steps():
        pass
    start = tmp_path / "first/last.safetensors"
    still = {"learning_rate": 1e-12, "freeze_batch_norm": True, "ema": None}
    silent = replace(volume_recipe, weights=str(start), epochs=1, **still)
    run = open_run(silent, tmp_path / "again", Accelerator(cpu=True))
    for _ in run.steps():
        pass
    theirs, ours = load_weights(start).card.volume, run.card.volume
    assert ours == theirs
    assert (ours.spacing, ours.crop, ours.normalise) == tuple(changes.values())
    scores = [record["scores"]["dice"] for record in run.history]
    assert scores[0] == pytest.approx(scores[1])
    told = replace(silent, normalise="z_score", clip_values=())
    open_run(told, tmp_path / "other", Accelerator(cpu=True))
    assert "clip_values None instead of (0.0, 250.0)" in caplog.text
    assert "normalise z_score instead of min_max" in caplog.text


def test_half_of_an_encoder_is_no_start_unless_it_is_asked_for(shapes, start, tmp_path, caplog):
    wider = {"network_arguments": {"p": 2, "q": 3}, "weights": str(start)}
    taken = recipe(shapes, **wider, replace_head=True)
    train(taken, tmp_path / "deeper", device="cpu")  # its blocks are more, and those it has fit
    assert "of the" in caplog.text
    other = recipe(shapes, network="ynet_seg", network_arguments={}, weights=str(start))
    with pytest.raises(DataError, match=r"learned numbers, are taken.*allow_partial = true"):
        train(replace(other, replace_head=True), tmp_path / "none", device="cpu")
    assert not (tmp_path / "none").exists()
