"""Recipes of the package, drafts for own data, and what their keys mean."""

import json
import tomllib
from dataclasses import fields

import pytest

from atrous.data.synthetic.shapes import write_mask_folder
from atrous.errors import UnknownNameError
from atrous.pipelines.init import guess, recipe_draft
from atrous.recipes import list_recipes, resolve
from atrous.training.recipe.describe import describe_keys, schema
from atrous.training.recipe.file import read_recipe, recipe_of
from atrous.training.recipe.recipe import Recipe


@pytest.mark.parametrize("name", list_recipes())
def test_every_recipe_of_the_package_is_read_and_its_lists_are_there(name):
    recipe = read_recipe(f"recipe:{name}")
    assert all(resolve(path).is_file() for path in (*recipe.train_subset, *recipe.val_subset))


def test_recipes_are_listed_by_what_they_are_for(atrous):
    code, text, _ = atrous("recipes")
    assert code == 0
    assert len(text.splitlines()) == len(list_recipes())
    assert json.loads(atrous("recipes", "--json")[1]) == list_recipes()


def test_an_unknown_recipe_is_answered_with_the_nearest(atrous, tmp_path):
    with pytest.raises(UnknownNameError, match="Did you mean 'people'"):
        resolve("recipe:poeple")
    code, _, error = atrous("train", "recipe:poeple", "--out", tmp_path / "run")
    assert code == 2
    assert "Did you mean 'people'" in error


def test_every_key_is_described_once_and_the_schema_holds_it():
    described = {key.name for key in describe_keys()}
    assert described == {field.name for field in fields(Recipe)}
    assert set(schema()["properties"]) == described
    assert set(schema()["required"]) == {
        "name", "network", "layout", "data", "epochs", "batch_size", "learning_rate"
    }  # fmt: skip


def test_keys_are_printed(atrous):
    assert "learning_rate  (float; required; above 0)" in atrous("recipes", "--keys")[1]
    rows = json.loads(atrous("recipes", "--keys", "--json")[1])
    assert {row["for"] for row in rows} == {"all", "images", "volumes"}


def test_a_draft_is_a_recipe_that_trains(atrous, tmp_path):
    write_mask_folder(tmp_path / "shapes" / "train", num_images=4, size=(48, 64))
    write_mask_folder(tmp_path / "shapes" / "val", num_images=2, size=(48, 64), seed=1)
    found = guess(tmp_path / "shapes")
    assert (found.layout, found.train_split, found.val_split) == ("mask_folder", "train", "val")
    assert found.size == (32, 64)
    recipe = tmp_path / "mine.toml"
    code, text, _ = atrous("init", tmp_path / "shapes", "--out", recipe)
    assert code == 0
    assert "layout mask_folder" in text
    settings = ("--set", "epochs=1", "--set", "batch_size=2", "--set", "num_workers=0")
    smaller = ("--set", "network_arguments={p=1, q=1}")
    code, _, error = atrous("train", recipe, "--out", tmp_path / "run", *settings, *smaller)
    assert code == 0, error
    assert (tmp_path / "run/best.safetensors").is_file()


def test_a_draft_names_every_key_that_its_data_know(tmp_path):
    write_mask_folder(tmp_path / "shapes", num_images=2, size=(32, 32))
    text = recipe_draft(tmp_path / "shapes", guess(tmp_path / "shapes"))
    values = tomllib.loads(text)
    recipe_of(values, where="the draft")
    for key in describe_keys():
        if key.data != "volumes":
            assert f"{key.name} = " in text


def test_a_recipe_that_is_there_is_not_overwritten(atrous, tmp_path):
    write_mask_folder(tmp_path / "shapes", num_images=2, size=(32, 32))
    (tmp_path / "recipe.toml").write_text("mine")
    command = ("init", tmp_path / "shapes", "--out", tmp_path / "recipe.toml")
    code, _, error = atrous(*command)
    assert (code, len(error.splitlines())) == (2, 1)
    assert (tmp_path / "recipe.toml").read_text() == "mine"
    assert atrous(*command, "--overwrite")[0] == 0


def test_a_folder_of_nothing_known_is_refused(atrous, tmp_path):
    code, _, error = atrous("init", tmp_path, "--out", tmp_path / "recipe.toml")
    assert code == 2
    assert "is laid out as none of" in error
    assert not (tmp_path / "recipe.toml").exists()
