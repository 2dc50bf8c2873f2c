"""Recipes are read strictly: unknown keys, wrong types and bad values are named."""

import tomllib

import pytest

from atrous.errors import DataError, UnknownNameError
from atrous.training.recipe.file import read_recipe, recipe_of, recipe_text

LEAST = """
name = "espnet.test"
network = "espnet"
layout = "camvid"
data = "CamVid"
epochs = 2
batch_size = 4
learning_rate = 1e-3
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "recipe.toml"
    path.write_text(LEAST)
    return path


def test_one_folder_needs_no_brackets_and_whole_numbers_may_be_rates(file):
    recipe = read_recipe(file, ["learning_rate=1"])
    assert recipe.data == ("CamVid",)
    assert recipe.learning_rate == 1.0
    assert isinstance(recipe.learning_rate, float)


def test_settings_go_over_the_file(file):
    recipe = read_recipe(
        file, ["epochs=7", "losses={dice=1, lovasz=0.5}", "size=[64, 96]", "name=espnet.other"]
    )
    assert (recipe.epochs, recipe.size, recipe.name) == (7, (64, 96), "espnet.other")
    assert dict(recipe.losses) == {"dice": 1.0, "lovasz": 0.5}


def test_lists_of_names_lie_beside_the_recipe(file):
    recipe = read_recipe(file, ['train_subset="splits/a.txt"'])
    assert recipe.train_subset == (str(file.parent / "splits/a.txt"),)


def test_the_resolved_text_reads_back_equal(file):
    recipe = read_recipe(
        file,
        [
            "size_steps=[[0.5, 64, 96]]",
            "network_arguments={p=2, joins_image_in_skip=false}",
            'source="a \\"quoted\\" word, ünïcode"',
            "clip=5.0",
        ],
    )
    assert recipe_of(tomllib.loads(recipe_text(recipe)), where="text") == recipe


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("epochs=0", "epochs = 0, expected at least 1"),
        ("epochs=2.5", r"epochs is 2\.5, expected a whole number"),
        ("epochs=true", "epochs is True, expected a whole number"),
        ('learning_rate="fast"', "learning_rate is 'fast', expected a number"),
        ("size=[64]", "size is .64., expected a list of a whole number, a whole number"),
        ("precision=half", "precision is 'half', expected 'float32' or 'bfloat16' or 'float16'"),
        ("losses={}", "losses are empty"),
        ("ema=1.5", r"ema = 1\.5, expected above 0, below 1"),
        ("size_steps=[[0.9, 8, 8], [0.5, 8, 8]]", "expected rising shares"),
        ("mean=[0.5]", "expected both, as many numbers"),
        ("mean=[123, 116, 103]", r"expected it of pixels in \[0, 1\]: divide by 255"),
        ("train_subset=[]", None),
        ('train_subset=["a", "b"]', "names 2 lists, expected one for each"),
        ("epochs", "is no key=value"),
    ],
)
def test_a_bad_value_is_named_with_what_is_expected(file, setting, message):
    if message is None:
        read_recipe(file, [setting])
        return
    with pytest.raises(DataError, match=message):
        read_recipe(file, [setting])


def test_an_unknown_key_is_answered_with_the_nearest(file):
    with pytest.raises(UnknownNameError, match="Did you mean 'batch_size'"):
        read_recipe(file, ["batchsize=8"])


def test_a_missing_key_is_named(tmp_path):
    path = tmp_path / "recipe.toml"
    path.write_text('name = "a.b"\nnetwork = "espnet"\n')
    with pytest.raises(DataError, match="lacks layout, data, epochs, batch_size, learning_rate"):
        read_recipe(path)


@pytest.mark.parametrize("content", ["name = ", "\xff\xfe", None])
def test_what_is_no_recipe_is_refused(tmp_path, content):
    path = tmp_path / "recipe.toml"
    if content is not None:
        path.write_bytes(content.encode("latin-1"))
    with pytest.raises(DataError, match="expected a recipe in TOML"):
        read_recipe(path)
