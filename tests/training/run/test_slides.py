"""Training from slides: the same patches whoever reads them, and a card that says the scale."""

from dataclasses import replace

import pytest
import torch
from accelerate import Accelerator

from atrous.data.synthetic.slides import write_slide_folder
from atrous.errors import DataError
from atrous.networks.card import Card
from atrous.networks.weights import load_weights
from atrous.training.batches import DrawnPatches, feed
from atrous.training.recipe.recipe import Recipe
from atrous.training.run.data import augmentation_of, card_of, num_views, open_data
from atrous.training.run.open import open_run

pytest.importorskip("tifffile", reason="needs the extra slides")
pytest.importorskip("openslide", reason="needs the extra slides")
pytest.importorskip("skimage", reason="needs the extra slides")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    root = tmp_path_factory.mktemp("slides")
    for seed, split in enumerate(("train", "val")):
        write_slide_folder(root / split, num_slides=1, size=(512, 600), seed=seed)
    return root


@pytest.fixture
def recipe(made):
    return Recipe(
        name="espnet.slides",
        network="espnet",
        network_arguments={"p": 1, "q": 1},
        layout="slides",
        data=(str(made),),
        train_split="train",
        val_split="val",
        mpp=4.0,
        size=(48, 64),
        patch_size=(64, 64),
        patches_per_epoch=6,
        stain=0.1,
        epochs=2,
        evaluate_every=2,
        batch_size=2,
        learning_rate=1e-3,
    )


def batches_of(recipe, **settings):
    views = DrawnPatches(
        open_data(recipe).train, augmentation_of(recipe), seed=recipe.seed, num_patches=6
    )
    return list(feed(views, replace(recipe, **settings)))


def test_patches_are_the_same_whatever_the_number_of_workers(recipe):
    alone, shared = batches_of(recipe), batches_of(recipe, num_workers=2)
    assert len(alone) == len(shared) == 6
    for one, other in zip(alone, shared, strict=True):
        assert one.names == other.names
        assert torch.equal(one.images, other.images)
        assert torch.equal(one.masks, other.masks)
    assert alone[0].images.shape == (2, 3, 48, 64)
    names = [name for batch in alone for name in batch.names]
    assert len(set(names)) > 6, "every epoch draws others"


def test_an_epoch_has_as_many_patches_as_the_recipe_says_or_as_cover_the_tissue(recipe):
    data = open_data(recipe)
    assert num_views(data, recipe) == 6
    assert num_views(data, replace(recipe, patches_per_epoch=None)) == len(data.train)


def test_the_card_says_the_scale(recipe):
    card = card_of(recipe, open_data(recipe))
    assert card.mpp == 4.0
    assert card.class_names[7] == "necrosis"
    assert card.palette[7] == (255, 0, 0), "the published colours"
    assert Card.from_json(card.to_json()) == card


def test_a_run_that_was_stopped_ends_as_one_that_was_not(recipe, tmp_path):
    whole = open_run(recipe, tmp_path / "whole", Accelerator(cpu=True))
    for _ in whole.steps():
        pass
    stopped = open_run(recipe, tmp_path / "stopped", Accelerator(cpu=True))
    steps = stopped.steps()
    for _ in range(4):
        next(steps)
    stopped.save()
    steps.close()
    resumed = open_run(recipe, tmp_path / "stopped", Accelerator(cpu=True))
    assert resumed.state.step == 4
    for _ in resumed.steps():
        pass
    whole_end, stopped_end = (
        load_weights(tmp_path / kind / "last.safetensors") for kind in ("whole", "stopped")
    )
    assert whole_end.card.mpp == stopped_end.card.mpp == 4.0
    others = stopped_end.network.state_dict()
    for name, tensor in whole_end.network.state_dict().items():
        assert torch.equal(tensor, others[name]), name


@pytest.mark.parametrize(
    ("key", "value"), [("mpp", 0.0), ("patch_size", (0, 4)), ("patches_per_epoch", 0)]
)
def test_impossible_keys_are_refused(recipe, key, value):
    with pytest.raises(DataError, match=f"The recipe has {key} = "):
        replace(recipe, **{key: value})
