"""The picture of which tissues lie beside which."""

import numpy as np
import pytest

from atrous.data.slides.mask_map import ArrayLabelMap
from atrous.errors import ShapeError
from atrous.reports.figure_file import write_figure
from atrous.reports.slides.cooccurrence import cooccurrence_figure
from atrous.reports.slides.measurements import count_tissues

NAMES = ("fat", "stroma", "blood", "bone")


def counted(labels):
    return count_tissues(ArrayLabelMap(labels), num_classes=4, mpp=(10.0, 10.0))


def test_cells_hold_the_part_of_the_rows_border(tmp_path):
    labels = np.zeros((100, 100), np.uint8)
    labels[:, 50:] = 1  # 100 sides of pixels with fat
    labels[50:70, 80:] = 2  # 60 with stroma
    figure = cooccurrence_figure(counted(labels), class_names=NAMES)
    axes = figure.axes[0]
    shown = np.asarray(axes.images[0].get_array())
    assert shown == pytest.approx(np.array([[0, 1, 0], [100 / 160, 0, 60 / 160], [0, 1, 0]]))
    assert [each.get_text() for each in axes.get_yticklabels()] == ["fat", "stroma", "blood"]
    write_figure(figure, tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


def test_one_tissue_and_none_are_no_trouble(tmp_path):
    for value in (0, 255):
        figure = cooccurrence_figure(counted(np.full((9, 9), value, np.uint8)), class_names=NAMES)
        write_figure(figure, tmp_path / f"{value}.png")


def test_names_must_be_as_many_as_classes():
    with pytest.raises(ShapeError, match="3 names for 4"):
        cooccurrence_figure(counted(np.zeros((9, 9), np.uint8)), class_names=NAMES[:3])
