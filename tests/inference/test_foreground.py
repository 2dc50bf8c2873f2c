"""The class that stays in front, and its probability alone."""

import numpy as np
import pytest
import torch

import atrous
from atrous.errors import DataError, ShapeError, UnknownNameError
from atrous.inference import foreground_class, predict_files
from atrous.networks.card import Card
from atrous.networks.preprocessing.images import Preprocessing


def card(*names):
    return Card(
        name="espnet.some",
        network="espnet",
        task="segmentation",
        class_names=names,
        palette=((0, 0, 0),) * len(names),
        preprocessing=Preprocessing(mean=(0.5,) * 3, std=(0.25,) * 3),
    )


@pytest.mark.parametrize(
    ("names", "index"),
    [
        (("background", "cell"), 1),
        (("cell", "background"), 0),
        (("background", "person"), 1),
        (("sky", "person"), 1),
        (("road", "person", "rider"), 1),
    ],
)
def test_the_card_tells_it(names, index):
    assert foreground_class(card(*names)) == index


@pytest.mark.parametrize("names", [("road", "car"), ("background", "cat", "dog"), ("cell",)])
def test_where_the_card_does_not_tell_the_classes_are_listed(names):
    with pytest.raises(DataError, match=f"--foreground: {', '.join(names)}"):
        foreground_class(card(*names))


def test_a_class_that_is_named_is_taken_or_answered_with_the_nearest():
    assert foreground_class(card("background", "cat", "dog"), "dog") == 2
    with pytest.raises(UnknownNameError, match=r"class of espnet.some .* mean 'dog'"):
        foreground_class(card("background", "cat", "dog"), "dgo")


def test_its_probability_is_that_among_all_classes(tiny_weights):
    image = np.random.default_rng(0).integers(0, 256, (37, 50, 3), np.uint8)
    predictor = atrous.load(tiny_weights)
    every = predictor.predict_probabilities(image)
    for index in range(4):
        (alone,) = predictor.predict_foreground([image], foreground=index)
        assert alone.probabilities.shape == (1, 37, 50)
        assert torch.allclose(alone.probabilities[0], every.probabilities[index], atol=1e-6)
        assert torch.equal(alone.mask, every.mask)


def test_images_of_two_sizes_are_no_batch(tiny_weights):
    predictor = atrous.load(tiny_weights)
    images = [np.zeros((8, 8, 3), np.uint8), np.zeros((8, 9, 3), np.uint8)]
    with pytest.raises(ShapeError, match="give one size"):
        predictor.predict_foreground(images, foreground=0)
    assert predictor.predict_foreground([], foreground=0) == []


def test_files_get_it_where_it_is_asked_for(tiny_weights, tmp_path):
    from PIL import Image

    for index, size in enumerate([(20, 30), (20, 30), (9, 5)]):
        Image.new("RGB", size, (90, 30 * index, 0)).save(tmp_path / f"{index}.png")
    predictor, paths = atrous.load(tiny_weights), sorted(tmp_path.iterdir())
    plain = {r.path: r.prediction for r in predict_files(predictor, paths)}
    for result in predict_files(predictor, paths, foreground=2):
        assert plain[result.path].probabilities is None
        assert result.prediction.probabilities.shape == (1, *result.image.shape[:2])
