"""CutMix and ClassMix: pieces of a partner, its mask with them, labels in proportion."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F  # noqa: N812

from atrous.data.augment.mixing import classmix, cutmix, cutmix_labels
from atrous.errors import DataError, ShapeError

MIXERS = {"cutmix": cutmix, "classmix": classmix}


def generator(seed=0):
    return np.random.default_rng(seed)


def own_batch(num_samples=4, size=(12, 16)):
    """Sample `i` has the classes 10 i to 10 i + 4 only, and an image that shows them."""
    torch.manual_seed(1)
    masks = torch.randint(0, 5, (num_samples, *size))
    masks += 10 * torch.arange(num_samples).reshape(-1, *[1] * len(size))
    return masks[:, None].repeat(1, 3, *[1] * len(size)).float(), masks


@pytest.mark.parametrize("mixer", MIXERS.values(), ids=MIXERS)
@pytest.mark.parametrize("size", [(12, 16), (5, 6, 7)])
def test_images_and_masks_are_mixed_alike(mixer, size):
    images, masks = own_batch(size=size)
    kept = images.clone(), masks.clone()
    mixed, mixed_masks = mixer(images, masks, generator(), probability=1.0)
    assert torch.equal(mixed, mixed_masks[:, None].expand_as(mixed).float())
    assert not torch.equal(mixed_masks, masks)
    assert torch.equal(images, kept[0])
    assert torch.equal(masks, kept[1])


@pytest.mark.parametrize("mixer", MIXERS.values(), ids=MIXERS)
def test_a_sample_takes_from_one_other_at_the_same_place(mixer):
    images, masks = own_batch()
    _, mixed = mixer(images, masks, generator(), probability=1.0)
    shares = set()
    for index, (before, after) in enumerate(zip(masks, mixed, strict=True)):
        sources = (after // 10).unique().tolist()
        others = [source for source in sources if source != index]
        assert len(others) <= 1
        for other in others:
            is_pasted = after // 10 == other
            assert torch.equal(after[is_pasted], masks[other][is_pasted])
            assert torch.equal(after[~is_pasted], before[~is_pasted])
            shares.add((other - index) % 4)
    assert shares


@pytest.mark.parametrize("mixer", MIXERS.values(), ids=MIXERS)
def test_the_same_generator_gives_the_same_mix(mixer):
    images, masks = own_batch()
    one, other, third = (
        mixer(images, masks, generator(seed), probability=0.7)[1] for seed in (3, 3, 4)
    )
    assert torch.equal(one, other)
    assert not torch.equal(one, third)


@pytest.mark.parametrize("mixer", MIXERS.values(), ids=MIXERS)
def test_probability_none_or_a_batch_of_one_changes_nothing(mixer):
    images, masks = own_batch()
    assert torch.equal(mixer(images, masks, generator(), probability=0.0)[1], masks)
    alone = mixer(images[:1], masks[:1], generator(), probability=1.0)
    assert torch.equal(alone[0], images[:1])
    assert torch.equal(alone[1], masks[:1])
    nobody = mixer(images[:0], masks[:0], generator(), probability=1.0)
    assert nobody[1].shape == (0, 12, 16)


def test_each_sample_is_pasted_on_with_the_probability():
    images, masks = own_batch(400, size=(8, 8))
    _, mixed = classmix(images, masks, generator(), probability=0.3)
    num_changed = int((mixed != masks).flatten(1).any(dim=1).sum())
    assert 0.3 * 400 - 40 < num_changed < 0.3 * 400 + 40  # four deviations


def test_cutmix_pastes_one_box():
    images, masks = own_batch(20)
    _, mixed = cutmix(images, masks, generator(), probability=1.0)
    for before, after in zip(masks, mixed, strict=True):
        rows, columns = torch.nonzero(before != after, as_tuple=True)
        if len(rows):
            height, width = rows.max() - rows.min() + 1, columns.max() - columns.min() + 1
            assert len(rows) == height * width


@pytest.mark.parametrize(("num_classes", "num_pasted"), [(1, 0), (2, 1), (3, 1), (5, 2), (6, 3)])
def test_classmix_pastes_the_smaller_half_of_the_classes(num_classes, num_pasted):
    masks = torch.stack([torch.arange(60).reshape(6, 10) % num_classes, torch.full((6, 10), 99)])
    _, mixed = classmix(torch.zeros(2, 3, 6, 10), masks, generator(), probability=1.0)
    pasted = mixed[1][mixed[1] != 99]
    assert len(pasted.unique()) == num_pasted
    for index in pasted.unique():
        assert torch.equal(mixed[1] == index, masks[0] == index)  # all of its pixels


def test_classmix_never_pastes_what_is_unlabelled():
    masks = torch.zeros(2, 4, 4, dtype=torch.int64)
    masks[:, :2] = 255
    masks[:, 3] = 1
    images = torch.arange(2.0).reshape(2, 1, 1, 1).expand(2, 3, 4, 4)
    for seed in range(10):
        mixed, mixed_masks = classmix(images, masks, generator(seed), probability=1.0)
        assert torch.equal(mixed_masks, masks)
        assert torch.equal(mixed[:, :, :2], images[:, :, :2])


def test_targets_are_the_shares_that_are_seen():
    labels = torch.tensor([2, 0, 1, 2])
    images = F.one_hot(labels, 3).float()[:, :, None, None].expand(-1, -1, 10, 14)
    mixed, targets = cutmix_labels(images, labels, generator(), num_classes=3, probability=1.0)
    assert torch.allclose(targets, mixed.mean(dim=(2, 3)))
    assert torch.allclose(targets.sum(dim=1), torch.ones(4))
    assert F.cross_entropy(torch.zeros(4, 3), targets).item() == pytest.approx(np.log(3))


def test_labels_that_are_not_mixed_are_one_hot():
    labels = torch.tensor([2, 0])
    images = torch.zeros(2, 3, 4, 4, dtype=torch.uint8)
    mixed, targets = cutmix_labels(images, labels, generator(), num_classes=4, probability=0.0)
    assert mixed.dtype == torch.uint8
    assert targets.tolist() == [[0, 0, 1, 0], [1, 0, 0, 0]]


def test_wrong_input_is_refused():
    images, masks = own_batch()
    with pytest.raises(ShapeError, match="same size"):
        cutmix(images, masks[:, :-1], generator(), probability=1.0)
    with pytest.raises(DataError, match="probability"):
        classmix(images, masks, generator(), probability=1.5)
    with pytest.raises(ShapeError, match="one each"):
        cutmix_labels(images, torch.zeros(3), generator(), num_classes=2, probability=1.0)
    with pytest.raises(DataError, match="0 to 1"):
        cutmix_labels(
            images, torch.tensor([0, 1, 2, 0]), generator(), num_classes=2, probability=1.0
        )
