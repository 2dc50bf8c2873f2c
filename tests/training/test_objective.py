"""What a network of each task learns by, and what a recipe may not ask of it."""

from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F  # noqa: N812 - the name everybody reads

from atrous.errors import DataError
from atrous.training.batches import Batch
from atrous.training.objective import objective_of


def batch(*, masks=None, labels=None):
    count = len(masks if labels is None else labels)
    return Batch(torch.zeros(count, 3, 2, 2, dtype=torch.uint8), masks, labels, ("a",) * count)


def test_a_joint_loss_is_that_of_masks_and_so_much_of_labels(recipe):
    recipe = replace(recipe, diagnosis_weight=0.5)
    objective = objective_of(recipe, "joint", num_classes=4, class_weights=None)
    logits, said = torch.randn(2, 4, 2, 2), torch.randn(2, 3)
    masks, labels = torch.randint(4, (2, 2, 2)), torch.tensor([0, 2])
    total, parts = objective((logits, said), batch(masks=masks, labels=labels))
    expected = F.cross_entropy(logits, masks) + 0.5 * F.cross_entropy(said, labels)
    torch.testing.assert_close(total, expected)
    assert set(parts) == {"masks", "labels"}


def test_auxiliary_heads_are_resized_to_the_mask_and_added(recipe):
    recipe = replace(recipe, auxiliary_weight=0.4)
    objective = objective_of(recipe, "segmentation", num_classes=4, class_weights=None)
    logits, early = torch.randn(1, 4, 4, 4), torch.randn(1, 4, 1, 1)
    masks = torch.randint(4, (1, 4, 4))
    total, _ = objective((logits, early), batch(masks=masks))
    spread = F.cross_entropy(early.expand(1, 4, 4, 4), masks)
    torch.testing.assert_close(total, F.cross_entropy(logits, masks) + 0.4 * spread)


def test_shares_of_mixed_images_are_learned_as_shares(recipe):
    recipe = replace(recipe, class_weights="none", mix="cutmix")
    objective = objective_of(recipe, "classification", num_classes=3, class_weights=None)
    logits, shares = torch.randn(2, 3), torch.tensor([[1.0, 0, 0], [0, 0.25, 0.75]])
    total, parts = objective((logits,), batch(labels=shares))
    expected = -(shares * logits.log_softmax(1)).sum(1).mean()
    torch.testing.assert_close(total, expected)
    assert parts == {}


@pytest.mark.parametrize(
    ("task", "changes", "message"),
    [
        ("classification", {"losses": {"dice": 1.0}}, "expected cross_entropy alone"),
        ("classification", {"class_weights": "enet"}, "counted from the pixels of masks"),
        ("classification", {"mix": "classmix"}, "cuts along masks"),
        ("joint", {"mix": "cutmix"}, "a mixed image has no one label"),
    ],
)
def test_what_the_task_cannot_learn_by_is_refused(recipe, task, changes, message):
    plain = {"class_weights": "none"} | changes
    with pytest.raises(DataError, match=message):
        objective_of(replace(recipe, **plain), task, num_classes=4, class_weights=None)


def test_data_of_the_wrong_kind_is_named(recipe):
    objective = objective_of(recipe, "segmentation", num_classes=4, class_weights=None)
    with pytest.raises(DataError, match="gives masks, but the data has none"):
        objective((torch.randn(1, 4, 2, 2),), batch(labels=torch.tensor([0])))
