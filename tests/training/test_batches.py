"""The order of samples and their views depend on the seed, the epoch and the sample alone."""

from dataclasses import replace
from itertools import islice

import pytest
import torch

from atrous.data.catalog import open_layout
from atrous.errors import DataError
from atrous.training.batches import Views, epoch_order, feed, plan, steps_per_epoch
from atrous.training.mix import mixed
from atrous.training.run.data import augmentation_of, open_data


@pytest.fixture
def views(recipe):
    train = open_data(recipe).train
    return Views(train, augmentation_of(recipe), seed=0, keeps_images=True, with_labels=False)


def test_an_epoch_holds_every_sample_once():
    orders = [epoch_order(10, seed=3, epoch=epoch).tolist() for epoch in range(3)]
    assert all(sorted(order) == list(range(10)) for order in orders)
    assert orders[0] != orders[1]
    assert orders[0] == epoch_order(10, seed=3, epoch=0).tolist()


def test_a_later_start_gives_the_rest(recipe):
    whole = list(plan(recipe, num_samples=9, first_step=0))
    assert len(whole) == 4 * 3
    for first in (1, 4, 7, 12):
        assert list(plan(recipe, num_samples=9, first_step=first)) == whole[first:]


@pytest.mark.parametrize("num_processes", [2, 4])
def test_processes_share_every_batch(recipe, num_processes):
    recipe = replace(recipe, batch_size=4)
    whole = list(plan(recipe, num_samples=9, first_step=0))
    parts = [
        list(plan(recipe, num_samples=9, first_step=0, rank=rank, num_processes=num_processes))
        for rank in range(num_processes)
    ]
    for step, batch in enumerate(whole):
        shared = [key for part in parts for key in part[step]]
        assert sorted(key.index for key in shared) == sorted(key.index for key in batch)
        assert len({len(part[step]) for part in parts}) == 1


def test_sizes_change_where_the_recipe_says(recipe):
    recipe = replace(recipe, epochs=4, size_steps=((0.5, 16, 24),))
    sizes = [batch[0].size for batch in plan(recipe, num_samples=8, first_step=0)]
    assert sizes == [(16, 24)] * 8 + [(32, 48)] * 8


def test_views_are_the_same_from_memory_from_files_and_from_workers(recipe, views):
    from_files = Views(
        views.layout, views.augmentation, seed=0, keeps_images=False, with_labels=False
    )
    three = [
        list(islice(feed(views, recipe), 5)),
        list(islice(feed(from_files, recipe), 5)),
        list(islice(feed(views, replace(recipe, num_workers=2)), 5)),
    ]
    for batches in zip(*three, strict=True):
        for other in batches[1:]:
            assert torch.equal(batches[0].images, other.images)
            assert torch.equal(batches[0].masks, other.masks)
            assert batches[0].names == other.names


def test_images_of_other_sizes_need_a_size(recipe, tmp_path):
    from atrous.data.synthetic.shapes import write_mask_folder

    root = write_mask_folder(tmp_path, num_images=1, size=(20, 30))
    write_mask_folder(root / "more", num_images=1, size=(30, 20))
    for kind in ("images", "masks"):
        (root / "more" / kind / "0000.png").rename(root / kind / "0001.png")
    layout = open_layout("mask_folder", root, num_classes=4)
    recipe = replace(recipe, size=None)
    views = Views(layout, augmentation_of(recipe), seed=0, keeps_images=False, with_labels=False)
    with pytest.raises(DataError, match="give the recipe a size"):
        next(feed(views, recipe))


def test_a_batch_larger_than_the_data_is_refused():
    assert steps_per_epoch(9, 4) == 2
    with pytest.raises(DataError, match="3 samples, but batch_size is 4"):
        steps_per_epoch(3, 4)


def test_processes_must_share_evenly(recipe, views):
    with pytest.raises(DataError, match="cannot be shared evenly by 3"):
        next(feed(views, recipe, num_processes=3))


@pytest.mark.parametrize("mix", ["cutmix", "classmix"])
def test_mixing_depends_on_the_step_alone(recipe, views, mix):
    recipe = replace(recipe, mix=mix, mix_probability=1.0)
    batch = next(feed(views, recipe))
    first, again, later = (mixed(batch, recipe, num_classes=4, step=step) for step in (3, 3, 4))
    assert torch.equal(first.images, again.images)
    assert not torch.equal(first.images, batch.images)
    assert not torch.equal(first.images, later.images)
