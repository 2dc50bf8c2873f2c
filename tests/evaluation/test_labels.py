"""Labels are found by name, images by index, whatever the batches and the order."""

import numpy as np
import pytest
import torch
from PIL import Image

from atrous.data.catalog import open_layout
from atrous.data.class_map import OTHER, read_class_map
from atrous.errors import DataError, ShapeError, UnknownNameError
from atrous.evaluation.labels import evaluate_labels, label_classes

COLOURS = {"red": 0, "green": 1, "blue": 2}
NETWORK = ("Blue", "grey", "Green", "Red", "black", "white")


@pytest.fixture
def samples(tmp_path):
    """Plain pictures of three colours and two sizes, in folders named by their colour."""
    for name, channel in COLOURS.items():
        (tmp_path / name).mkdir()
        for index in range(4):
            pixels = np.zeros((8 + index % 2, 9, 3), np.uint8)
            pixels[..., channel] = 100 + index
            Image.fromarray(pixels).save(tmp_path / name / f"{index}.png")
    return open_layout("image_folder", tmp_path).require("labels")


def by_colour(images):
    """The network's class of the brightest channel, then grey, then all others."""
    found = []
    for image in images:
        brightest = int(image.reshape(-1, 3).mean(0).argmax())
        probabilities = torch.full((len(NETWORK),), 0.05)
        probabilities[1] = 0.2
        probabilities[[3, 2, 0][brightest]] = 0.6
        found.append(probabilities)
    return found


@pytest.mark.parametrize("batch_pixels", [1, 200, 10_000])
def test_a_perfect_network_is_always_right_whatever_the_batches(samples, batch_pixels):
    classes = label_classes(samples.label_names, NETWORK)
    images = list(evaluate_labels(by_colour, samples, batch_pixels=batch_pixels))
    assert sorted(image.index for image in images) == list(range(12))
    for image in images:
        assert image.name == samples.names[image.index]
        assert image.truth == samples.labels[image.index]
        assert image.ranking.shape == (5,)
        assert image.probability == pytest.approx(0.6)
    scores = classes.score(images)
    assert scores.top1 == scores.top5 == scores.mean_class_accuracy == 1
    assert scores.num_images == 12


def test_processes_that_share_the_samples_count_what_one_does(samples):
    parts = [
        image.index
        for rank in range(5)
        for image in evaluate_labels(by_colour, samples, indices=range(rank, 12, 5))
    ]
    assert sorted(parts) == list(range(12))


def test_names_that_differ_are_one_error_that_names_the_nearest():
    with pytest.raises(DataError, match=r"1 of the data's 2 labels .* 'grenn' .*'Green'"):
        label_classes(["red", "grenn"], NETWORK)


@pytest.mark.usefixtures("samples")
def test_shared_classes_merge_on_both_sides_and_leave_the_rest_wrong(tmp_path):
    path = tmp_path / "map.toml"
    path.write_text(
        'classes = ["warm", "cold"]\n[data]\nred = "warm"\nblue = "cold"\ngreen = "cold"\n'
        '[network]\nRed = "warm"\nBlue = "cold"\n'
    )
    class_map = read_class_map(path)
    mapped = open_layout("image_folder", tmp_path, remap=path).require("labels")
    classes = label_classes(mapped.label_names, NETWORK, class_map)
    assert classes.names == ("warm", "cold", OTHER)
    scores = classes.score(list(evaluate_labels(by_colour, mapped)))
    # Green is cold in the data, but nothing that is shared to the network.
    assert scores.confusion.tolist() == [[4, 0, 0], [0, 4, 4], [0, 0, 0]]
    assert scores.class_accuracy[:2] == (1, 0.5)


def test_a_map_for_another_network_is_refused(tmp_path):
    path = tmp_path / "map.toml"
    path.write_text('classes = ["a"]\n[data]\nx = "a"\n[network]\nReed = "a"\n')
    with pytest.raises(UnknownNameError, match="Did you mean 'Red'"):
        label_classes(("a",), NETWORK, read_class_map(path))


def test_answers_that_are_no_numbers_are_refused(samples):
    with pytest.raises(ShapeError, match="no numbers"):
        next(evaluate_labels(lambda images: [torch.full((6,), torch.nan)] * len(images), samples))


def test_a_broken_file_is_named(samples, tmp_path):
    (tmp_path / "red" / "0.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(DataError, match=r"0\.png"):
        list(evaluate_labels(by_colour, samples))
