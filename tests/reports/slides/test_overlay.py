"""Thumbnails tinted by tissue."""

import numpy as np
import pytest
from PIL import Image

from atrous.data.slides.mask_map import ArrayLabelMap
from atrous.errors import DataError
from atrous.reports.slides.overlay import sample_labels, slide_overlay, write_slide_overlay

NAMES = ("fat", "stroma", "blood")
PALETTE = ((255, 255, 0), (0, 0, 200), (200, 0, 0))
OPTIONS = {"class_names": NAMES, "palette": PALETTE, "mpp": (1.0, 1.0), "areas": (1.5, 0.5, 0.0)}


class CountedMap(ArrayLabelMap):
    """Notes what is read."""

    def read(self, top, left, height, width):
        places.append((top // self.chunk[0], left // self.chunk[1], height, width))
        assert (top + height - 1) // self.chunk[0] == top // self.chunk[0]
        assert (left + width - 1) // self.chunk[1] == left // self.chunk[1]
        return super().read(top, left, height, width)


places: list[tuple[int, int, int, int]] = []


@pytest.mark.parametrize("size", [(30, 41), (1, 1), (7, 100), (211, 307), (400, 500)])
def test_samples_lie_in_the_middle_of_their_cells(size):
    labels = np.random.default_rng(0).integers(0, 3, (211, 307)).astype(np.uint8)
    places.clear()
    sampled = sample_labels(CountedMap(labels, chunk=(64, 50)), size)
    rows = [int((row + 0.5) * 211 / size[0]) for row in range(size[0])]
    columns = [int((column + 0.5) * 307 / size[1]) for column in range(size[1])]
    assert np.array_equal(sampled, labels[np.ix_(rows, columns)])
    assert len({place[:2] for place in places}) == len(places)  # no chunk twice


def test_pixels_are_half_the_colour_of_their_tissue_and_bare_where_nothing_ran():
    labels = np.zeros((800, 800), np.uint8)
    labels[:, 400:] = 255
    thumbnail = np.full((200, 400, 3), 100, np.uint8)
    picture = np.array(slide_overlay(ArrayLabelMap(labels), thumbnail, **OPTIONS))
    assert picture[50, 50].tolist() == [50 + 127, 50 + 127, 50]
    assert picture[50, 350].tolist() == [100, 100, 100]


def test_the_legend_names_what_has_an_area():
    labels = ArrayLabelMap(np.zeros((400, 400), np.uint8))
    thumbnail = np.full((400, 400, 3), 100, np.uint8)
    picture = np.array(slide_overlay(labels, thumbnail, **OPTIONS))[400:].reshape(-1, 3)
    seen = {tuple(colour) for colour in np.unique(picture, axis=0).tolist()}
    assert PALETTE[0] in seen
    assert PALETTE[1] in seen
    assert PALETTE[2] not in seen


def test_a_map_of_nothing_is_the_thumbnail(tmp_path):
    labels = ArrayLabelMap(np.full((90, 90), 255, np.uint8))
    thumbnail = np.random.default_rng(0).integers(0, 255, (300, 400, 3)).astype(np.uint8)
    path = tmp_path / "a.png"
    write_slide_overlay(labels, thumbnail, path, **(OPTIONS | {"areas": (0.0, 0.0, 0.0)}))
    with Image.open(path) as picture:
        assert np.array_equal(np.array(picture)[:200], thumbnail[:200])


def test_a_class_without_a_name_is_refused():
    labels = ArrayLabelMap(np.full((90, 90), 3, np.uint8))
    with pytest.raises(DataError, match="class 3"):
        slide_overlay(labels, np.zeros((90, 90, 3), np.uint8), **OPTIONS)
