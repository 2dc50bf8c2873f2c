"""Evaluation counts what the predictor gives, whatever the batches, and checks the classes."""

import pytest
import torch

from atrous.data.catalog import open_layout
from atrous.data.synthetic.shapes import SHAPE_CLASSES, write_mask_folder
from atrous.errors import DataError
from atrous.evaluation.masks import evaluate
from atrous.metrics.boundary import boundary_counts
from atrous.metrics.confusion import confusion_matrix


@pytest.fixture
def samples(tmp_path):
    write_mask_folder(tmp_path, num_images=5, size=(20, 30))
    return open_layout("mask_folder", tmp_path, num_classes=len(SHAPE_CLASSES))


def test_a_perfect_predictor_has_only_a_diagonal(samples):
    masks = iter([samples.rgb8_and_mask(i)[1] for i in range(len(samples))])
    counts = list(
        evaluate(lambda images: [next(masks) for _ in images], samples, class_names=SHAPE_CLASSES)
    )
    assert [count.name for count in counts] == list(samples.names)
    for count in counts:
        square = count.matrix[:-1]
        assert torch.equal(square, torch.diag(square.diagonal()))
        assert square.sum() == 20 * 30


@pytest.mark.parametrize("batch_pixels", [1, 1300])
def test_counts_are_those_of_each_image(samples, batch_pixels):
    def by_brightness(images):
        return [torch.from_numpy(i.mean(-1) > 100).long() for i in images]

    counts = evaluate(by_brightness, samples, class_names=SHAPE_CLASSES, batch_pixels=batch_pixels)
    for count in counts:
        image, truth = samples.rgb8_and_mask(count.index)
        expected = confusion_matrix(
            truth, by_brightness([image])[0], num_classes=len(SHAPE_CLASSES)
        )
        assert torch.equal(count.matrix, expected)


@pytest.mark.parametrize("world_size", [2, 3, 7])
def test_processes_that_share_the_samples_count_what_one_does(samples, world_size):
    def by_brightness(images):
        return [torch.from_numpy(i.mean(-1) > 100).long() for i in images]

    def counted(indices):
        return list(evaluate(by_brightness, samples, class_names=SHAPE_CLASSES, indices=indices))

    alone = {count.index: count.matrix for count in counted(None)}
    parts = [counted(range(rank, len(samples), world_size)) for rank in range(world_size)]
    together = [count for part in parts for count in part]
    assert sorted(count.index for count in together) == sorted(alone) == list(range(5))
    for count in together:
        assert count.name == samples.names[count.index]
        assert torch.equal(count.matrix, alone[count.index])


def test_images_come_in_the_order_in_which_the_network_got_them(tmp_path):
    for name, size in (("small", (20, 30)), ("large", (24, 30))):
        write_mask_folder(tmp_path / name, num_images=3, size=size)
    for index, path in enumerate(sorted((tmp_path / "large").glob("*/*"))):
        path.rename(tmp_path / "small" / path.parent.name / f"{index % 3}b{path.suffix}")
    mixed = open_layout("mask_folder", tmp_path / "small", num_classes=len(SHAPE_CLASSES))
    seen = []

    def remembering(images):
        seen.extend(images)
        return [torch.zeros(image.shape[:2]).long() for image in images]

    counts = list(evaluate(remembering, mixed, class_names=SHAPE_CLASSES, batch_pixels=1300))
    assert [count.index for count in counts] != list(range(6))
    for count, image in zip(counts, seen, strict=True):
        assert (mixed.rgb8_and_mask(count.index)[0] == image).all()


def test_boundaries_are_counted_where_asked_for(samples):
    def all_of_void(images):
        return [torch.full(image.shape[:2], len(SHAPE_CLASSES)) for image in images]

    names = [*SHAPE_CLASSES, "void"]
    plain = list(evaluate(all_of_void, samples, class_names=names))
    assert all(count.boundary is None for count in plain)
    void = len(SHAPE_CLASSES)
    counted = evaluate(all_of_void, samples, class_names=names, void_class=void, with_boundary=True)
    for count in counted:
        truth = samples.rgb8_and_mask(count.index)[1]
        prediction = torch.full_like(truth, void)
        expected = boundary_counts(truth, prediction, num_classes=void + 1, void_class=void)
        assert torch.equal(count.boundary, expected)


def test_data_of_more_classes_than_the_network_is_refused(samples):
    with pytest.raises(DataError, match="but the network only 1"):
        next(evaluate(lambda _: [], samples, class_names=["one"]))


def test_data_of_other_classes_is_refused(samples):
    samples.class_names = tuple(SHAPE_CLASSES)
    names = [f"other {name}" for name in SHAPE_CLASSES]
    with pytest.raises(DataError, match="expected the same classes in the same order"):
        next(evaluate(lambda _: [], samples, class_names=names))
