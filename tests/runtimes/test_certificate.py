"""What a certificate says of two graphs: differences, equal classes, and when it is met."""

import pytest
import torch

from atrous.networks.card import Card
from atrous.networks.preprocessing.images import Preprocessing
from atrous.runtimes.certificate import Certificate, compare, sizes_to_compare
from atrous.runtimes.graph import Signature, output_names

LOGITS = torch.tensor([[[[1.0, 4.0, -2.0, 0.0]], [[2.0, 1.0, -8.0, 0.5]]]])  # classes 1 0 0 1


def certificate(comparisons, tolerance=1e-4, least_equal=0.9999):
    return Certificate(
        comparisons=tuple(comparisons), tolerance=tolerance, least_equal=least_equal, inputs="x"
    )


def compared(said, expected=LOGITS):
    x = torch.zeros(1, 3, 1, 4)
    return compare(lambda _: expected, lambda _: said, [x])


def test_equal_graphs_are_apart_by_nothing():
    (found,) = compared(LOGITS.clone())
    assert (found.size, found.largest, found.relative, found.equal) == ((1, 4), 0, 0, 1)
    assert certificate([found]).is_met


def test_differences_are_a_share_of_the_largest_logit():
    said = LOGITS.clone()
    said[0, 1, 0, 2] += 0.5  # of -8, and no class changes by it
    (found,) = compared(said)
    assert found.largest == pytest.approx(0.5)
    assert found.relative == pytest.approx(0.5 / 8)
    assert found.equal == 1
    assert not certificate([found]).is_met
    assert certificate([found], tolerance=0.1).is_met


def test_classes_that_change_are_counted():
    said = LOGITS.clone()
    said[0, :, 0, 3] = torch.tensor([0.6, 0.5])
    (found,) = compared(said)
    assert found.equal == pytest.approx(3 / 4)
    assert not certificate([found], tolerance=1).is_met
    assert certificate([found], tolerance=1, least_equal=0.7).is_met


@pytest.mark.parametrize("said", [LOGITS[..., :3], torch.full_like(LOGITS, float("nan"))])
def test_other_shapes_and_no_numbers_are_never_equal(said):
    (found,) = compared(said)
    assert found.relative == float("inf")
    assert not certificate([found], tolerance=1e9).is_met


def test_graphs_that_give_classes_are_compared_by_these_alone():
    mask = torch.tensor([[[0, 1, 2, 2]]], dtype=torch.uint8)
    (found,) = compared(torch.tensor([[[0, 1, 2, 1]]], dtype=torch.uint8), mask)
    assert (found.largest, found.relative, found.equal) == (None, None, 3 / 4)


def card(**changes):
    facts = {
        "name": "n",
        "network": "espnet",
        "task": "segmentation",
        "class_names": ("a", "b"),
        "palette": ((0, 0, 0), (1, 1, 1)),
        "preprocessing": Preprocessing(mean=(0.5,) * 3, std=(0.5,) * 3),
    }
    return Card(**(facts | changes))


def test_sizes_are_odd_too_unless_the_graph_has_one():
    free = sizes_to_compare(card(), Signature())
    assert len(free) == 3
    assert sum(all(length % 2 for length in size) for size in free) == 2
    sized = Preprocessing(mean=(0.5,) * 3, std=(0.5,) * 3, size=(200, 100))
    assert sizes_to_compare(card(preprocessing=sized), Signature())[0] == (200, 100)
    assert sizes_to_compare(card(), Signature(size=(64, 96))) == ((64, 96),)


def test_outputs_have_names():
    assert output_names(card(), Signature()) == ("logits",)
    assert output_names(card(), Signature(gives="classes")) == ("mask",)
    assert output_names(card(task="joint"), Signature()) == ("logits", "label_logits")
    assert output_names(card(task="classification"), Signature(gives="classes")) == ("label",)
