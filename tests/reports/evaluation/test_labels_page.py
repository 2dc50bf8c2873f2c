"""The page of labels: self-contained, whole, and with the numbers it was given."""

import re

import numpy as np
import pytest
import torch

from atrous.metrics.topk_scores import score_labels
from atrous.networks.card import Card
from atrous.networks.preprocessing.images import Preprocessing
from atrous.reports.evaluation.labels_page import MAX_MATRIX, NUM_CONFUSIONS, Mistake, label_page


def page_of(truth, prediction, names, mistakes=()):
    scores = score_labels(
        torch.tensor(prediction)[:, None],
        torch.tensor(truth),
        num_classes=len(names),
        has_top5=False,
    )
    card = Card(
        name="resnet18.pets",
        network="resnet18",
        task="classification",
        class_names=tuple(names),
        palette=((0, 0, 0),) * len(names),
        preprocessing=Preprocessing(mean=(0.0,), std=(1.0,)),
    )
    return label_page(
        card=card,
        class_names=names,
        scores=scores,
        mistakes=mistakes,
        facts={"command": "atrous evaluate"},
        notes=["input: each image at its own size"],
    )


@pytest.fixture
def page():
    mistake = Mistake(
        name="<i>odd</i>",
        image=np.zeros((30, 900, 3), np.uint8),
        truth="cat",
        prediction="dog & wolf",
        probability=0.8125,
    )
    return page_of(
        [0, 0, 0, 1, 1], [0, 0, 1, 1, 2], ["cat", "dog & wolf", "bird"], mistakes=[mistake]
    )


def test_the_page_needs_nothing_from_elsewhere(page):
    assert not re.search(r"""(src|href)=["'](?!data:)""", page)


def test_scores_protocol_and_notes_are_printed(page):
    # By hand: 3 of 5 images, 2 of 3 cats and 1 of 2 dogs.
    assert "60.00" in page
    assert f"{100 * (2 / 3 + 1 / 2) / 2:.2f}" in page
    assert "top1" in page
    assert "each image at its own size" in page
    assert "Top-5" not in page


def test_names_are_escaped_and_the_mistake_is_told(page):
    assert "<i>odd" not in page
    assert "&lt;i&gt;odd&lt;/i&gt;: <b>dog &amp; wolf</b>, 81.25 %; it is cat" in page


def test_the_matrix_has_the_classes_of_the_truth_and_all_others_in_one(page):
    row = re.search(r"<tr><th>dog &amp; wolf</th><td>2</td>(.*?)</tr>", page, re.DOTALL)
    cells = re.findall(r"<td[^>]*>([^<]*)</td>", row[1])
    assert cells == ["", "1", "1"]  # cat, itself, and one that was called a bird
    assert "<th>bird</th>" not in page


def test_many_classes_have_a_list_of_errors_instead_of_a_matrix():
    count = MAX_MATRIX + 1
    truth = [*range(count), 0]
    wrong = [(index + 1) % count for index in range(count)]
    page = page_of(truth, [*wrong, 1], [f"class {index}" for index in range(count)])
    assert "Where the images" not in page
    errors = page[page.index("Commonest errors") :]
    rows = re.findall(r"<tr><td>(.*?)</td><td>(.*?)</td><td class=\"number\">(\d+)</td>", errors)
    assert len(rows) == NUM_CONFUSIONS
    assert rows[0] == ("class 0", "class 1", "2")
