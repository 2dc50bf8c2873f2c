"""The evaluation page: self-contained, whole, and with the numbers it was given."""

import base64
import io
import math
import re

import numpy as np
import pytest
import torch
from PIL import Image

from atrous.inference import load
from atrous.metrics.protocols import score
from atrous.reports.evaluation.masks_page import Example, evaluation_page, extremes, image_scores

MATRIX = torch.tensor([[50, 10, 0, 0], [5, 80, 5, 0], [0, 0, 0, 0], [0, 0, 0, 0], [3, 4, 0, 0]])


@pytest.fixture
def page(tiny_weights):
    example = Example(
        name="<b>odd & name</b>",
        mean_iou=0.5,
        image=np.zeros((30, 900, 3), np.uint8),
        truth=torch.full((30, 900), 255),
        prediction=torch.zeros(30, 900, dtype=torch.uint8),
    )
    return evaluation_page(
        card=load(tiny_weights).card,
        scores=score(MATRIX, protocol="void_ignored"),
        interval=(0.25, 0.75),
        matrix=MATRIX,
        num_images=7,
        best=[example],
        worst=[],
        facts={"command": "atrous evaluate"},
    )


def test_the_page_needs_nothing_from_elsewhere(page):
    assert not re.search(r"""(src|href)=["'](?!data:)""", page)
    assert "@import" not in page
    assert "url(" not in page


def test_names_are_escaped(page):
    assert "<b>odd" not in page
    assert "&lt;b&gt;odd &amp; name" in page


def test_scores_protocol_and_interval_are_printed(page):
    # IoU by hand: 50 / 65 and 80 / 100; the third class has no truth and 5 false positives, the
    # last neither, so it is left out.
    assert f"{100 * (50 / 65 + 80 / 100 + 0) / 3:.2f}" in page
    assert "void_ignored" in page
    assert "25.00 to 75.00" in page
    assert "7 images" in page


def test_rows_without_pixels_are_left_out_of_the_matrix(page):
    assert re.search(r"<th>background</th><td>60</td>", page)
    assert not re.search(r"<th>square</th>", page)
    assert re.search(r"<th>\(unlabelled\)</th><td>7</td>", page)


def test_pictures_are_embedded_and_no_wider_than_needed(page):
    pictures = re.findall(r"data:image/jpeg;base64,([^\"]+)", page)
    assert len(pictures) == 4
    for data in pictures:
        assert Image.open(io.BytesIO(base64.b64decode(data))).size == (480, 16)


def test_best_and_worst_never_share_an_image():
    values = [0.1, math.nan, 0.9, 0.5]
    assert extremes(values, 2) == ([2], [0, 3])
    assert extremes([], 3) == ([], [])
    assert extremes([0.4], 3) == ([], [0])


def test_image_scores_are_those_of_each_matrix():
    matrices = torch.stack([MATRIX, torch.zeros_like(MATRIX)])
    first, second = image_scores(matrices, protocol="void_ignored", void_class=None)
    assert first == pytest.approx((50 / 65 + 80 / 100 + 0) / 3)
    assert math.isnan(second)
